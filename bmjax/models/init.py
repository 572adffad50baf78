"""Initial values: each layer declares its own, and few random draws give them all.

A draw of its own for each parameter makes this the slowest thing to compile on CPU, 8 s
for a ResNet-18 against 5 s for its training step. So the values of one kind of
distribution are drawn together and cut into parameters, which takes under 2 s.

A layer gives `self.param` one of the distributions below as its initializer. What comes
back in the layer is the array; outside, the shapes of a network carry the declaration.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from flax.linen import meta
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from bmjax.types import Tree


class Distribution:
    """How a parameter begins; one of the subclasses, used as a flax initializer."""

    def __call__(self, key: Array | None, shape: Sequence[int], dtype: Any = None):
        """Draws one parameter, with its declaration; a constant needs no key."""
        dtype = jnp.result_type(float) if dtype is None else dtype
        return _Declared(self.draw(key, tuple(shape), dtype), self)

    def draw(self, key: Array | None, shape: tuple[int, ...], dtype: Any) -> Array:
        """Draws the values alone."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Distribution):
    """The same value everywhere."""

    value: float

    def draw(self, key: Array | None, shape: tuple[int, ...], dtype: Any) -> Array:
        """Fills the shape; the key is not used."""
        del key
        return jnp.full(shape, self.value, dtype)


@dataclass(frozen=True)
class Given(Distribution):
    """Known values, each repeated so often that all together fill a vector."""

    values: tuple[float, ...]

    def draw(self, key: Array | None, shape: tuple[int, ...], dtype: Any) -> Array:
        """Repeats; the key is not used."""
        del key
        (length,) = shape
        return jnp.repeat(jnp.asarray(self.values, dtype), length // len(self.values))


@dataclass(frozen=True)
class Normal(Distribution):
    """Normal with mean 0."""

    std: float

    def draw(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        """Draws and scales."""
        return self.scale(jax.random.normal(key, shape, dtype))

    def scale(self, standard: Array) -> Array:
        """Turns draws of standard deviation 1 into this distribution's."""
        return standard * self.std


@dataclass(frozen=True)
class FanIn(Distribution):
    """Uniform in +-1/sqrt(inputs): the default of torch's Linear and Conv2d."""

    inputs: int  # that one output is a sum of

    def draw(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        """Draws and scales."""
        return self.scale(_signed_uniform(key, shape, dtype))

    def scale(self, standard: Array) -> Array:
        """Turns draws uniform in -1 to 1 into this distribution's."""
        return standard / math.sqrt(self.inputs)


def fan_out(height: int, width: int, outputs: int) -> Normal:
    """Returns torchvision's choice for a ResNet: kaiming_normal_(mode="fan_out").

    Its variance is 2 / (height * width * outputs), groups not counted.
    """
    return Normal(math.sqrt(2 / (height * width * outputs)))


class _Declared(struct.PyTreeNode, meta.AxisMetadata):
    """An array with how it begins; flax takes it off inside of a layer."""

    value: Any
    distribution: Distribution = struct.field(pytree_node=False)

    def unbox(self) -> Any:
        """Returns the array."""
        return self.value

    def replace_boxed(self, val: Any) -> "_Declared":
        """Returns the same declaration around another array."""
        return self.replace(value=val)

    def add_axis(self, index: int, params: dict[Any, Any]) -> "_Declared":
        """Returns itself: a distribution does not depend on stacked layers."""
        del index, params
        return self

    def remove_axis(self, index: int, params: dict[Any, Any]) -> "_Declared":
        """Returns itself."""
        del index, params
        return self


def draw_declared(key: Array, declared: Tree) -> Tree:
    """Draws the parameters, or the batch statistics, of a network.

    Args:
      key: one key. The values of a backbone do not depend on what heads stand on it.
      declared: nested dict as `jax.eval_shape` of a module's `init` gives it. {} gives
        {}.

    Returns:
      The same nested dict, of arrays.

    Raises:
      TypeError: a parameter does not declare how it begins.
    """
    leaves = flatten_dict(declared)
    for path, leaf in leaves.items():
        if not isinstance(leaf, _Declared):
            raise TypeError(
                f"the parameter {'.'.join(path)} does not declare how it begins; give "
                "self.param one of the distributions of bmjax.models.init"
            )
    values = {
        path: leaf.distribution.draw(key, leaf.value.shape, leaf.value.dtype)
        for path, leaf in leaves.items()
        if isinstance(leaf.distribution, Constant | Given)
    }
    normal_key, uniform_key = jax.random.split(key)
    for kind, kind_key, draw in (
        (Normal, normal_key, jax.random.normal),
        (FanIn, uniform_key, _signed_uniform),
    ):
        paths = [p for p in leaves if isinstance(leaves[p].distribution, kind)]
        paths.sort(key=_order)
        shapes = [leaves[path].value for path in paths]
        draws = _draw_together(draw, kind_key, shapes)
        for path, standard in zip(paths, draws, strict=True):
            values[path] = leaves[path].distribution.scale(standard)
    if missing := leaves.keys() - values.keys():
        raise TypeError(f"no draw for the distributions of {sorted(missing)}")
    return unflatten_dict({path: values[path] for path in leaves})


def _order(path: tuple[str, ...]) -> tuple[tuple[str, ...], bool, str]:
    """Order of the draws: by module, and within one the kernel first."""
    return path[:-1], path[-1] != "kernel", path[-1]


def _draw_together(
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


def _signed_uniform(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Draws uniformly from -1 to 1."""
    return jax.random.uniform(key, shape, dtype, minval=-1, maxval=1)
