"""Whether the numbers of a step are finite, and of which arrays they are not.

A step says so of itself, on the devices; the host reads it when the step is done.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from bmjax.faults import numbers_asked
from bmjax.types import Tree

NUMBERS = "numbers"  # the key of a `StepNumbers` among a step's metrics


class StepNumbers(NamedTuple):
    """What a step says of its numbers.

    The arrays have an entry for each array of the tree, in the tree's own order.

    Attributes:
        finite: bool [], of the loss, the length of the gradient, all parameters and
            all running statistics.
        gradients: float32 [trained], length of each array's gradient.
        parameters: float32 [parameters], length of each parameter after the step.
        statistics: float32 [statistics], length of each running statistic after it.
        finite_parameters: bool [parameters].
        finite_statistics: bool [statistics].
    """

    finite: Array
    gradients: Array
    parameters: Array
    statistics: Array
    finite_parameters: Array
    finite_statistics: Array


def step_numbers(
    loss: Array, gradients: Tree, params: Tree, batch_stats: Tree
) -> StepNumbers:
    """Look at a step's numbers.

    The length of a gradient of finite numbers may be infinite too: what an optimizer
    makes of its square would be.
    """
    lengths = _each(optax.global_norm, gradients)
    finite_parameters = _each(_all_finite, params)
    finite_statistics = _each(_all_finite, batch_stats)
    return StepNumbers(
        finite=jnp.isfinite(loss)
        & jnp.isfinite(optax.global_norm(gradients))
        & finite_parameters.all()
        & finite_statistics.all(),
        gradients=lengths,
        parameters=_each(optax.global_norm, params),
        statistics=_each(optax.global_norm, batch_stats),
        finite_parameters=finite_parameters,
        finite_statistics=finite_statistics,
    )


def array_names(tree: Tree) -> list[str]:
    """Names of a tree's arrays, in the order of `StepNumbers`."""
    return [
        jax.tree_util.keystr(path, simple=True, separator=".")
        for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]
    ]


def where_finite(finite: Array, after: Tree, before: Tree) -> Tree:
    """The state after a step whose numbers are finite, else the one before it."""
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, before)


def with_faults(point: str, tree: Tree, step: Array) -> Tree:
    """The tree as it is, unless a test asks for other numbers in its first array.

    Args:
        point: of `bmjax.faults`, such as `step.gradient`.
        tree: of arrays.
        step: updates made before this step; a fault's own step counts this one too.
    """
    leaves, structure = jax.tree.flatten(tree)
    for at, number in numbers_asked(point) if leaves else ():
        here = True if at is None else step + 1 == at
        leaves[0] = jnp.where(here, jnp.full_like(leaves[0], number), leaves[0])
    return jax.tree.unflatten(structure, leaves)


def _each(look, tree: Tree) -> Array:
    leaves = [look(leaf.astype(_float(leaf))) for leaf in jax.tree.leaves(tree)]
    return jnp.stack(leaves) if leaves else jnp.zeros(0, bool)


def _float(leaf: Array) -> jnp.dtype:
    """Float32, or wider where the array is."""
    return jnp.promote_types(leaf.dtype, jnp.float32)


def _all_finite(array: Array) -> Array:
    # Zero times a number that is not finite is NaN. This is one pass over the array;
    # `isfinite(array).all()` becomes several on a CPU.
    return jnp.isfinite(jnp.sum(array * 0))
