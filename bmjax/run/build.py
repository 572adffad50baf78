"""From a configuration to the objects of a run, each built once, in walking order.

Here ConfigDict stops: below, everything takes plain keyword arguments.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from bmjax.augment.recipes import Color, Crops, Recipe, multi_crop, plain
from bmjax.data.class_weights import class_weights
from bmjax.data.images.catalog import Catalog
from bmjax.data.open_images import read_catalog
from bmjax.data.pipeline import next_of_class
from bmjax.data.sampling import make_stream
from bmjax.data.splits.make_split import (
    Split,
    counts,
    make_split,
    shown_to_training,
    split_digest,
)
from bmjax.devices.mesh import batch_sharded, make_mesh
from bmjax.errors import ConfigError, DataError
from bmjax.methods import METHODS
from bmjax.models import layer_scales, make_network
from bmjax.run.durations import to_steps
from bmjax.run.logs import say
from bmjax.run.validate import method_durations
from bmjax.run.workdir import excluded
from bmjax.training.optimizer import FOREVER, cosine_schedule, make_optimizer
from bmjax.types import Batch, Method


class Run(NamedTuple):
    """What a run is made of."""

    config: ConfigDict
    mesh: jax.sharding.Mesh
    catalog: Catalog
    split: Split
    split_digest: str
    stream: grain.MapDataset
    stand_ins: np.ndarray  # of an unreadable image of the training part
    recipe: Recipe
    method: Method
    schedule: optax.Schedule
    optimizer: optax.GradientTransformation
    steps: int
    steps_per_epoch: int
    save_every: int  # steps
    log_every: int  # steps
    in_steps: Callable[[str], int]  # from a key that holds a duration to steps


def build(config: ConfigDict, workdir: Path, catalog: Catalog | None = None) -> Run:
    """Build a run; everything a user can get wrong is found here, before compilation.

    Args:
        config: of the run.
        workdir: where synthetic cells go, where they are asked for.
        catalog: in the place of the configuration's folder, which is then not read.

    Raises:
        ConfigError: a value that cannot be.
        DataError: images that are not there, or a class without any to train on.
    """
    mesh = make_mesh(config.mesh.devices)
    _check_divides(config, mesh.size)
    if catalog is None:
        catalog = read_catalog(
            data_root(config, workdir), exclude=excluded(config.data.exclude)
        )
    if len(catalog.classes) < 2:
        raise DataError(
            f"{str(catalog.root)!r} holds one class of images, {catalog.classes[0]!r}; "
            "give the folder that holds one folder for each class"
        )
    split = make_split(
        catalog,
        name=config.data.split,
        fold=config.data.fold,
        seed=config.data.split_seed,
    )
    shown = shown_to_training(split, config.data.pretrain_on)
    stream = make_stream(
        shown,
        catalog.labels[shown],
        sampling=config.data.sampling,
        per_class=config.data.per_class,
        seed=config.seed,
        couples=config.data.couples,
    )
    steps_per_epoch = max(1, stream.epoch_length // config.data.batch_size)

    def steps(key: str) -> int:
        text = config
        for part in key.split("."):
            text = text[part]
        return to_steps(text, steps_per_epoch=steps_per_epoch, key=f"config.{key}")

    recipe = make_recipe(config)
    method = make_method(config, recipe, steps, counts(catalog, split.train))
    schedule = cosine_schedule(
        base=config.optim.learning_rate,
        final=config.optim.final_learning_rate,
        steps=steps("train.duration"),
        warmup_steps=steps("optim.warmup"),
        start=config.optim.warmup_start,
        hold=max(1, steps("optim.hold")),
    )
    optimizer = make_optimizer(
        schedule,
        name=config.optim.name,
        momentum=config.optim.momentum,
        weight_decay=_weight_decay(config, steps("train.duration")),
        larc_trust=config.optim.larc_trust,
        betas=tuple(config.optim.betas),
        clip_norm=config.optim.clip_norm,
        layer_scale=layer_scales(config.model.name, config.optim.layer_decay),
        frozen={
            "prototypes": steps("optim.freeze_prototypes"),
            "network.backbone": steps("optim.freeze_backbone"),
            **dict.fromkeys(method.frozen, FOREVER),
        },
    )
    return Run(
        config=config,
        mesh=mesh,
        catalog=catalog,
        split=split,
        split_digest=split_digest(catalog, split),
        stream=stream,
        stand_ins=next_of_class(split.train, catalog.labels),
        recipe=recipe,
        method=method,
        schedule=schedule,
        optimizer=optimizer,
        steps=steps("train.duration"),
        steps_per_epoch=steps_per_epoch,
        save_every=max(1, steps("checkpoint.every")),
        log_every=max(1, steps("logs.every")),
        in_steps=steps,
    )


def _weight_decay(config: ConfigDict, steps: int) -> float | optax.Schedule:
    """A number, or the cosine from `weight_decay` to `final_weight_decay`."""
    base, final = config.optim.weight_decay, config.optim.final_weight_decay
    if base == final:
        return base
    return cosine_schedule(base=base, final=final, steps=steps)


def data_root(config: ConfigDict, workdir: Path) -> Path:
    """The image folder; synthetic cells are made in the workdir where asked for."""
    if config.data.root:
        return Path(config.data.root).expanduser()
    from bmjax.data.synthetic import ROOT, synthesize

    images, seed = config.data.synthetic_images, config.seed
    cells = workdir / f"cells-{images}-{seed}"
    if not (cells / ROOT).exists():
        say(f"drawing {images:,} synthetic cells into {cells}")
        synthesize(cells, images=images, seed=seed)
    return cells


def make_recipe(config: ConfigDict) -> Recipe:
    """The augmentation of a configuration."""
    augment = config.augment
    crops = (
        Crops(augment.large, augment.large_size, tuple(augment.large_scale)),
        Crops(augment.small, augment.small_size, tuple(augment.small_scale)),
    )
    return multi_crop(
        tuple(crop for crop in crops if crop.count),
        Color(
            flip_horizontal=augment.flip_horizontal,
            flip_vertical=augment.flip_vertical,
            jitter=augment.jitter,
            hue=augment.hue,
            saturation=augment.saturation,
            value=augment.value,
            grayscale=augment.grayscale,
            blur=augment.blur,
            blur_sigma=tuple(augment.blur_sigma),
            stain=augment.stain,
            stain_strength=augment.stain_strength,
        ),
        mean=tuple(config.data.mean),
        std=tuple(config.data.std),
    )


def make_method(
    config: ConfigDict, recipe: Recipe, steps: Callable[[str], int], train: dict
) -> Method:
    """The method of a configuration.

    Args:
        config: of the run.
        recipe: its augmentation.
        steps: from a key that holds a duration to steps.
        train: how many training images each class has.
    """
    supervised = config.model.head == "classifier"
    network = make_network(
        config.model.name,
        num_classes=len(train) if supervised else 0,
        head="none" if supervised else config.model.head,
        embedding_dim=config.model.embedding_dim,
        hidden_dim=config.model.hidden_dim,
        convolutions=config.model.convolutions,
        dtype=jnp.dtype(config.model.dtype),
        remat=config.model.remat,
    )
    settings = method_settings(config, steps, train)
    return METHODS[config.method.name].make(network, recipe=recipe, **settings)


def method_settings(
    config: ConfigDict, steps: Callable[[str], int], train: dict
) -> dict[str, Any]:
    """`config.method` as its file's `make` takes it: durations are steps."""
    settings = {k: v for k, v in config.method.items() if k != "name"}
    for key in method_durations(config):
        settings[key] = steps(f"method.{key}")
    if "class_weights" in settings:
        weights = class_weights(train, settings["class_weights"])
        settings["class_weights"] = None if weights is None else jnp.asarray(weights)
    return settings


def _check_divides(config: ConfigDict, devices: int) -> None:
    batch, chunks = config.data.batch_size, config.train.accumulate
    if batch % (devices * chunks):
        what = f"{devices} devices" + (f" x {chunks} chunks" if chunks > 1 else "")
        raise ConfigError(
            f"config.data.batch_size = {batch} does not divide by {what}; use a "
            f"multiple of {devices * chunks}"
        )


def make_prepare(config: ConfigDict):
    """Pixels to images for evaluation, at the size that the images come in."""
    return plain(
        size=config.data.size,
        mean=tuple(config.data.mean),
        std=tuple(config.data.std),
    )


def batch_shapes(run: Run) -> Batch:
    """The shapes of a batch and how it is dealt out; no memory is taken for one."""
    size, count = run.config.data.size, run.config.data.batch_size
    sharding = batch_sharded(run.mesh)
    return Batch(
        pixels=jax.ShapeDtypeStruct(
            (count, size, size, 3), jnp.uint8, sharding=sharding
        ),
        labels=jax.ShapeDtypeStruct((count,), jnp.int32, sharding=sharding),
    )
