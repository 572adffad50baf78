"""A trained network with all that it needs to be applied to images.

The one place where a network is applied to new images: `bmjax.load`, `bmjax.predict`
and `bmjax.embed` all use `Encoder`.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from bmjax.augment.recipes import plain
from bmjax.data.far_moments import far_moments_note
from bmjax.data.images.decode import read_bytes
from bmjax.data.images.read_batches import ReadBatch, read_batches
from bmjax.data.images.resize import resize_square
from bmjax.data.open_images import OpenedImages, open_any_images
from bmjax.data.seen_images import Seen
from bmjax.devices.mesh import make_mesh, put_batch, replicated
from bmjax.errors import CheckpointError, ConfigError, DataError
from bmjax.evals.linear_probe import Linear, apply_linear, feature_weights, softmax
from bmjax.files import user_path
from bmjax.models import (
    AUTO,
    NETWORKS,
    feature_dim,
    feature_settings,
    make_network,
    preprocessing_of,
)
from bmjax.models.preprocessing import FOR_TORCHVISION
from bmjax.models.saliency import (
    CLASS_ACTIVATION,
    class_kernel,
    make_saliency,
    saliency_kind,
)
from bmjax.models.weight_files.networks_in_file import split_address
from bmjax.models.weight_files.state_dict import network_of_file
from bmjax.npz_file import read_npz
from bmjax.training import checkpoint
from bmjax.training.adapters import about_adapters, read_adapters_onto
from bmjax.training.run_config import read_run_config
from bmjax.training.trained_network import (
    Weights,
    backbone_digest,
    merged,
    metadata_of,
    read_file,
    read_saved,
    seen_by,
)
from bmjax.types import Tree

_PARTS = ("backbone", "fc")  # what features and classes need of a network
_PROJECTION = ("head", "prototypes")  # what embeddings need beside these

# Properties that follow from the arguments.
_CACHED = ("loaded", "digest", "linear_classifier", "_class_kernel")

ImageSource = np.ndarray | Sequence[Any] | str | os.PathLike
Outputs = dict[str, np.ndarray]


def load(
    source: str | os.PathLike,
    network: str = "",
    *,
    batch_size: int = 64,
    devices: int = 0,
    threads: int = 0,
    pooling: str = AUTO,
    interpolation: str = AUTO,
    adapters: str | os.PathLike = "",
) -> "Encoder":
    """Load a trained network, ready to be applied to images.

    Args:
        source: the workdir of a run, or a file of weights: .safetensors of
            `bmjax.export`, or .pth of torchvision, timm, SwAV and SupContrast, or
            of DINOv2, DinoBloom and DINOv3 (docs/encoders.md); FILE::ENTRY, such as
            "last.pth::model_ema", where it holds several networks.
        network: name of the network, such as "resnet50", where the file neither says
            it nor, as a vision transformer, shows it by its shapes; the encoder's
            `network` is the name in any case.
        batch_size: images a step; made a multiple of the devices.
        devices: how many to use; 0: all there are.
        threads: that read and decode; 0: one for each core.
        pooling: of a vision transformer's tokens: "cls", "patch_mean",
            "cls_patch_mean" or "cls4_patch_mean"; "auto": as the run or file was
            trained, else the network's own. With another than that there are features,
            and no classes.
        interpolation: of its learned positions: "offset", "size_antialias" or "size";
            "auto": likewise.
        adapters: a file of `bmjax export RUN --adapters`. The network is then that of
            the run: `source` with these merged into it, with the run's classes and
            preprocessing.

    Raises:
        ConfigError: there is no such run or file, it does not say its network, or its
            network has no such pooling or interpolation.
        CheckpointError: what is there is damaged, or is another network's; or the
            adapters are those of other weights.
    """
    encoder = Encoder(
        source,
        network,
        batch_size=batch_size,
        devices=devices,
        threads=threads,
        pooling=pooling,
        interpolation=interpolation,
        adapters=adapters,
    )
    encoder.loaded  # noqa: B018 so that errors come here
    return encoder


class _Loaded(NamedTuple):
    about: dict[str, Any]  # "network", "size", "mean", "std"; "classes" where known
    weights: Weights  # on the devices, the parts of `_PARTS` alone
    mesh: jax.sharding.Mesh
    from_pixels: Callable[..., dict[str, jax.Array]]
    from_normalized: Callable[..., dict[str, jax.Array]]
    maps: Callable[..., jax.Array]
    # "head" and "prototypes" of a run that has both, and statistics of the former.
    projection: tuple[Tree, Tree]
    params_digest: str  # of all parameters of a run's checkpoint; "" for a file


class Encoder(TransformerMixin, BaseEstimator):
    """A network that turns images into features and, where it can, into classes.

    Images are a uint8 array [n, H, W, 3] in RGB, a sequence of such arrays of any
    sizes or of paths, or the path of a folder (every JPEG and PNG below it, sorted by
    path) or of a prepared set. They are resized to the network's size and normalized
    as in training's evaluation, so the classes of a run's test images are those of its
    predictions.csv.

    It is a scikit-learn transformer: `fit` learns nothing, `transform` gives features.
    Weights are read when first needed; `bmjax.load` reads them at once.
    """

    def __init__(
        self,
        source: str | os.PathLike,
        network: str = "",
        *,
        batch_size: int = 64,
        devices: int = 0,
        threads: int = 0,
        pooling: str = AUTO,
        interpolation: str = AUTO,
        adapters: str | os.PathLike = "",
    ):
        self.source = source
        self.network = network
        self.batch_size = batch_size
        self.devices = devices
        self.threads = threads
        self.pooling = pooling
        self.interpolation = interpolation
        self.adapters = adapters

    # What it is.

    @cached_property
    def loaded(self) -> _Loaded:
        """The network on its devices; read when first asked for."""
        if self.batch_size < 1:
            raise ConfigError(f"batch_size = {self.batch_size}; give 1 or more")
        loaded = _load(
            user_path("source", self.source),
            self.network,
            self.devices,
            {"pooling": self.pooling, "interpolation": self.interpolation},
            user_path("adapters", self.adapters) if self.adapters else None,
        )
        self.network = loaded.about["network"]
        return loaded

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `predict`; () where not known."""
        return tuple(self.loaded.about.get("classes") or ())

    @property
    def size(self) -> int:
        """Side of the images that the network takes, in pixels."""
        return self.loaded.about["size"]

    @property
    def resize(self) -> str:
        """Kernel that resizes images, one of `bmjax.data.images.resize.RESIZES`."""
        return self.loaded.about.get("resize", "area")

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each channel, red, green, blue, of values in 0 to 1."""
        return tuple(self.loaded.about["mean"])

    @property
    def std(self) -> tuple[float, ...]:
        """Deviation of each channel."""
        return tuple(self.loaded.about["std"])

    @property
    def feature_settings(self) -> dict[str, str]:
        """By which "pooling" and "interpolation" features are made, never "auto"."""
        return {name: self.loaded.about[name] for name in ("pooling", "interpolation")}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the backbone: a run and the file exported of it have the same."""
        weights = self.loaded.weights
        return backbone_digest(weights.params, weights.batch_stats)

    @property
    def params_digest(self) -> str:
        """SHA-256 of all parameters, params_sha256 of a run's results; "" for a file.

        What a run keeps of its cells names the parameters that it is of by this.
        """
        return self.loaded.params_digest

    @property
    def description(self) -> str:
        """What it is, for people."""
        about = self.loaded.about
        if "method" not in about:
            return f"{about['network']} from {self.source}"
        return f"{about['network']} of {about['method']}, step {about['step']:,}"

    @property
    def data_fingerprint(self) -> str:
        """Of the images that it was trained and tested on; "" where not known."""
        return self.loaded.about.get("trained_on", {}).get("data_fingerprint", "")

    @property
    def seen(self) -> Seen | None:
        """The images that it was trained on; None where not known."""
        return seen_by(self.loaded.about)

    # What it does.

    def features(self, images: ImageSource) -> np.ndarray:
        """Return the features of images, float32 [n, F].

        Raises:
            DataError: an image cannot be read, or is no image.
        """
        return self._collect(images, lambda pixels, outputs: outputs["features"])

    def predict(self, images: ImageSource) -> np.ndarray:
        """Return the probability of each class, float32 [n, N].

        They are the softmax of the network's classifier or, where it has none, of the
        linear classifier that its run fitted on the features.

        Raises:
            ConfigError: there is neither.
            CheckpointError: the linear classifier is damaged.
            DataError: an image cannot be read, or is no image.
        """
        self.check_classifier()
        return self._collect(
            images, lambda pixels, outputs: self.probabilities(outputs)
        )

    def saliency(self, images: ImageSource) -> np.ndarray:
        """Return where the network looks in each image, float32 [n, rows, columns].

        What the numbers are, `saliency_kind` says: the attention of a vision
        transformer's class token, or the class activation of the predicted class of a
        residual network (`bmjax.models.saliency`).

        Raises:
            ConfigError: a residual network has no classifier.
            DataError: an image cannot be read, or is no image.
        """
        return self._collect(images, self._saliency)

    @property
    def saliency_kind(self) -> str:
        """What `saliency` gives: "attention" or "class activation"."""
        return saliency_kind(self.loaded.about["network"])

    def _saliency(self, pixels: np.ndarray, outputs: Outputs) -> np.ndarray:
        """Return the maps of one full batch, uint8 [B, S, S, 3], with its outputs."""
        of_classes = np.zeros_like(outputs["features"])  # attention asks for no class
        if self.saliency_kind == CLASS_ACTIVATION:
            self.check_classifier()
            chosen = self.probabilities(outputs).argmax(axis=1)
            of_classes = self._class_kernel.T[chosen]
        weights = self.loaded.weights
        placed = put_batch((pixels, of_classes), self.loaded.mesh)
        maps = self.loaded.maps(weights.params, weights.batch_stats, *placed)
        return np.asarray(jax.device_get(maps), np.float32)

    def forward(self, images: np.ndarray) -> Outputs:
        """Return the network's outputs for images that are normalized already.

        Args:
            images: float [n, H, W, 3], (value in 0 to 1 - mean) / std.

        Returns:
            "features" [n, F] and, with a classifier, "logits" [n, N], float32; float64
            where images are and jax_enable_x64 is set, and so is all that is computed.
        """
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[-1] != 3 or images.dtype.kind != "f":
            raise DataError(
                f"normalized images are a float array [n, H, W, 3], not {images.dtype} "
                f"{list(images.shape)}; `features` takes pixels"
            )
        # float64 where jax has it enabled, else float32.
        kind = jnp.promote_types(jnp.float32, images.dtype)
        kind = jax.dtypes.canonicalize_dtype(kind)
        batches = []
        for start in range(0, max(len(images), 1), self.step):
            chosen = images[start : start + self.step].astype(kind)
            outputs = self._run(self.loaded.from_normalized, _filled(chosen, self.step))
            batches.append({k: v[: len(chosen)] for k, v in outputs.items()})
        return {k: np.concatenate([b[k] for b in batches]) for k in batches[0]}

    def fit(self, images: object = None, labels: object = None) -> "Encoder":
        """Learn nothing; return itself."""
        del images, labels
        return self

    def transform(self, images: ImageSource) -> np.ndarray:
        """Return the features of images, float32 [n, F]."""
        return self.features(images)

    # For those that read the images themselves.

    @property
    def step(self) -> int:
        """Images in one batch: `batch_size`, made a multiple of the devices."""
        devices = self.loaded.mesh.size
        return -(-self.batch_size // devices) * devices

    def apply(
        self,
        images: OpenedImages,
        *,
        complain: Callable[[str], None],
        progress: Callable[[int, int], None],
    ) -> Iterator[tuple[ReadBatch, Outputs]]:
        """Read images and give the network's outputs, a batch in memory at a time.

        Args:
            images: of a folder.
            complain: takes a sentence for each image that cannot be read.
            progress: called with how many images are done, and of how many.

        Yields:
            a batch, whose `positions` count, and its outputs; {} where none could be
            read.
        """
        done, total = 0, len(images.paths)
        progress(0, total)
        for batch in self._read_batches(images.paths, images.encoded):
            for sentence in batch.failed:
                complain(sentence)
            yield batch, self.outputs(batch.pixels) if batch.positions else {}
            done += len(batch.positions) + len(batch.failed)
            progress(done, total)

    def moments_note(self, images: OpenedImages) -> str:
        """A sentence where images are far from what the weights were trained with.

        "" where they are not, and where it is not known how these were normalized.
        """
        about = self.loaded.about
        if "method" not in about and preprocessing_of(about["network"]) is None:
            return ""
        return far_moments_note(
            images.encoded,
            range(len(images.paths)),
            mean=self.mean,
            std=self.std,
            threads=self.threads,
        )

    def outputs(self, pixels: np.ndarray) -> Outputs:
        """Return the network's outputs for one full batch, uint8 [B, S, S, 3]."""
        return self._run(self.loaded.from_pixels, pixels)

    def probabilities(self, outputs: Outputs) -> np.ndarray:
        """Return float32 [B, N] of a batch's outputs; `predict` has the errors."""
        if "logits" in outputs:
            return softmax(outputs["logits"])
        return apply_linear(self.linear_classifier, outputs["features"])

    def check_classifier(self) -> None:
        """Raise what `predict` raises where there is nothing to name classes with."""
        if "fc" not in self.loaded.weights.params:
            self.linear_classifier  # noqa: B018

    @cached_property
    def linear_classifier(self) -> Linear:
        """What a run fitted on the features; `predict` has the errors."""
        # A run's own stands on the features without adapters.
        source = user_path("source", self.adapters or self.source)
        return _read_linear(source, self.loaded.about)

    @cached_property
    def _class_kernel(self) -> np.ndarray:
        """The weights of each class on the features, [F, N]."""
        weights = self.loaded.weights
        if "fc" in weights.params:
            return np.asarray(class_kernel(weights.params, weights.batch_stats))
        return feature_weights(self.linear_classifier)

    def _run(self, function: Callable, images: np.ndarray) -> Outputs:
        weights = self.loaded.weights
        placed = put_batch(images, self.loaded.mesh)
        outputs = function(weights.params, weights.batch_stats, placed)
        host = jax.device_get(outputs)
        kind = np.float64 if placed.dtype == np.float64 else np.float32
        return {name: np.asarray(array, kind) for name, array in host.items()}

    def _collect(
        self, images: ImageSource, take: Callable[[np.ndarray, Outputs], np.ndarray]
    ) -> np.ndarray:
        rows = [
            take(pixels, self.outputs(pixels))[:count]
            for pixels, count in self._batches(images)
        ]
        if rows:
            return np.concatenate(rows)
        empty = np.zeros((self.step, self.size, self.size, 3), np.uint8)
        return take(empty, self.outputs(empty))[:0]

    def _batches(self, images: ImageSource) -> Iterator[tuple[np.ndarray, int]]:
        """Full batches of pixels, and how many of their rows count."""
        if isinstance(images, str | os.PathLike):
            path = user_path("images", images)
            if not path.is_file():
                opened = open_any_images(path)
                yield from self._read(opened.paths, opened.encoded)
                return
            images = [path]
        items = images if isinstance(images, np.ndarray) else list(images)
        if len(items) and isinstance(items[0], str | os.PathLike):
            paths = [user_path("image", item) for item in items]
            names = [str(path) for path in paths]
            yield from self._read(names, lambda position: read_bytes(paths[position]))
            return
        for start in range(0, len(items), self.step):
            chosen = [
                resize_square(_checked(item), size=self.size, how=self.resize)
                for item in items[start : start + self.step]
            ]
            yield _filled(np.stack(chosen), self.step), len(chosen)

    def _read(
        self, names: Sequence[str], encoded: Callable[[int], np.ndarray]
    ) -> Iterator[tuple[np.ndarray, int]]:
        for batch in self._read_batches(names, encoded):
            if batch.failed:
                raise DataError(batch.failed[0])
            yield batch.pixels, len(batch.positions)

    def _read_batches(
        self, names: Sequence[str], encoded: Callable[[int], np.ndarray]
    ) -> Iterator[ReadBatch]:
        return read_batches(
            names,
            encoded,
            size=self.size,
            resize=self.resize,
            batch_size=self.step,
            threads=self.threads,
        )

    # For scikit-learn.

    def set_params(self, **params: Any) -> "Encoder":
        """Change arguments of the constructor; the weights are read anew."""
        super().set_params(**params)
        for name in _CACHED:
            self.__dict__.pop(name, None)
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: state[name] for name in state if name not in _CACHED}

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _checked(image: Any) -> np.ndarray:
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[-1] != 3
        or not image.size
    ):
        what = (
            f"{image.dtype} {list(image.shape)}"
            if isinstance(image, np.ndarray)
            else type(image).__name__
        )
        raise DataError(
            f"an image is a uint8 array [H, W, 3] in RGB, or a path, not {what}; "
            "`forward` takes normalized images"
        )
    return image


