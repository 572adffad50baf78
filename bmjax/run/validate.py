"""What can be seen wrong in a configuration before anything is done with it."""

from pathlib import Path

from ml_collections import ConfigDict

from bmjax.data.class_weights import SCHEMES
from bmjax.data.images.folder import TCIA
from bmjax.data.sampling import SAMPLINGS
from bmjax.data.splits.make_split import check_split
from bmjax.errors import ConfigError, check_known
from bmjax.methods import METHODS
from bmjax.models import LOWERINGS, NETWORKS, check_image_size
from bmjax.run.durations import to_steps
from bmjax.run.workdir import flatten
from bmjax.training.optimizer import OPTIMIZERS

# Lowest and highest value of each number that is used as more than a factor.
_RANGES = {
    "seed": (0, 2**32 - 1),  # scikit-learn's t-SNE takes no other
    "data.split_seed": (0, 2**63 - 1),
    "data.size": (16, 4096),
    "data.batch_size": (1, 2**20),
    "data.per_class": (1, 2**40),
    "data.synthetic_images": (0, 10**7),
    "data.threads": (1, 1024),
    "data.prefetch": (1, 1024),
    "data.workers": (0, 1024),
    "data.bad_share": (0, 1),
    "augment.large": (1, 16),
    "augment.large_size": (8, 4096),
    "augment.small": (0, 64),
    "augment.small_size": (8, 4096),
    "augment.flip_horizontal": (0, 1),
    "augment.flip_vertical": (0, 1),
    "augment.jitter": (0, 1),
    "augment.hue": (0, 0.5),
    "augment.saturation": (0, 10),
    "augment.value": (0, 10),
    "augment.grayscale": (0, 1),
    "augment.blur": (0, 1),
    "augment.stain": (0, 1),
    "augment.stain_strength": (0, 1),
    "model.embedding_dim": (1, 2**20),
    "model.hidden_dim": (0, 2**20),
    "train.accumulate": (1, 2**20),
    "optim.learning_rate": (1e-30, 1e38),
    "optim.final_learning_rate": (0, 1e38),
    "optim.warmup_start": (0, 1e38),
    "optim.momentum": (0, 0.9999),
    "optim.weight_decay": (0, 1e3),
    "optim.larc_trust": (0, 1e3),
    "optim.final_weight_decay": (0, 1e3),
    "optim.clip_norm": (0, 1e38),
    "optim.layer_decay": (0, 1),
    "mesh.devices": (0, 2**20),
    "probe.epochs": (1, 10**6),
    "probe.batch_size": (1, 2**20),
    "probe.learning_rate": (1e-30, 1e38),
    "probe.augmented_passes": (0, 1000),
    "probe.validation_share": (0, 0.5),
    "probe.logistic_strength": (0, 1e12),
    "probe.logistic_iterations": (1, 10**6),
    "probe.logistic_images": (0, 10**9),
    "tsne.images": (1, 10**7),
    "tsne.perplexity": (1, 10**4),
}
_LEAST_DEVIATION = 1e-6  # of a channel, white is 1: `stats` prints six digits
_PROBE_SAMPLINGS = ("natural", "balanced")
_PRETRAIN_ON = ("train", "all")
_DTYPES = ("float32", "bfloat16")
_PAIRS = ("augment.large_scale", "augment.small_scale", "augment.blur_sigma")
_DURATIONS = (
    "train.duration",
    "optim.warmup",
    "optim.hold",
    "optim.freeze_prototypes",
    "optim.freeze_backbone",
)


