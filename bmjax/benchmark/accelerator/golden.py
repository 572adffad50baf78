"""Parity with the recorded numbers of the reference implementations, on the device.

The records lie in a clone's tests/golden, and what rebuilds their weights beside them
in tests/helpers; an installed bmjax has neither.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from bmjax.benchmark.accelerator.numerics import relative_difference
from bmjax.benchmark.accelerator.outcome import NotRun, check_line
from bmjax.losses import sinkhorn, supcon
from bmjax.models import make_network
from bmjax.models.families import NETWORKS
from bmjax.models.vision_transformer import VisionTransformer

# As a share of the largest recorded value. float64: sums in another order (1e-13), and
# for transformers positions that the originals interpolate in float32. float32: the
# records' README; gradients of deep networks on 64 pixels stray by 0.6 %.
_BOUNDS = {"float64": 1e-6, "float32": 2e-4}
_GRADIENT_BOUNDS = {"float64": 1e-6, "float32": 2e-2}
_RESNETS = {
    "small": ("resnet18",),
    "paper": ("resnet18", "resnext50_32x4d"),
}
_VITS = {
    "small": (("dinov2_tiny14", "n3_56"),),
    "paper": (
        ("dinov2_tiny14", "n3_56"),
        ("dinov3_tiny16", "n2_64"),
        ("dinobloom_s", "n2_224"),
    ),
}
_RESNET_CASE = "n4_64"


def check_golden(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Losses, residual networks or transformers, in float64 and in float32."""
    del scratch
    folder = Path(task["golden"])
    if not (folder / "swav_sinkhorn.npz").exists():
        raise NotRun(
            f"no records in {str(folder)!r}; give a clone's with --golden=tests/golden"
        )
    sys.path.append(str(folder.resolve().parents[1]))  # for tests.helpers
    checks: list[dict[str, Any]] = []
    errors: list[str] = []

    def add(lines: Iterator[dict[str, Any]], name: str) -> None:
        # One kernel that a device lacks is no reason to keep quiet about the others.
        try:
            checks.extend(lines)
        except jax.errors.JaxRuntimeError as error:
            errors.append(f"{name}: {str(error).splitlines()[0][:300]}")
            checks.append(check_line(f"{name}: does not run", float("inf"), 0.0))

    with jax.default_matmul_precision("float32"):
        for dtype in ("float64", "float32"):
            with jax.enable_x64(dtype == "float64"):
                for name, lines in _lines(folder, dtype, task):
                    add(lines, f"{name}, {dtype}")
    return {"checks": checks, "errors": errors}


def _lines(
    folder: Path, dtype: str, task: dict[str, Any]
) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """What is asked for, by name."""
    if task["options"]["of"] == "losses":
        yield "losses", _losses(folder, dtype)
    if task["options"]["of"] == "residual":
        deep = task["scale"] == "paper"
        for name in _RESNETS[task["scale"]]:
            yield name, _resnet(folder, name, dtype, gradients=deep)
    if task["options"]["of"] == "transformers":
        for name, case in _VITS[task["scale"]]:
            yield name, _vit(folder, name, case, dtype)


def _losses(folder: Path, dtype: str) -> Iterator[dict[str, Any]]:
    """SwAV's codes and SupCon's loss with its gradient: the worst of all cases."""
    archive, strayed = np.load(folder / "swav_sinkhorn.npz"), []
    for case in _cases(archive):
        transport = partial(
            sinkhorn,
            epsilon=float(archive[f"{case}/epsilon"]),
            iterations=int(archive[f"{case}/iterations"]),
        )
        codes = jax.jit(transport)(jnp.asarray(archive[f"{case}/scores"], dtype))
        strayed.append(relative_difference(codes, archive[f"{case}/q_float64"]))
    bound = _BOUNDS[dtype] if dtype == "float64" else 2e-3  # exponents magnify rounding
    yield check_line(f"Sinkhorn, {len(strayed)} cases, {dtype}", max(strayed), bound)
    archive, strayed = np.load(folder / "supcon.npz"), []
    for case in ("basic", "two_classes_alone_1view", "long_tail_b32_d128"):

        def loss(features: Any, labels: Any, temperature: float) -> Any:
            # The record has the paper's mean and a factor of temperatures.
            return supcon(features, labels, temperature=temperature).mean()

        arguments = (
            jnp.asarray(archive[f"{case}/features"], dtype),
            jnp.asarray(archive[f"{case}/labels"], jnp.int32),
        )
        temperature = float(archive[f"{case}/temperature"])
        factor = temperature / float(archive[f"{case}/base_temperature"])
        gradient = jax.jit(jax.grad(partial(loss, temperature=temperature)))
        found = gradient(*arguments)
        expected = archive[f"{case}/grad_stable64"]
        strayed.append(relative_difference(factor * found, expected))
    bound = _BOUNDS[dtype]
    yield check_line(
        f"SupCon's gradient, {len(strayed)} cases, {dtype}", max(strayed), bound
    )


