"""A run's settings, read once from its configuration; the sources are in configs/."""

from dataclasses import dataclass
from typing import Any

from ml_collections import ConfigDict

from bmjax.data.images.resize import RESIZES
from bmjax.data.sampling import SAMPLINGS
from bmjax.devices.jax_setup import PRECISIONS
from bmjax.errors import ConfigError, check_known
from bmjax.methods import METHODS
from bmjax.models import LOWERINGS, NETWORKS
from bmjax.settings import (
    Number,
    checked,
    choice,
    duration,
    interval,
    number,
    read_settings,
    several,
)
from bmjax.training.optimizer import OPTIMIZERS

_LEAST_DEVIATION = 1e-6  # of a channel, white is 1: `stats` prints six digits
_MOST_DECAY = 0.999999  # of a mean that is carried on; at 1 it would never move; ours


_CHANNELS = "for each of red, green and blue, as python -m bmjax.data stats prints them"


def _class_names(key: str, values: Any) -> None:
    if not isinstance(values, tuple | list) or not all(
        isinstance(value, str | int) for value in values
    ):
        raise ConfigError(
            f"{key} = {values!r} should be names of classes, such as ('ART', 'BLA')"
        )


@dataclass(frozen=True)
class DataSettings:
    """config.data."""

    root: str
    synthetic_images: int = number(0, 10**7)
    split: str
    fold: int
    split_seed: int = number(0, 2**63 - 1)
    pretrain_on: str = choice("train", "all")
    validation_share: Number = number(0, 0.5)
    exclude: Any = checked(_class_names)  # `excluded` reads them
    labels: str
    size: int = number(16, 4096)
    resize: str = choice(*RESIZES)
    batch_size: int = number(1, 2**20)
    sampling: str = choice(*SAMPLINGS)
    per_class: int = number(1, 2**40)
    couples: bool
    bad_share: Number = number(0, 1)
    mean: tuple = several(3, 0, 1, what=_CHANNELS)
    std: tuple = several(3, _LEAST_DEVIATION, 1, what=_CHANNELS)
    threads: int = number(1, 1024)
    workers: int = number(0, 1024)
    prefetch: int = number(1, 1024)


@dataclass(frozen=True)
class AugmentSettings:
    """config.augment."""

    large: int = number(1, 16)
    large_size: int = number(8, 4096)
    large_scale: tuple = interval()
    small: int = number(0, 64)
    small_size: int = number(8, 4096)
    small_scale: tuple = interval()
    flip_horizontal: Number = number(0, 1)
    flip_vertical: Number = number(0, 1)
    jitter: Number = number(0, 1)
    hue: Number = number(0, 0.5)
    saturation: Number = number(0, 10)
    value: Number = number(0, 10)
    grayscale: Number = number(0, 1)
    blur: Number = number(0, 1)
    blur_sigma: tuple = interval()
    stain: Number = number(0, 1)
    stain_strength: Number = number(0, 1)


@dataclass(frozen=True)
class ModelSettings:
    """config.model.

    Which heads fit is the method's to say; which pooling and interpolation, and whether
    branches can be dropped, is the network's (`bmjax.models.spec_of`).
    """

    name: str = choice(*NETWORKS)
    head: str
    lineages: str
    embedding_dim: int = number(1, 2**20)
    hidden_dim: int = number(0, 2**20)
    convolutions: str = choice(*LOWERINGS)
    dtype: str = choice("float32", "bfloat16")
    remat: bool
    pooling: str
    interpolation: str
    drop_path: Number = number(0, 0.99)


def _layer_names(key: str, values: Any) -> None:
    if isinstance(values, str) or not all(isinstance(v, str) and v for v in values):
        raise ConfigError(
            f"{key} = {values!r} should be names of layers, such as ('qkv', 'proj')"
        )


@dataclass(frozen=True)
class LoraSettings:
    """config.lora: adapters beside a frozen backbone's dense layers."""

    rank: int = number(0, 4096)
    alpha: Number = number(1e-6, 1e6)
    layers: Any = checked(_layer_names)