def check(config: ConfigDict) -> None:
    """Raise ConfigError for all that can be seen wrong without data or devices.

    A value that fails only at the end of a run costs the run, so what evaluation needs
    is looked at here too.
    """
    flat = flatten(config.to_dict())
    check_known("config.method.name", flat["method.name"], tuple(METHODS))
    method = METHODS[flat["method.name"]]
    known = {
        "model.name": tuple(NETWORKS),
        "model.convolutions": LOWERINGS,
        "model.dtype": _DTYPES,
        "optim.name": tuple(OPTIMIZERS),
        "data.sampling": SAMPLINGS,
        "data.pretrain_on": _PRETRAIN_ON,
        "probe.sampling": _PROBE_SAMPLINGS,
        "model.head": method.HEADS,
    }
    for key, values in known.items():
        check_known(f"config.{key}", flat[key], values)
    ranges = {f"method.{key}": pair for key, pair in method.RANGES.items()}
    for key, (low, high) in {**_RANGES, **ranges}.items():
        if key in flat and not low <= flat[key] <= high:
            raise ConfigError(
                f"config.{key} = {flat[key]} is out of range; use {low:g} to {high:g}"
            )
    sizes = ["data.size", "augment.large_size"]
    for key in sizes + ["augment.small_size"] * bool(config.augment.small):
        check_image_size(flat["model.name"], flat[key], f"config.{key}")
    for key in _PAIRS:
        pair = flat[key]
        if not (len(pair) == 2 and 0 < pair[0] <= pair[1]):
            raise ConfigError(
                f"config.{key} = {tuple(pair)} is no range; give two numbers above 0, "
                "the lower first"
            )
    for key in ("data.mean", "data.std"):
        values, lowest = flat[key], 0 if key == "data.mean" else _LEAST_DEVIATION
        if len(values) != 3 or not all(lowest <= value <= 1 for value in values):
            raise ConfigError(
                f"config.{key} = {tuple(values)} is out of range; give one number from "
                f"{lowest:g} to 1 for each of red, green and blue, as python -m "
                "bmjax.data stats prints them"
            )
    durations = (*_DURATIONS, "checkpoint.every", "logs.every")
    for key in (*durations, *(f"method.{k}" for k in method_durations(config))):
        to_steps(flat[key], steps_per_epoch=1, key=f"config.{key}")
    scheme = flat.get("method.class_weights", "none")
    if ":" not in scheme:
        check_known(
            "config.method.class_weights", scheme, (*SCHEMES, "CLASS:WEIGHT,...")
        )
    check_split(config.data.split, config.data.fold)
    if config.data.pretrain_on == "all" and method.LABELS:
        without = ", ".join(name for name, file in METHODS.items() if not file.LABELS)
        raise ConfigError(
            f"config.data.pretrain_on = 'all' would show {config.method.name} the "
            f"labels of the test images; use 'train', or a method without labels "
            f"({without})"
        )
    if config.data.couples and config.data.batch_size % 2:
        raise ConfigError(
            f"config.data.couples puts images in twos, and config.data.batch_size = "
            f"{config.data.batch_size} is odd; use an even one"
        )
    if config.augment.large < method.LARGE_VIEWS:
        raise ConfigError(
            f"config.augment.large = {config.augment.large}, but {config.method.name} "
            f"compares large views; use {method.LARGE_VIEWS}"
        )
    if config.method.name == "swav":
        _check_queue(config)
    if config.init_from and not Path(config.init_from).expanduser().exists():
        raise ConfigError(
            f"config.init_from = {config.init_from!r} does not exist; give the workdir "
            "of a trained run, or a file of weights (.safetensors, .pth)"
        )
    if not (config.data.root or config.data.synthetic_images):
        raise ConfigError(
            f"config.data.root is empty; give a folder of images, such as {TCIA}, with "
            "--config.data.root=FOLDER, make synthetic cells with python -m bmjax.data "
            "synthesize, or run the variant :demo, which needs no data"
        )


def _check_queue(config: ConfigDict) -> None:
    queue, batch = config.method.queue_length, config.data.batch_size
    if queue % batch:
        raise ConfigError(
            f"config.method.queue_length = {queue} is no multiple of "
            f"config.data.batch_size = {batch}; use {queue // batch * batch} or "
            f"{(queue // batch + 1) * batch}"
        )


def method_durations(config: ConfigDict) -> list[str]:
    """Keys of the method's settings that are durations: those that end in `_from`."""
    return [key for key in config.method if key.endswith("_from")]
