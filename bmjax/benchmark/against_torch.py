"""The step beside the same step in PyTorch, in turns within one run.

Both sides take images that lie ready in memory, normalized, at the configuration's
size; so the augmentation, which torch users do on the host, is left out here and timed
apart. Both make the same update: forward, loss, backward, optimizer. Weights and images
are random on both sides.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from bmjax.benchmark.measure import about_machine
from bmjax.benchmark.peer import Peer
from bmjax.benchmark.spread import summarize
from bmjax.benchmark.stand_in import build_to_measure
from bmjax.errors import ConfigError
from bmjax.models.families import spec_of
from bmjax.models.resnet import RESNETS
from bmjax.models.vision_transformer import VitSpec
from bmjax.run.build import BuiltRun
from bmjax.settings import with_steps
from bmjax.training.step import TrainState, make_init, make_train_step
from bmjax.types import Batch, Views

_KNOWN = ("supervised", "swav")  # that the peer knows
# Rows and columns of the matrices whose product is taken as the peak.
_PEAK = {"cpu": 2048, "cuda": 8192}


def compare_with_torch(
    config: ConfigDict,
    scratch: Path,
    *,
    steps: int,
    turns: int,
    python: str,
    device: str = "cpu",
    precision: str = "float32",
    compiled: bool = False,
) -> dict[str, Any]:
    """Time train step and inference of a configuration on both sides.

    Args:
        config: of the run; its method is "supervised" or "swav".
        scratch: a folder that may be filled.
        steps: in each turn.
        turns: of each kind, alternating, after one that is not counted.
        python: interpreter that has torch.
        device: of the other side, "cpu" or "cuda".
        precision: of its products, "float32", "tensorfloat32", or "bfloat16" for
            automatic mixed precision. Ours is the configuration's.
        compiled: whether `torch.compile` makes its network.

    Returns:
        names and figures. Rates are medians over turns, in images (of which SwAV's step
        takes two views) per second; `..._over_torch` are medians of the ratios of
        neighboring turns; `peak_fraction` is of what a large matrix product reaches on
        the same side, counted in useful operations.

    Raises:
        ConfigError: the peer does not know the method or the network, or there is no
            torch.
    """
    if config.method.name not in _KNOWN:
        raise ConfigError(
            f"--compare=torch knows the methods {' and '.join(_KNOWN)}, not "
            f"{config.method.name!r}; give one of their configurations"
        )
    if not _known_network(config):
        raise ConfigError(
            "--compare=torch knows residual networks and vision transformers with "
            "learned positions, GELU and the class token for features, without "
            f"stochastic depth, not {config.model.name!r} as it is configured; set "
            "--config.model.name to such a network, or --config.model.pooling=cls "
            "--config.model.drop_path=0"
        )
    config.mesh.devices = 1
    run = build_to_measure(config, scratch, with_images=False)
    task = _task(run, device) | {
        "device": device,
        "precision": precision,
        "compiled": compiled,
    }
    peer = Peer(python, "bmjax.benchmark.torch_step", task, needs="torch")
    jobs, figures = _make_jobs(run, task["peak"])
    seconds: dict[str, list[float]] = {}
    for turn in range(turns + 1):
        for name, job in jobs.items():
            ours = _seconds(job, steps)
            theirs = peer.turn(steps, name) if name in _SHARED else None
            if turn:
                seconds.setdefault(name, []).append(ours)
                if theirs is not None:
                    seconds.setdefault(f"torch_{name}", []).append(theirs)
    peer.close()
    return figures | _figures(run, seconds, steps, peer, task["peak"])


_SHARED = ("train", "predict", "peak")


def _known_network(config: ConfigDict) -> bool:
    """Whether the peer has the same network."""
    spec = spec_of(
        config.model.name,
        pooling=config.model.pooling,
        interpolation=config.model.interpolation,
        drop_path=config.model.drop_path,
    )
    if not isinstance(spec, VitSpec):
        return config.model.name in RESNETS.specs
    has = (spec.mlp, spec.pooling, spec.rotary, spec.drop_path)
    return has == ("gelu", "cls", False, 0.0)


def _figures(
    run: BuiltRun,
    seconds: dict[str, list[float]],
    steps: int,
    peer: Peer,
    peak_size: int,
) -> dict[str, Any]:
    """Rates, ratios and shares of what both sides took."""
    settings = run.settings
    figures: dict[str, Any] = {
        "method": settings.method_name,
        "network": settings.model.name,
        "batch_size": settings.data.batch_size,
        "size": settings.data.size,
        "threads": _threads(),
        **about_machine(run.mesh),
        "peer": peer.versions,
    }
    images = steps * settings.data.batch_size
    for name in ("train", "predict"):
        ours, theirs = seconds[name], seconds[f"torch_{name}"]
        figures |= summarize(f"{name}_images_per_second", [images / s for s in ours])
        figures |= summarize(
            f"torch_{name}_images_per_second", [images / s for s in theirs]
        )
        figures |= summarize(f"{name}_over_torch", _ratios(theirs, ours))
    for side in ("", "torch_"):
        peak = [2 * steps * peak_size**3 / s for s in seconds[f"{side}peak"]]
        figures |= summarize(f"{side}peak_gigaflops", [rate / 1e9 for rate in peak])
        for name in ("train", "predict"):
            useful = steps * peer.about["flops"][name]
            reached = [useful / s for s in seconds[side + name]]
            figures |= summarize(
                f"{side}{name}_peak_fraction",
                [rate / top for rate, top in zip(reached, peak, strict=True)],
            )
    for part in ("augmentation", "loss"):
        figures |= summarize(
            f"{part}_over_train", _ratios(seconds[part], seconds["train"])
        )
    return figures


def _ratios(above: list[float], below: list[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def _make_jobs(
    run: BuiltRun, peak_size: int
) -> tuple[dict[str, Callable[[], Any]], dict[str, Any]]:
    """Compile our side: what a step of each kind does, and what compiling took."""
    settings, learner = run.settings, run.learner
    size, count = settings.data.size, settings.data.batch_size
    number_of_views = 1 if settings.method_name == "supervised" else 2
    shape = (count, number_of_views, size, size, 3)
    labels = jnp.arange(count, dtype=jnp.int32) % len(run.data.catalog.classes)
    views = Views((jax.random.normal(jax.random.key(0), shape),), labels)
    method = learner.method._replace(views=lambda key, views: views)
    state = jax.jit(make_init(method, learner.optimizer, seed=0))(views)
    if settings.method_name == "swav":
        # As far into training as the queue is in use.
        swav = with_steps(settings.method, run.length.steps_per_epoch)
        late = swav["queue_length"] // count + swav["queue_from"]
        state = _at_step(state, late + 1)
    started = time.perf_counter()
    train = (
        jax.jit(make_train_step(method, learner.optimizer, seed=0), donate_argnums=0)
        .lower(state, views)
        .compile()
    )
    compile_seconds = time.perf_counter() - started
    embeddings, _ = jax.eval_shape(
        method.embed,
        jax.random.key(5),
        state.params,
        state.batch_stats,
        state.method,
        views,
    )
    embeddings = jax.random.normal(jax.random.key(1), embeddings.shape)

    @jax.jit
    def loss(params, embeddings, remembered, step):
        def value(params, embeddings):
            return method.loss(params, embeddings, remembered, views, step)

        gradients, (remembered, metrics) = jax.grad(
            value, argnums=(0, 1), has_aux=True
        )(params, embeddings)
        small = {k: v for k, v in gradients[0].items() if k != "network"}
        return small, gradients[1], remembered, metrics

    predict = jax.jit(method.predict)
    augment = jax.jit(learner.method.views)
    pixels = jax.random.bits(jax.random.key(3), (count, size, size, 3), jnp.uint8)
    matrix = jax.random.normal(jax.random.key(4), (peak_size,) * 2)
    matrix = matrix.astype(settings.model.dtype)
    product = jax.jit(jnp.matmul)
    images = views.images[0][:, 0]
    key = jax.random.key(2)

    def train_once():
        nonlocal state
        state, metrics = train(state, views)
        return metrics

    jobs = {
        "train": train_once,
        "predict": lambda: predict(state.params, state.batch_stats, images),
        "peak": lambda: product(matrix, matrix),
        "augmentation": lambda: augment(key, Batch(pixels, labels)),
        "loss": lambda: loss(state.params, embeddings, state.method, state.step),
    }
    for job in jobs.values():
        jax.block_until_ready(job())
    memory = train.memory_analysis()
    return jobs, {
        "compile_seconds": compile_seconds,
        "temporary_bytes": memory.temp_size_in_bytes if memory else 0,
    }


def _at_step(state: TrainState, step: int) -> TrainState:
    return TrainState(
        step=jnp.int32(step),
        params=state.params,
        batch_stats=state.batch_stats,
        method=state.method,
        opt=state.opt,
    )


def _seconds(job: Callable[[], Any], steps: int) -> float:
    jax.block_until_ready(job())
    started = time.perf_counter()
    for _ in range(steps):
        made = job()
    jax.block_until_ready(made)
    return time.perf_counter() - started


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _task(run: BuiltRun, device: str) -> dict[str, Any]:
    """What the peer has to build: the same network, sizes and update."""
    settings = run.settings
    swav = None
    if settings.method_name == "swav":
        names = ("prototypes", "queue_length", "epsilon", "iterations", "temperature")
        swav = {name: getattr(settings.method, name) for name in names}
        swav["embedding_dim"] = settings.model.embedding_dim
    spec = spec_of(settings.model.name)
    return {
        "kind": "vit" if isinstance(spec, VitSpec) else "resnet",
        "network": spec._asdict(),
        "size": settings.data.size,
        "batch_size": settings.data.batch_size,
        "classes": len(run.data.catalog.classes),
        "optimizer": {
            "name": settings.optim.name,
            "betas": list(settings.optim.betas),
            "learning_rate": settings.optim.learning_rate,
            "momentum": settings.optim.momentum,
            "weight_decay": settings.optim.weight_decay,
            "larc_trust": settings.optim.larc_trust,
        },
        "swav": swav,
        "threads": _threads(),
        "peak": _PEAK[device],
    }