def _filled(images: np.ndarray, count: int) -> np.ndarray:
    """Repeat the last image, or zeros, up to a full batch."""
    if not len(images):
        return np.zeros((count, *images.shape[1:]), images.dtype)
    return np.concatenate([images, images[-1:].repeat(count - len(images), 0)])


def _load(
    source: Path,
    network: str,
    devices: int,
    asked: dict[str, str],
    adapters: Path | None,
) -> _Loaded:
    mesh = make_mesh(devices)
    plain_model: dict[str, Any] = {"convolutions": "auto", "dtype": "float32"}
    model = dict(plain_model)
    params_digest = ""
    if source.is_dir():
        saved, parameters = read_saved(source, replicated(mesh))
        weights, params_digest = merged(saved), checkpoint.digest(parameters)
        model |= dataclasses.asdict(read_run_config(source).model)
        if network and network != weights.about["network"]:
            raise ConfigError(
                f"{str(source)!r} is a run of {weights.about['network']}, not of "
                f"{network}; leave the network out"
            )
    else:
        likely = about_adapters(adapters)["network"] if adapters else ""
        weights = _read_weights_file(source, network, likely)
    if adapters:
        weights = read_adapters_onto(weights, source, adapters)
        model = plain_model
    trained = feature_settings(
        weights.about["network"],
        **{name: weights.about.get(name, AUTO) for name in asked},
    )
    used = feature_settings(
        weights.about["network"],
        **{
            name: trained[name] if value == AUTO else value
            for name, value in asked.items()
        },
    )
    about = {**weights.about, **used, "trained_pooling": trained["pooling"]}
    parts = _PARTS if used["pooling"] == trained["pooling"] else ("backbone",)
    classifier = weights.params.get("fc") if "fc" in parts else None
    classes = about.get("classes")
    count = len(classifier["bias"]) if classifier is not None else 0
    if count and classes and len(classes) != count:
        raise CheckpointError(
            f"{str(source)!r} names {len(classes)} classes and its classifier has "
            f"{count}; export it again"
        )
    kept = weights.batch_stats.get("fc", {}) if classifier is not None else {}
    make = partial(
        make_network,
        about["network"],
        num_classes=count,
        lineages=tuple(int(number) for number in kept.get("lineages", ())),
        convolutions=model["convolutions"],
        pooling=about["pooling"],
        interpolation=about["interpolation"],
    )
    of_model = make(dtype=jnp.dtype(model["dtype"]))
    params, batch_stats = (
        jax.device_put(
            {part: tree[part] for part in parts if part in tree}, replicated(mesh)
        )
        for tree in (weights.params, weights.batch_stats)
    )
    beside = _PROJECTION if "prototypes" in weights.params else ()
    head, statistics = (
        {part: tree[part] for part in beside if part in tree}
        for tree in (weights.params, weights.batch_stats)
    )
    prepare = plain(
        size=about["size"], mean=tuple(about["mean"]), std=tuple(about["std"])
    )

    @jax.jit
    def from_normalized(params, batch_stats, images):
        wide = images.dtype == jnp.float64
        made = make(dtype=jnp.float64) if wide else of_model
        outputs, _ = made.apply(params, batch_stats, images, train=False)
        return {k: outputs[k] for k in ("features", "logits") if k in outputs}

    @jax.jit
    def from_pixels(params, batch_stats, pixels):
        return from_normalized(params, batch_stats, prepare(pixels))

    @jax.jit
    def maps(params, batch_stats, pixels, weights):
        of_images = make_saliency(
            about["network"],
            interpolation=about["interpolation"],
            convolutions=model["convolutions"],
            dtype=jnp.dtype(model["dtype"]),
        )
        return of_images(params, batch_stats, prepare(pixels), weights)

    return _Loaded(
        about,
        Weights(params, batch_stats, about),
        mesh,
        from_pixels,
        from_normalized,
        maps,
        (head, statistics),
        params_digest,
    )


