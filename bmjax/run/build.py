"""Build the objects of a run from its settings, each once, in the order of the data."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax

from bmjax.augment.recipes import Color, Crops, Recipe, multi_crop, plain
from bmjax.data.class_shares import loss_shares
from bmjax.data.class_weights import class_weights
from bmjax.data.file_limit import check_file_limit
from bmjax.data.images.catalog import Catalog
from bmjax.data.open_images import read_catalog
from bmjax.data.pipeline import next_of_class
from bmjax.data.sampling import make_stream
from bmjax.data.shared_memory import check_shared_memory
from bmjax.data.splits.make_split import Split, counts, shown_to_training
from bmjax.data.splits.validation_part import split_run
from bmjax.devices.mesh import batch_sharded, make_mesh
from bmjax.devices.processes import from_first, processes
from bmjax.errors import ConfigError, DataError
from bmjax.files import user_path
from bmjax.methods import METHODS
from bmjax.methods.spec import RunFacts
from bmjax.models import layer_scales, make_network
from bmjax.models.lora import add_lora
from bmjax.run.class_lineages import class_lineages, numbered
from bmjax.run.logs import say
from bmjax.run.prefetch_memory import check_prefetch
from bmjax.run.run_settings import (
    AugmentSettings,
    DataSettings,
    OptimSettings,
    Settings,
)
from bmjax.run.workdir import drawn_cells, excluded
from bmjax.settings import is_zero, to_steps, with_steps
from bmjax.training.optimizer import cosine_schedule, make_optimizer
from bmjax.types import Batch, Method


class RunData(NamedTuple):
    """The images of a run, and in which order it sees them."""

    catalog: Catalog
    split: Split
    split_digest: str
    stream: grain.MapDataset
    replacements: np.ndarray  # of an unreadable image of the training part
    validation: np.ndarray = np.zeros(0, np.int64)  # sorted; in no part of the split

    def positions(self, part: str) -> np.ndarray:
        """Of "train", "test" or "validation", int64, sorted."""
        return self.validation if part == "validation" else getattr(self.split, part)


class Learner(NamedTuple):
    """What is trained, and how."""

    method: Method
    recipe: Recipe
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    seed: int
    chunks: int = 1  # that a batch is embedded in
    skips: bool = False  # a step whose numbers are not finite changes nothing


class RunLength(NamedTuple):
    """How long a run is, in steps."""

    steps: int
    steps_per_epoch: int
    save_every: int
    log_every: int
    keep_every: int = 0  # 0: no checkpoint is kept for ever
    validate_every: int = 0  # 0: no validation


class BuiltRun(NamedTuple):
    """All objects of a run. Functions take the parts that they use."""

    settings: Settings
    mesh: jax.sharding.Mesh
    data: RunData
    learner: Learner
    length: RunLength


def build(
    settings: Settings, workdir: Path, catalog: Catalog | None = None
) -> BuiltRun:
    """Build a run; everything a user can get wrong is found here, before compilation.

    Args:
        settings: of the run.
        workdir: where synthetic cells go, where they are asked for.
        catalog: in the place of the configuration's folder, which is then not read.

    Raises:
        ConfigError: a value that cannot be.
        DataError: images that are not there, or a class without any to train on.
    """
    mesh = make_mesh(settings.mesh.devices)
    _check_divides(settings.data.batch_size, mesh.size, settings.train.accumulate)
    check_file_limit(workers=settings.data.workers)
    own_batch = settings.data.batch_size // processes()
    check_shared_memory(
        workers=settings.data.workers, batch_size=own_batch, size=settings.data.size
    )
    check_prefetch(
        prefetch=settings.data.prefetch,
        workers=settings.data.workers,
        batch_size=own_batch,
        size=settings.data.size,
    )
    data = _make_data(settings, workdir, catalog)
    steps_per_epoch = max(1, data.stream.epoch_length // settings.data.batch_size)
    train = with_steps(settings.train, steps_per_epoch)
    length = RunLength(
        steps=train["duration"],
        steps_per_epoch=steps_per_epoch,
        save_every=max(1, with_steps(settings.checkpoint, steps_per_epoch)["every"]),
        log_every=max(1, with_steps(settings.logs, steps_per_epoch)["every"]),
        keep_every=_every(settings.checkpoint.keep_every, steps_per_epoch),
        validate_every=_every(settings.validation.every, steps_per_epoch),
    )
    recipe = make_recipe(settings.augment, settings.data)
    train_counts = counts(data.catalog, data.split.train)
    method = make_method(settings, recipe, steps_per_epoch, train_counts)
    schedule, optimizer = _make_updates(settings.optim, settings.model.name, length)
    learner = Learner(
        method,
        recipe,
        optimizer,
        schedule,
        settings.seed,
        settings.train.accumulate,
        skips=settings.train.skip_non_finite > 0,
    )
    return BuiltRun(settings, mesh, data, learner, length)


def _make_data(settings: Settings, workdir: Path, catalog: Catalog | None) -> RunData:
    if catalog is None:
        catalog = read_catalog(
            data_root(settings, workdir),
            exclude=excluded(settings.data.exclude),
            labels=settings.data.labels,
        )
    if len(catalog.classes) < 2:
        raise DataError(
            f"{str(catalog.root)!r} holds one class of images, {catalog.classes[0]!r}; "
            "give the folder that holds one folder for each class"
        )
    data = settings.data
    split, validation, digest = split_run(
        catalog,
        name=data.split,
        fold=data.fold,
        seed=data.split_seed,
        share=float(data.validation_share),
    )
    shown = shown_to_training(split, data.pretrain_on)
    stream = make_stream(
        shown,
        catalog.labels[shown],
        sampling=data.sampling,
        per_class=data.per_class,
        seed=settings.seed,
        couples=data.couples,
    )
    return RunData(
        catalog=catalog,
        split=split,
        split_digest=digest,
        stream=stream,
        replacements=next_of_class(split.train, catalog.labels),
        validation=validation,
    )


def _every(text: str, steps_per_epoch: int) -> int:
    """A duration in steps: 0 where it is none, else 1 at least."""
    if is_zero(text):
        return 0
    return max(1, to_steps(text, steps_per_epoch=steps_per_epoch, key="a duration"))


def _make_updates(
    settings: OptimSettings, network: str, length: RunLength
) -> tuple[optax.Schedule, optax.GradientTransformation]:
    optim = with_steps(settings, length.steps_per_epoch)
    schedule = cosine_schedule(
        base=settings.learning_rate,
        final=settings.final_learning_rate,
        steps=length.steps,
        warmup_steps=optim["warmup"],
        start=settings.warmup_start,
        hold=max(1, optim["hold"]),
    )
    decay = settings.weight_decay
    if settings.final_weight_decay != decay:
        decay = cosine_schedule(
            base=decay, final=settings.final_weight_decay, steps=length.steps
        )
    optimizer = make_optimizer(
        schedule,
        name=settings.name,
        momentum=settings.momentum,
        weight_decay=decay,
        larc_trust=settings.larc_trust,
        betas=tuple(settings.betas),
        clip_norm=settings.clip_norm,
        clip_each=settings.clip_each,
        layer_scale=layer_scales(network, settings.layer_decay),
        frozen={
            "prototypes": optim["freeze_prototypes"],
            "network.backbone": optim["freeze_backbone"],
        },
    )
    return schedule, optimizer


def run_facts(settings: Settings, data: RunData, length: RunLength) -> RunFacts:
    """Return what of a run its method's warnings may depend on."""
    shown = shown_to_training(data.split, settings.data.pretrain_on)
    return RunFacts(
        batch_size=settings.data.batch_size,
        training_images=len(shown),
        class_images=counts(data.catalog, shown),
        steps=length.steps,
        steps_per_epoch=length.steps_per_epoch,
        dtype=settings.model.dtype,
        freeze_prototypes=settings.optim.freeze_prototypes,
        init_from=settings.init_from,
        to_steps=partial(
            to_steps, steps_per_epoch=length.steps_per_epoch, key="a duration"
        ),
    )


