"""What DINO and iBOT share: a teacher that is a slow average of its student."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from bmjax.losses import sinkhorn, swapped_prediction
from bmjax.methods.embed_views import unit
from bmjax.settings import Number
from bmjax.types import Tree

_STUDENT = "student"
_SINKHORN = "sinkhorn"
CENTERINGS = (_SINKHORN, "softmax")


def with_student(teacher: Tree, batch_stats: Tree) -> tuple[Tree, Tree]:
    """Return params and batch_stats of both: the teacher's, a copy under "student"."""
    # Copies: a step gives its buffers away, and one cannot be given away twice.
    student = jax.tree.map(jnp.copy, (teacher, batch_stats))
    return (
        {**teacher, _STUDENT: student[0]},
        {**batch_stats, _STUDENT: student[1]},
    )


def teacher_and_student(tree: Tree) -> tuple[Tree, Tree]:
    """Return the teacher's part of params or batch_stats, and the student's."""
    teacher = {name: part for name, part in tree.items() if name != _STUDENT}
    return teacher, tree[_STUDENT]


def held_before(step: Array | int, first: int, parameter: Array) -> Array:
    """Return a parameter that gets no gradient before step `first`."""
    held = jax.lax.stop_gradient(parameter)
    return jnp.where(step < first, held, parameter)


def class_token_loss(scores: Array, codes: Array, *, temperature: Number) -> Array:
    """Return the mean loss of predicting each large view's code from all other views.

    Args:
        scores: the student's, [B, V, K], the large views first.
        codes: the teacher's of the large views, [B, L, K].
        temperature: of the prediction.
    """
    by_view = jnp.moveaxis(scores, 1, 0)
    predict_from = partial(swapped_prediction, temperature=temperature)
    pairs = [
        predict_from(by_view[view], codes[:, source]).mean()
        for source in range(codes.shape[1])
        for view in range(len(by_view))
        if view != source
    ]
    return sum(pairs, jnp.zeros(())) / len(pairs)


def teacher_temperature_at(
    step: Array | int, *, start: Number, final: Number, warmup: int
) -> Array | Number:
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
    momentum: Number,
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

    student = with_unit_columns(params[_STUDENT])
    turn = jnp.pi * jnp.minimum(step / max(still_from, 1), 1.0)
    stays = 1 - (1 - momentum) * (jnp.cos(turn) + 1) / 2
    teacher = jax.tree.map(
        lambda old, new: stays * old + (1 - stays) * new,
        {name: params[name] for name in student},
        student,
    )
    # An average of unit vectors is shorter.
    return {**with_unit_columns(teacher), _STUDENT: student}


def teacher_codes(
    scores: Array,
    center: Array,
    *,
    temperature: Array | Number,
    centering: str,
    iterations: int,
    counted: Array | None = None,
) -> tuple[Array, Array]:
    """Return the codes of a teacher's scores, and the scores' mean [K].

    Args:
        scores: float [..., K]; no gradient flows through them.
        center: [K], subtracted by "softmax".
        temperature: of the codes.
        centering: "sinkhorn": one transport of all of them onto the prototypes;
            "softmax": of each by itself.
        iterations: Sinkhorn's rounds.
        counted: bool [...], what has a part in transport and mean; None: all.
    """
    scores = jax.lax.stop_gradient(scores)
    flat = scores.reshape(-1, scores.shape[-1])
    if counted is None:
        mean = flat.mean(axis=0)
    else:
        counted = counted.reshape(-1)
        total = jnp.where(counted[:, None], flat, 0.0).sum(axis=0)
        mean = total / jnp.maximum(counted.sum(), 1)
    if centering == _SINKHORN:
        codes = sinkhorn(
            flat, epsilon=temperature, iterations=iterations, counted=counted
        )
    else:
        codes = jax.nn.softmax((flat - center[None]) / temperature)
    return codes.reshape(scores.shape), mean


def moved_center(center: Array, mean: Array, momentum: Number) -> Array:
    """Return the running mean of a teacher's scores, after another batch's mean."""
    return momentum * center + (1 - momentum) * mean


def code_metrics(embeddings: Array, codes: Array) -> dict[str, Array]:
    """Return how the codes are; each is a scalar.

    code_entropy: of the codes, over ln K; 1 is a teacher that says nothing.
    prototypes_used: share of the outputs that are some image's first choice; falls to
        1 / K when one output takes all.
    embedding_spread: as SwAV's.

    Args:
        embeddings: the student's, [..., D].
        codes: the teacher's, [..., K].
    """
    count, dim = codes.shape[-1], embeddings.shape[-1]
    chosen = jnp.argmax(codes, axis=-1).reshape(-1)
    entropy = -jnp.sum(jax.scipy.special.xlogy(codes, codes), axis=-1).mean()
    spread = jnp.std(embeddings.reshape(-1, dim), axis=0).mean()
    return {
        "code_entropy": entropy / jnp.log(count),
        "prototypes_used": jnp.zeros(count).at[chosen].set(1.0).mean(),
        "embedding_spread": spread * jnp.sqrt(dim),
    }
