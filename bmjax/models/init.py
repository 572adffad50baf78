"""Initial values of all parameters, as torch's layers draw them, from few random draws.

A draw of its own for each parameter makes this the slowest thing to compile on CPU, 8 s
for a ResNet-18 against 5 s for its training step. So the values of one distribution are
drawn together and cut into parameters, which takes under 2 s.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from bmjax.types import Tree


def draw_params(key: Array, shapes: Tree) -> Tree:
    """Draws the parameters of a network.

    Convolution kernels [height, width, inputs, outputs] are normal with variance
    2 / (height * width * outputs), groups not counted: torchvision's choice,
    kaiming_normal_(mode="fan_out"). Kernels [inputs, outputs] and the biases beside
    them are uniform in +-1/sqrt(inputs): torch.nn.Linear's default. The scales of
    batch normalization are 1, its biases 0.

    Args:
      key: one key. The values of a backbone do not depend on what heads stand on it.
      shapes: nested dict whose leaves have a shape and a dtype.

    Returns:
      The same nested dict, of arrays.
    """
    leaves = flatten_dict(shapes)
    values = {path: _constant(path, leaf) for path, leaf in leaves.items()}
    normal = [path for path, leaf in leaves.items() if leaf.ndim == 4]
    kernels = [path for path, leaf in leaves.items() if leaf.ndim == 2]
    uniform = [(*path[:-1], name) for path in kernels for name in ("kernel", "bias")]

    normal_key, uniform_key = jax.random.split(key)
    draws = _draw(jax.random.normal, normal_key, [leaves[path] for path in normal])
    for path, draw in zip(normal, draws, strict=True):
        height, width, _, outputs = draw.shape
        values[path] = draw * math.sqrt(2 / (height * width * outputs))
    draws = _draw(_signed_uniform, uniform_key, [leaves[path] for path in uniform])
    for path, draw in zip(uniform, draws, strict=True):
        inputs = leaves[*path[:-1], "kernel"].shape[0]
        values[path] = draw / math.sqrt(inputs)
    return unflatten_dict(values)


def init_batch_stats(shapes: Tree) -> Tree:
    """Returns running statistics that change nothing: mean 0, variance 1."""
    leaves = flatten_dict(shapes)
    return unflatten_dict({p: _constant(p, leaf) for p, leaf in leaves.items()})


def _constant(path: tuple[str, ...], leaf: jax.ShapeDtypeStruct) -> Array:
    """Fills a parameter or statistic whose value is not random."""
    fill = jnp.ones if path[-1] in ("scale", "var") else jnp.zeros
    return fill(leaf.shape, leaf.dtype)


def _draw(
    draw: Callable[..., Array], key: Array, leaves: Sequence[jax.ShapeDtypeStruct]
) -> list[Array]:
    """Draws once for all the leaves, and cuts."""
    if not leaves:
        return []
    sizes = [math.prod(leaf.shape) for leaf in leaves]
    values = draw(key, (sum(sizes),), leaves[0].dtype)
    ends = [sum(sizes[: count + 1]) for count in range(len(sizes))]
    return [
        values[end - size : end].reshape(leaf.shape)
        for end, size, leaf in zip(ends, sizes, leaves, strict=True)
    ]


def _signed_uniform(key: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """Draws uniformly from -1 to 1."""
    return jax.random.uniform(key, shape, dtype, minval=-1, maxval=1)