def data_root(settings: Settings, workdir: Path) -> Path:
    """The image folder; synthetic cells are made in the workdir where asked for."""
    if settings.data.root:
        return user_path("config.data.root", settings.data.root)
    from bmjax.data.synthetic import ROOT, synthesize

    images, seed = settings.data.synthetic_images, settings.seed
    cells = drawn_cells(workdir, images, seed)

    def draw() -> None:
        if not (cells / ROOT).exists():
            say(f"drawing {images:,} synthetic cells into {cells}")
            synthesize(cells, images=images, seed=seed)

    from_first(draw)
    return cells


def make_recipe(augment: AugmentSettings, data: DataSettings) -> Recipe:
    """The augmentation of a run."""
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
        mean=tuple(data.mean),
        std=tuple(data.std),
    )


def make_method(
    settings: Settings, recipe: Recipe, steps_per_epoch: int, train: dict[str, int]
) -> Method:
    """The method of a run.

    Args:
        settings: of the run.
        recipe: its augmentation.
        steps_per_epoch: for the method's durations.
        train: how many training images each class has.
    """
    model = settings.model
    supervised = model.head == "classifier"
    lineages: tuple[int, ...] = ()
    if supervised and model.lineages:
        lineages = numbered(class_lineages(tuple(train), model.lineages))
    network = make_network(
        model.name,
        num_classes=len(train) if supervised else 0,
        lineages=lineages,
        head="none" if supervised else model.head,
        embedding_dim=model.embedding_dim,
        hidden_dim=model.hidden_dim,
        convolutions=model.convolutions,
        dtype=jnp.dtype(model.dtype),
        remat=model.remat,
        pooling=model.pooling,
        interpolation=model.interpolation,
        drop_path=model.drop_path,
    )
    spec, held = METHODS[settings.method_name], ()
    if settings.lora.rank:
        network = add_lora(
            network,
            rank=settings.lora.rank,
            alpha=settings.lora.alpha,
            layers=tuple(settings.lora.layers),
        )
        held = tuple(f"{name}.backbone" for name in spec.trained_networks)
    arguments = with_steps(settings.method, steps_per_epoch)
    if "class_weights" in arguments:
        arguments |= _class_terms(settings, train)
    method = spec.make(network, recipe=recipe, **arguments)
    return method._replace(frozen=(*method.frozen, *held))