@dataclass(frozen=True)
class OptimSettings:
    """config.optim."""

    name: str = choice(*OPTIMIZERS)
    learning_rate: Number = number(1e-30, 1e38)
    final_learning_rate: Number = number(0, 1e38)
    warmup: str = duration()
    warmup_start: Number = number(0, 1e38)
    momentum: Number = number(0, 0.9999)
    weight_decay: Number = number(0, 1e3)
    final_weight_decay: Number = number(0, 1e3)
    hold: str = duration()
    larc_trust: Number = number(0, 1e3)
    betas: tuple = several(2, 0, _MOST_DECAY, what="for each of the two moments")
    clip_norm: Number = number(0, 1e38)
    clip_each: bool
    layer_decay: Number = number(0, 1)
    freeze_prototypes: str = duration()
    freeze_backbone: str = duration()


@dataclass(frozen=True)
class TrainSettings:
    """config.train."""

    duration: str = duration()
    accumulate: int = number(1, 2**20)
    skip_non_finite: int = number(0, 2**31)
    precision: str = choice(*PRECISIONS)  # `start_jax` sets it


@dataclass(frozen=True)
class CheckpointSettings:
    """config.checkpoint; `run/validation_settings.py` knows what `best` may be."""

    every: str = duration()
    keep_every: str = duration()
    best: str


@dataclass(frozen=True)
class ValidationSettings:
    """config.validation."""

    every: str = duration()
    images: int = number(1, 10**9)
    logistic_iterations: int = number(1, 10**6)


@dataclass(frozen=True)
class LogSettings:
    """config.logs."""

    every: str = duration()


@dataclass(frozen=True)
class MeshSettings:
    """config.mesh."""

    devices: int = number(0, 2**20)
    coordinator: str
    processes: int = number(0, 2**20)
    process: int = number(-1, 2**20)
    heartbeat: int = number(2, 10**6)


@dataclass(frozen=True)
class ProbeSettings:
    """config.probe."""

    epochs: int = number(1, 10**6)
    batch_size: int = number(1, 2**20)
    learning_rate: Number = number(1e-30, 1e38)
    momentum: Number = number(0, 0.9999)
    weight_decay: Number = number(0, 1e3)
    standardize: bool
    sampling: str = choice("natural", "balanced")
    augmented_passes: int = number(0, 1000)
    validation_share: Number = number(0, 0.5)
    logistic_strength: Number = number(0, 1e12)
    logistic_iterations: int = number(1, 10**6)
    logistic_images: int = number(0, 10**9)
    protocol: str = choice("none", "dinobloom")
    protocol_gradient: Number = number(1e-12, 1)
    protocol_iterations: int = number(1, 10**6)


@dataclass(frozen=True)
class TsneSettings:
    """config.tsne."""

    images: int = number(1, 10**7)
    perplexity: Number = number(1, 10**4)


@dataclass(frozen=True)
class SaliencySettings:
    """config.saliency."""

    images: int = number(0, 1000)


@dataclass(frozen=True)
class Settings:
    """All settings of a run.

    `method_name` is config.method.name; `method` has the other keys of config.method,
    in the dataclass that the method's description names.
    """

    seed: int = number(0, 2**32 - 1)  # scikit-learn's t-SNE takes no other
    data: DataSettings
    augment: AugmentSettings
    model: ModelSettings
    lora: LoraSettings
    method_name: str
    method: Any
    optim: OptimSettings
    train: TrainSettings
    init_from: str
    init_new_classifier: bool
    init_other_preprocessing: bool
    mesh: MeshSettings
    checkpoint: CheckpointSettings
    validation: ValidationSettings
    logs: LogSettings
    probe: ProbeSettings
    tsne: TsneSettings
    saliency: SaliencySettings


def read_config(config: ConfigDict) -> Settings:
    """Return a configuration's settings, each checked by itself.

    `bmjax.run.validate` checks what several of them must be together.

    Raises:
        ConfigError: a value that its field does not allow, or an unknown key.
    """
    values = config.to_dict()
    name = values.get("method", {}).pop("name", None)
    check_known("config.method.name", name, tuple(METHODS))
    method = read_settings(METHODS[name].settings, values["method"], "config.method")
    return read_settings(
        Settings, {**values, "method_name": name, "method": method}, "config"
    )
