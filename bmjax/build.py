"""From a configuration to the objects of a run, each built once, in walking order.

Here ConfigDict stops: below, everything takes plain keyword arguments.
"""

from pathlib import Path
from typing import NamedTuple

import grain
import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from bmjax.augment.recipes import Color, Crops, Recipe, multi_crop, plain
from bmjax.data.folder import TCIA, Catalog, read_folder
from bmjax.data.folds import Split, make_split
from bmjax.data.sampling import make_stream
from bmjax.durations import to_steps
from bmjax.errors import ConfigError
from bmjax.logs import say
from bmjax.mesh import make_mesh
from bmjax.methods import METHODS
from bmjax.models import make_network
from bmjax.optim import cosine_schedule, make_optimizer
from bmjax.types import Method


class Run(NamedTuple):
    """What a run is made of."""

    config: ConfigDict
    mesh: jax.sharding.Mesh
    catalog: Catalog
    split: Split
    stream: grain.MapDataset
    recipe: Recipe
    method: Method
    schedule: optax.Schedule
    optimizer: optax.GradientTransformation
    steps: int
    steps_per_epoch: int
    save_every: int  # steps
    log_every: int  # steps


def build(config: ConfigDict, workdir: Path) -> Run:
    """Build a run; everything a user can get wrong is found here, before compilation.

    Raises:
        ConfigError: a value that cannot be.
        DataError: images that are not there, or a class without any to train on.
    """
    mesh = make_mesh(config.mesh.devices)
    if config.data.batch_size % mesh.size:
        raise ConfigError(
            f"config.data.batch_size = {config.data.batch_size} does not divide by "
            f"{mesh.size} devices; use a multiple of {mesh.size}"
        )
    exclude = [name for item in config.data.exclude for name in item.split(",")]
    catalog = read_folder(data_root(config, workdir), exclude=exclude)
    split = make_split(
        catalog,
        name=config.data.split,
        fold=config.data.fold,
        seed=config.data.split_seed,
    )
    stream = make_stream(
        split.train,
        catalog.labels[split.train],
        sampling=config.data.sampling,
        per_class=config.data.per_class,
        seed=config.seed,
    )
    steps_per_epoch = max(1, stream.epoch_length // config.data.batch_size)

    def steps(key: str) -> int:
        text = config
        for part in key.split("."):
            text = text[part]
        return to_steps(text, steps_per_epoch=steps_per_epoch, key=f"config.{key}")

    recipe = make_recipe(config)
    method = make_method(config, recipe, steps, classes=len(catalog.classes))
    schedule = cosine_schedule(
        base=config.optim.learning_rate,
        final=config.optim.final_learning_rate,
        steps=steps("train.duration"),
        warmup_steps=steps("optim.warmup"),
        start=config.optim.warmup_start,
    )
    optimizer = make_optimizer(
        schedule,
        momentum=config.optim.momentum,
        weight_decay=config.optim.weight_decay,
        larc_trust=config.optim.larc_trust,
        frozen={"prototypes": steps("optim.freeze_prototypes")},
    )
    return Run(
        config=config,
        mesh=mesh,
        catalog=catalog,
        split=split,
        stream=stream,
        recipe=recipe,
        method=method,
        schedule=schedule,
        optimizer=optimizer,
        steps=steps("train.duration"),
        steps_per_epoch=steps_per_epoch,
        save_every=max(1, steps("checkpoint.every")),
        log_every=max(1, steps("logs.every")),
    )


def check(config: ConfigDict) -> None:
    """Raise ConfigError for what can be seen wrong without data or devices."""
    positive = ("data.size", "data.batch_size", "data.threads", "data.prefetch")
    flat = {
        f"{group}.{key}": value
        for group, values in config.items()
        if isinstance(values, ConfigDict)
        for key, value in values.items()
    }
    for key in positive:
        if flat[key] < 1:
            raise ConfigError(f"config.{key} = {flat[key]} must be 1 or more")
    if not config.optim.learning_rate > 0:
        raise ConfigError(
            f"config.optim.learning_rate = {config.optim.learning_rate} must be above 0"
        )
    if config.method.name not in METHODS:
        raise ConfigError(
            f'config.method.name = "{config.method.name}" is unknown; use one of '
            f"{', '.join(METHODS)}"
        )
    if config.method.name == "swav":
        _check_swav(config)
    if not (config.data.root or config.data.synthetic_images):
        raise ConfigError(
            f"config.data.root is empty; give a folder of images, such as {TCIA}, with "
            "--config.data.root=FOLDER, make synthetic cells with python -m bmjax.data "
            "synthesize, or run the variant :demo, which needs no data"
        )


def _check_swav(config: ConfigDict) -> None:
    queue, batch = config.method.queue_length, config.data.batch_size
    if queue % batch:
        raise ConfigError(
            f"config.method.queue_length = {queue} is no multiple of "
            f"config.data.batch_size = {batch}; use {queue // batch * batch} or "
            f"{(queue // batch + 1) * batch}"
        )
    if config.augment.large < 2:
        raise ConfigError(
            f"config.augment.large = {config.augment.large}, but SwAV assigns two "
            "large views to prototypes; use 2"
        )
    if not (config.method.epsilon > 0 and config.method.temperature > 0):
        raise ConfigError(
            f"config.method.epsilon = {config.method.epsilon} and "
            f"config.method.temperature = {config.method.temperature} must be above 0"
        )


def data_root(config: ConfigDict, workdir: Path) -> Path:
    """The image folder; synthetic cells are made in the workdir where asked for."""
    if config.data.root:
        return Path(config.data.root)
    from bmjax.data.synthetic import synthesize

    cells = workdir / "cells"
    if not cells.exists():
        say(f"drawing {config.data.synthetic_images:,} synthetic cells into {cells}")
        synthesize(cells, images=config.data.synthetic_images, seed=config.seed)
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
        ),
        mean=tuple(config.data.mean),
        std=tuple(config.data.std),
    )


def make_method(config: ConfigDict, recipe: Recipe, steps, *, classes: int) -> Method:
    """The method of a configuration; its durations (all its strings) become steps."""
    supervised = config.model.head == "classifier"
    network = make_network(
        config.model.name,
        num_classes=classes if supervised else 0,
        head="none" if supervised else config.model.head,
        embedding_dim=config.model.embedding_dim,
        convolutions=config.model.convolutions,
    )
    settings = {
        key: steps(f"method.{key}") if isinstance(value, str) else value
        for key, value in config.method.items()
        if key != "name"
    }
    return METHODS[config.method.name](network, recipe=recipe, **settings)


def make_prepare(config: ConfigDict):
    """Pixels to images for evaluation, at the size that the images come in."""
    return plain(
        size=config.data.size,
        mean=tuple(config.data.mean),
        std=tuple(config.data.std),
    )


def example_batch(run: Run) -> dict[str, np.ndarray]:
    """A batch of the right shapes, all zero."""
    size, batch = run.config.data.size, run.config.data.batch_size
    return {
        "pixels": np.zeros((batch, size, size, 3), np.uint8),
        "labels": np.zeros(batch, np.int32),
    }
