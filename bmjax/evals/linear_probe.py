"""The linear classifier on frozen features, as the paper trains it."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from bmjax.data.sampling import make_stream
from bmjax.losses import cross_entropy
from bmjax.training.keys import key_for
from bmjax.training.optimizer import cosine_schedule, make_optimizer

_BLOCK = 4096  # rows standardized or classified at a time: bounds the memory


class Linear(NamedTuple):
    """logits = (features - mean) / std @ kernel + bias."""

    kernel: np.ndarray  # float32 [F, N]
    bias: np.ndarray  # float32 [N]
    mean: np.ndarray  # float32 [F]
    std: np.ndarray  # float32 [F]


def fit_linear(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    classes: int,
    rows: np.ndarray | None = None,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    standardize: bool,
    sampling: str,
    seed: int,
) -> Linear:
    """Train a linear classifier by SGD, learning rate a cosine to 0 epoch by epoch.

    After facebookresearch/swav, eval_linear.py: kernel from N(0, 0.01), bias 0, the
    last epoch's weights. `standardize` first gives every feature mean 0 and deviation
    1 (of the training part), so that one learning rate suits any network; the
    reference does without.

    Args:
        features: float32 [n, F], may be mapped from disk.
        labels: int [n].
        classes: N.
        rows: int [m], those to train on; all if not given.
        epochs: passes.
        batch_size: rows a step, fewer where there are fewer.
        learning_rate: of the first epoch.
        momentum: of SGD.
        weight_decay: of SGD.
        standardize: see above.
        sampling: "natural", or "balanced": n / N draws of each class an epoch.
        seed: of the order and of the kernel.
    """
    rows = np.arange(len(features)) if rows is None else rows
    count, width = len(rows), features.shape[1]
    mean, std = np.zeros(width, np.float32), np.ones(width, np.float32)
    if standardize:
        mean, std = moments(features, rows)
    batch_size = min(batch_size, count)
    stream = make_stream(
        rows,
        labels[rows],
        sampling=sampling,
        per_class=max(1, count // classes),
        seed=seed,
    )
    steps_per_epoch = count // batch_size
    by_epoch = cosine_schedule(base=learning_rate, final=0.0, steps=epochs)
    optimizer = make_optimizer(
        lambda step: by_epoch(step // steps_per_epoch),
        momentum=momentum,
        weight_decay=weight_decay,
    )
    key = key_for(seed, "linear probe")
    params = {
        "kernel": 0.01 * jax.random.normal(key, (width, classes)),
        "bias": jnp.zeros(classes),
    }
    step = jax.jit(partial(_step, optimizer), donate_argnums=(0, 1))
    opt = optimizer.init(params)
    for number in range(epochs * steps_per_epoch):
        start = number * batch_size
        drawn = np.array([stream[start + i] for i in range(batch_size)])
        params, opt = step(params, opt, (features[drawn] - mean) / std, labels[drawn])
    kernel, bias = jax.device_get((params["kernel"], params["bias"]))
    return Linear(kernel=kernel, bias=bias, mean=mean, std=std)


def feature_weights(linear: Linear) -> np.ndarray:
    """The weights of each class on the features as they are, float32 [F, N]."""
    return linear.kernel / linear.std[:, None]


def apply_linear(linear: Linear, features: np.ndarray) -> np.ndarray:
    """Class probabilities, float32 [n, N]."""
    logits = np.concatenate(
        [
            (block - linear.mean) / linear.std @ linear.kernel + linear.bias
            for block in _blocks(features)
        ]
    )
    return softmax(logits)


def moments(features: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each feature, float32 [F]; 1 where it never changes."""
    blocks = [rows[i : i + _BLOCK] for i in range(0, len(rows), _BLOCK)]
    total = sum(features[block].sum(axis=0, dtype=np.float64) for block in blocks)
    mean = total / len(rows)
    variance = sum(((features[block] - mean) ** 2).sum(axis=0) for block in blocks)
    std = np.sqrt(variance / len(rows))
    # A feature that never changes carries nothing; dividing by 1 keeps it at 0.
    return mean.astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows of probabilities."""
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def _step(optimizer, params, opt, features: Array, labels: Array):
    def objective(params):
        # A probe is to say the same on every machine: no rounding of float32 products.
        logits = jnp.matmul(features, params["kernel"], precision="highest")
        logits += params["bias"][None]
        return cross_entropy(logits, labels).mean()

    updates, opt = optimizer.update(jax.grad(objective)(params), opt, params)
    return optax.apply_updates(params, updates), opt


def _blocks(features: np.ndarray):
    return (features[i : i + _BLOCK] for i in range(0, len(features), _BLOCK))
