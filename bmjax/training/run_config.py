"""The configuration of a run, read as data: a run may come from anybody.

Nothing in it is executed, imported or looked up but by the lists of names below; every
value that is used has been checked. Keys that nobody asks for are passed over, and
those that older versions did not have take what was done then.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmjax.data.images.resize import RESIZES
from bmjax.data.seen_images import seen_from_json
from bmjax.errors import BmjaxError, CheckpointError, ConfigError
from bmjax.files import describe_os_error, read_json_object
from bmjax.models import LOWERINGS, NETWORKS, feature_settings
from bmjax.settings import Number, checked, choice, number, read_settings, several


def _channels(lowest: Number, **default: Any) -> Any:
    return several(3, lowest, 1, what="for each of red, green and blue", **default)


def _list_of(kinds: type | Any, what: str) -> Any:
    """A field that holds a list of some types; what it is called in a sentence."""

    def check(key: str, values: Any) -> None:
        if not isinstance(values, list | tuple) or not all(
            isinstance(value, kinds) for value in values
        ):
            raise ConfigError(f"{key} = {str(values)[:80]!r} should be {what}")

    return check


@dataclass(frozen=True, kw_only=True)
class StoredData:
    """Of config.data, how images are read and split."""

    size: int = number(1, 4096)
    mean: tuple = _channels(0)
    std: tuple = _channels(1e-6)
    split: str
    fold: int
    split_seed: int
    root: str = ""
    synthetic_images: int = 0
    resize: str = choice(*RESIZES, default="area")
    exclude: Any = checked(_list_of(str | int, "names of classes"), default=())
    labels: str = ""
    pretrain_on: str = "train"
    validation_share: Number = number(0, 0.5, default=0.0)
    bad_share: Number = number(0, 1, default=0.001)


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """Of config.model, how features are made."""

    name: str = choice(*NETWORKS)
    pooling: str = "auto"
    interpolation: str = "auto"
    convolutions: str = choice(*LOWERINGS, default="auto")
    dtype: str = choice("float32", "bfloat16", default="float32")
    head: str = "none"


@dataclass(frozen=True, kw_only=True)
class StoredLora:
    """Of config.lora."""

    rank: int = number(0, 4096, default=0)
    alpha: Number = number(1e-6, 1e6, default=128.0)
    layers: Any = checked(_list_of(str, "names of layers"), default=())


@dataclass(frozen=True)
class _Named:
    name: str


@dataclass(frozen=True)
class _Best:
    best: str = ""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What is asked of a run's configuration after its training."""

    data: StoredData
    model: StoredModel
    method: _Named
    lora: StoredLora = dataclasses.field(default_factory=StoredLora)
    checkpoint: _Best = dataclasses.field(default_factory=_Best)
    init_from: str = ""
    seed: int = number(0, 2**32 - 1, default=0)


def read_run_config(workdir: Path) -> RunConfig:
    """Read config.json of a run, which may be damaged or somebody else's.

    Raises:
        CheckpointError: it cannot be read, or a value in it cannot be.
    """
    path = workdir / "config.json"
    try:
        config = read_settings(RunConfig, read_json_object(path), "config", whole=False)
        feature_settings(
            config.model.name,
            pooling=config.model.pooling,
            interpolation=config.model.interpolation,
        )
        return config
    except OSError as error:
        why = describe_os_error(error)
    except (ValueError, BmjaxError) as error:
        why = str(error)
    raise CheckpointError(
        f"{str(path)!r} is no configuration of a run ({why}); copy the run again from "
        "where it was trained"
    )


def _classes(key: str, names: Any) -> None:
    if names is not None:
        _list_of(str, "names of classes")(key, names)
        if len(set(names)) != len(names):
            raise ConfigError(f"{key} has a name twice")


def _text_or_none(key: str, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{key} = {str(value)[:80]!r} should be a text")


def _seen(key: str, record: Any) -> None:
    try:
        if record is not None:
            seen_from_json(record)
    except (TypeError, ValueError, LookupError):
        raise ConfigError(f"{key} is no record of images") from None


def _adapted(key: str, value: Any) -> None:
    if value is not None and not (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in ("sha256", "init_from"))
    ):
        raise ConfigError(f"{key} = {str(value)[:80]!r} names no backbone")


@dataclass(frozen=True, kw_only=True)
class _TrainedOn:
    data_fingerprint: Any = checked(_text_or_none, default=None)
    split_digest: Any = checked(_text_or_none, default=None)
    split: str = ""
    fold: int = 0
    split_seed: int = 0
    pretrain_on: str = "train"
    seen: Any = checked(_seen, default=None)


@dataclass(frozen=True, kw_only=True)
class _About:
    """What `Weights.about` holds."""

    network: str = choice(*NETWORKS)
    pooling: str = "auto"
    interpolation: str = "auto"
    method: str = ""
    step: int = number(0, 2**63, default=0)
    classes: Any = checked(_classes, default=None)
    size: int = number(1, 4096, default=1)
    resize: str = choice(*RESIZES, default="area")
    mean: tuple = _channels(0, default=())
    std: tuple = _channels(1e-6, default=())
    lora: StoredLora = dataclasses.field(default_factory=StoredLora)
    adapted_backbone: Any = checked(_adapted, default=None)
    trained_on: _TrainedOn = dataclasses.field(default_factory=_TrainedOn)


def check_about(about: Any, source: str) -> None:
    """Check what weights are said to be, in a run or in a file of anybody's.

    Args:
        about: as `bmjax.training.trained_network.Weights` has it.
        source: what says so, for the sentence.

    Raises:
        CheckpointError: a value that cannot be.
    """
    try:
        if not isinstance(about, dict):
            raise ConfigError(f"a {type(about).__name__}, expected an object")
        read = read_settings(_About, about, "about", whole=False)
        feature_settings(
            read.network, pooling=read.pooling, interpolation=read.interpolation
        )
    except BmjaxError as error:
        raise CheckpointError(
            f"{source} says of its weights what cannot be ({error}); take another, or "
            "make it again"
        ) from None