def _class_terms(
    settings: Settings, train: dict[str, int]
) -> dict[str, jax.Array | None]:
    """What a loss on labels needs to know of the classes, each float32 [N] or None."""
    scheme, tau = settings.method.class_weights, settings.method.logit_adjustment
    weights, adjustment = class_weights(train, scheme), None
    if tau:
        # Not of the natural frequencies: what sampling or weights have made even
        # already would be corrected twice.
        shares = loss_shares(train, settings.data.sampling, scheme)
        adjustment = jnp.asarray(tau * np.log(shares), jnp.float32)
    return {
        "class_weights": None if weights is None else jnp.asarray(weights),
        "logit_adjustment": adjustment,
    }


def _check_divides(batch: int, devices: int, chunks: int) -> None:
    if batch % (devices * chunks):
        what = f"{devices} devices" + (f" x {chunks} chunks" if chunks > 1 else "")
        raise ConfigError(
            f"config.data.batch_size = {batch} does not divide by {what}; use a "
            f"multiple of {devices * chunks}"
        )


def make_prepare(data: DataSettings):
    """Pixels to images for evaluation, at the size that the images come in."""
    return plain(size=data.size, mean=tuple(data.mean), std=tuple(data.std))


def batch_shapes(data: DataSettings, mesh: jax.sharding.Mesh) -> Batch:
    """The shapes of a batch and how it is dealt out; no memory is taken for one."""
    size, count = data.size, data.batch_size
    sharding = batch_sharded(mesh)
    return Batch(
        pixels=jax.ShapeDtypeStruct(
            (count, size, size, 3), jnp.uint8, sharding=sharding
        ),
        labels=jax.ShapeDtypeStruct((count,), jnp.int32, sharding=sharding),
    )