def _read_weights_file(path: Path, network: str, likely: str) -> Weights:
    """Read a file of weights; `likely` is its network where nothing else says it."""
    if not split_address(path)[0].is_file():
        raise ConfigError(
            f"{str(path)!r} is neither a run's folder nor a .safetensors file, nor any "
            "other file of weights; give the workdir of a run, or such a file"
        )
    said = metadata_of(path)
    name = network or said.get("network", "") or network_of_file(path) or likely
    if not name:
        raise ConfigError(
            f"{str(path)!r} does not say which network it is, nor its classes; give "
            f"network=NAME, one of {', '.join(NETWORKS)}, or a file that bmjax.export "
            "wrote"
        )
    weights = read_file(path, name)
    # Files that bmjax wrote before they named the kernel are of runs with "area".
    about = {"resize": "area", **weights.about} if weights.about else {}
    # A residual network's that says nothing: most are trained as torchvision's.
    own = preprocessing_of(name) or FOR_TORCHVISION
    return weights._replace(about={**own._asdict(), **about, "network": name})


def _read_linear(source: Path, about: dict[str, Any]) -> Linear:
    """The linear classifier that a run fitted on its features."""
    if about["pooling"] != about["trained_pooling"]:
        raise ConfigError(
            f"a classifier of {str(source)!r} stands on features with pooling = "
            f"{about['trained_pooling']!r}, not {about['pooling']!r}; leave the "
            "pooling out"
        )
    if not source.is_dir():
        method = about.get("method", "no run is known")
        raise ConfigError(
            f"{str(source)!r} holds no classifier ({method}); give the workdir of the "
            "run, which has its linear classifier"
        )
    path = source / "features" / "linear.npz"
    if not path.exists():
        raise ConfigError(
            f"{str(source)!r} was pretrained without labels ({about['method']}, step "
            f"{about['step']:,}) and has no linear classifier yet; let it finish, by "
            "its own command"
        )
    try:
        linear = Linear(**read_npz(path, Linear._fields))
        _check_linear(linear, about)
        return linear
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{str(path)!r} is damaged ({error}); run the same command again to fit it "
            "anew"
        ) from None


def _check_linear(linear: Linear, about: dict[str, Any]) -> None:
    """Raise ValueError unless a classifier is of these features and classes."""
    width = feature_dim(about["network"], pooling=about["pooling"])
    count = len(about.get("classes") or linear.bias)
    wanted = ((width, count), (count,), (width,), (width,))  # as its fields
    for name, array, shape in zip(Linear._fields, linear, wanted, strict=True):
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}, expected "
                f"float32{list(shape)}"
            )
