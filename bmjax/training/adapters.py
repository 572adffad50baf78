"""Adapters in a file of their own, apart from the backbone that they belong to.

Adapters are small (two thin matrices a layer) and useless beside other weights than
those that they were trained beside. The file therefore says which these are: the
SHA-256 of the backbone's arrays, whatever file holds them.
"""

from pathlib import Path
from typing import Any

import jax

from bmjax.errors import CheckpointError, ConfigError, check_known
from bmjax.methods import METHODS
from bmjax.models.weight_files.adapters_file import read_adapters
from bmjax.training.run_config import read_run_config
from bmjax.training.trained_network import (
    ADAPTED_BACKBONE,
    Weights,
    about_source,
    backbone_digest,
    merged,
    metadata_of,
    read_saved,
)


def read_run_adapters(workdir: Path, sharding: jax.sharding.Sharding) -> Weights:
    """Read of a run what was trained beside its frozen backbone, for `write_file`.

    Returns:
        "lora" and, where there are such, "fc", "head", "prototypes" and "mask_token";
        `about` has "adapted_backbone" too: "sha256" of the backbone, as the run began
        with it, and the name of the file or run that it came from, "init_from".

    Raises:
        ConfigError: the run trained no adapters, or there is none.
        CheckpointError: as `read_run`.
    """
    about = about_source(workdir)
    if "lora" not in about:
        raise ConfigError(
            f"{str(workdir)!r} was trained without adapters (config.lora.rank = 0); "
            "leave out --adapters to export the whole network"
        )
    check_known("config.method.name", about["method"], tuple(METHODS))
    weights, saved = read_saved(workdir, sharding)
    # A teacher's backbone is an average of equal ones, and has lost last bits.
    trained = saved
    for name in METHODS[about["method"]].trained_networks[0].split("."):
        trained = trained[name]
    digest = backbone_digest(trained, weights.batch_stats)
    origin = Path(read_run_config(workdir).init_from).name
    params = {part: tree for part, tree in weights.params.items() if part != "backbone"}
    return weights._replace(
        params=params,
        about={**about, ADAPTED_BACKBONE: {"sha256": digest, "init_from": origin}},
    )


def read_adapters_onto(weights: Weights, source: Path, path: Path) -> Weights:
    """Read a file of adapters, and merge them into the backbone they were made for.

    Args:
        weights: with the backbone, and its name as "network" in `about`; nothing else
            of them is kept.
        source: where these come from, for errors.
        path: of the file, `read_run_adapters` written by `write_file`.

    Returns:
        what `read_run` gives of the adapters' run.

    Raises:
        ConfigError: there is no such file.
        CheckpointError: it is damaged or holds no adapters; or they belong to another
            network or to other weights of it.
    """
    about = about_adapters(path)
    found = weights.about["network"]
    if about["network"] != found:
        raise CheckpointError(
            f"{str(path)!r} holds adapters of a {about['network']}, and "
            f"{str(source)!r} is a {found}; give the weights that the adapters were "
            "trained beside"
        )
    wanted = about[ADAPTED_BACKBONE]
    digest = backbone_digest(weights.params, weights.batch_stats)
    if digest != wanted["sha256"]:
        origin = wanted["init_from"]
        raise CheckpointError(
            f"{str(path)!r} holds adapters of a backbone with SHA-256 "
            f"{wanted['sha256'][:12]}{f' ({origin})' if origin else ''}, and that of "
            f"{str(source)!r} has {digest[:12]}; give the weights that the adapters "
            "were trained beside"
        )
    params, batch_stats = read_adapters(
        path,
        about["network"],
        weights.params["backbone"],
        rank=about["lora"]["rank"],
        layers=about["lora"]["layers"],
        pooling=about["pooling"],
    )
    own = {key: value for key, value in about.items() if key != ADAPTED_BACKBONE}
    params = {**params, "backbone": weights.params["backbone"]}
    return merged(Weights(params, batch_stats, own))


def about_adapters(path: Path) -> dict[str, Any]:
    """What a file of adapters says of itself.

    Raises:
        ConfigError: there is no such file.
        CheckpointError: it is damaged or holds no adapters.
    """
    if not path.is_file():
        raise ConfigError(
            f"adapters = {str(path)!r} is no file; give one that bmjax export RUN "
            "--adapters wrote"
        )
    about = metadata_of(path)
    if ADAPTED_BACKBONE not in about:
        raise CheckpointError(
            f"{str(path)!r} holds no adapters alone; give a file that bmjax export RUN "
            "--adapters wrote"
        )
    return about
