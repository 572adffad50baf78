"""The one place where a network names cells: pixels to class probabilities."""

from collections.abc import Callable

import jax
import numpy as np

from bmjax.augment.recipes import plain
from bmjax.devices.mesh import put_batch
from bmjax.evals.linear_probe import Linear, apply_linear, softmax
from bmjax.types import Network, Tree

Predict = Callable[[np.ndarray], np.ndarray]


def make_predict(
    network: Network,
    params: Tree,
    batch_stats: Tree,
    linear: Linear | None,
    *,
    size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    mesh: jax.sharding.Mesh,
) -> Predict:
    """Return predict(pixels): uint8 [B, S, S, 3] -> probabilities, float32 [B, N].

    It is compiled once, for the first batch's shape. Evaluation does the same with the
    same numbers: no augmentation, running statistics, the classifier's or the linear
    probe's softmax.

    Args:
        network: whose outputs hold `features`, and `logits` where it has a classifier.
        params: of the network, on the devices.
        batch_stats: of the network, on the devices.
        linear: a probe on the features; None: the network's own classifier.
        size: side of the images that the network takes.
        mean: of each channel.
        std: of each channel.
        mesh: the devices, by which B divides.
    """
    prepare = plain(size=size, mean=mean, std=std)
    wanted = "logits" if linear is None else "features"

    @jax.jit
    def apply(params, batch_stats, pixels):
        outputs, _ = network.apply(params, batch_stats, prepare(pixels), train=False)
        return outputs[wanted]

    def predict(pixels: np.ndarray) -> np.ndarray:
        outputs = apply(params, batch_stats, put_batch(pixels, mesh))
        found = np.asarray(jax.device_get(outputs), np.float32)
        return softmax(found) if linear is None else apply_linear(linear, found)

    return predict