def _cases(archive: Any) -> list[str]:
    return sorted({name.split("/")[0] for name in archive if "/" in name})


def _resnet(
    folder: Path, name: str, dtype: str, *, gradients: bool
) -> Iterator[dict[str, Any]]:
    """Logits and a training pass's gradient against torchvision's."""
    helper = importlib.import_module("tests.helpers.golden_weights")
    record = np.load(folder / f"{name}.npz")
    shapes = json.loads(str(record["state_dict_shapes"]))
    shape = tuple(int(length) for length in record[f"{_RESNET_CASE}/shape"])
    params, batch_stats = jax.tree.map(
        jnp.asarray, helper.network_variables(name, shapes, np.dtype(dtype).type)
    )
    images, labels = helper.inputs(f"{name}-{_RESNET_CASE}", shape)
    images, labels = jnp.asarray(images, dtype), jnp.asarray(labels, jnp.int32)
    network = make_network(name, num_classes=21, dtype=jnp.dtype(dtype))

    @jax.jit
    def evaluate(params: Any) -> Any:
        return network.apply(params, batch_stats, images, train=False)[0]["logits"]

    @partial(jax.grad, has_aux=True)
    def objective(params: Any) -> Any:
        outputs, _ = network.apply(params, batch_stats, images, train=True)
        logs = jax.nn.log_softmax(outputs["logits"])
        return -logs[jnp.arange(len(labels)), labels].mean(), outputs["logits"]

    def strayed(found: Any, key: str) -> float:
        return relative_difference(found, record[f"{_RESNET_CASE}/{key}_float64"])

    if not gradients:
        apart = strayed(evaluate(params), "eval_logits")
        yield check_line(f"{name}, logits, {dtype}", apart, _BOUNDS[dtype])
        return
    gradient, logits = jax.jit(objective)(params)
    apart = strayed(logits, "train_logits")
    yield check_line(f"{name}, logits in training, {dtype}", apart, _BOUNDS[dtype])
    found = flatten_dict(gradient)
    norms = [
        np.linalg.norm(np.asarray(found[helper.bmjax_path(str(each))], np.float64))
        for each in record[f"{_RESNET_CASE}/grad_names"]
    ]
    apart = strayed(norms, "grad_norms")
    yield check_line(
        f"{name}, gradient's norms, {dtype}", apart, _GRADIENT_BOUNDS[dtype]
    )


def _vit(folder: Path, name: str, case: str, dtype: str) -> Iterator[dict[str, Any]]:
    """Tokens against the authors' own."""
    helper = importlib.import_module("tests.helpers.golden_vit")
    record = np.load(folder / f"vit_{name}.npz")
    with jax.enable_x64(True):
        variables = helper.golden_variables(name)
    variables = jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype), variables)
    shape = tuple(int(length) for length in record[f"{case}/shape"])
    images = jnp.asarray(helper.vit_images(f"{name}-{case}", shape), dtype)
    module = VisionTransformer(NETWORKS[name], jnp.dtype(dtype))
    apply = jax.jit(partial(module.apply, train=False, method="tokens"))
    tokens = apply(variables, images)
    begin = int(record["prefix_tokens"])
    strayed = max(
        relative_difference(tokens[:, 0], record[f"{case}/cls"]),
        relative_difference(
            tokens[:, begin:].mean(axis=1), record[f"{case}/patch_mean"]
        ),
    )
    yield check_line(f"{name}, tokens, {dtype}", strayed, _BOUNDS[dtype])
