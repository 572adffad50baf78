"""What DINO and iBOT have in common: a teacher that is a slow average of its student."""

import jax
import jax.numpy as jnp
from jax import Array

from bmjax.methods.embed_views import unit
from bmjax.types import Tree


def teacher_temperature_at(
    step: Array | int, *, start: float, final: float, warmup: int
) -> Array | float:
    """The temperature of the codes: a line from `start` to `final`, then `final`.

    Both ends are taken: the last step of the warm-up has the final one already
    (facebookresearch/dinov2, train.py; dino, which changes it once an epoch).

    Args:
        step: updates made so far.
        start: at step 0.
        final: from step `warmup` on, and at the one before.
        warmup: steps; 0: `final` throughout.
    """
    if not warmup:
        return final
    share = jnp.minimum(step / max(warmup - 1, 1), 1.0)
    return start + (final - start) * share


def follow_student(
    params: Tree,
    step: Array,
    *,
    momentum: float,
    still_from: int,
    columns: tuple[str, ...],
) -> Tree:
    """Move the teacher towards its student, ever more slowly.

    Args:
        params: the student's under "student", the teacher's under the same names beside
            it.
        step: updates made before this one.
        momentum: share of the teacher that stays at the first step; it rises to 1 along
            half a cosine.
        still_from: step at which it has reached 1.
        columns: names of the last layers, whose columns get length 1 in both.
    """

    def with_unit_columns(tree: Tree) -> Tree:
        return {**tree, **{name: unit(tree[name], axis=0) for name in columns}}

    student = with_unit_columns(params["student"])
    turn = jnp.pi * jnp.minimum(step / max(still_from, 1), 1.0)
    stays = 1 - (1 - momentum) * (jnp.cos(turn) + 1) / 2
    teacher = jax.tree.map(
        lambda old, new: stays * old + (1 - stays) * new,
        {name: params[name] for name in student},
        student,
    )
    # An average of unit vectors is shorter.
    return {**with_unit_columns(teacher), "student": student}
