"""DINO: a student predicts a slow average of itself (Caron et al. 2021).

Not in the paper. Loss, center and schedules follow facebookresearch/dino, main_dino.py;
DESIGN.md names the differences.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bmjax.augment.recipes import Recipe
from bmjax.methods.embed_views import (
    PROJECTIONS,
    embed_views,
    make_predict,
    make_views,
    unit,
)
from bmjax.methods.momentum_teacher import (
    class_token_loss,
    code_metrics,
    follow_student,
    held_before,
    moved_center,
    teacher_and_student,
    teacher_temperature_at,
    with_student,
)
from bmjax.methods.prototype_count import too_many_prototypes
from bmjax.methods.spec import MethodSpec, RunFacts
from bmjax.settings import Number, duration, number
from bmjax.types import Method, Network

_LARGE = 2  # the teacher's; the student sees them and the small ones


@dataclass(frozen=True)
class DinoSettings:
    """Of config.method."""

    prototypes: int = number(2, 10**6)
    prototypes_from: str = duration()
    teacher_momentum: Number = number(0, 1)
    teacher_still_from: str = duration()
    teacher_temperature: Number = number(1e-4, 1e3)
    teacher_temperature_start: Number = number(1e-4, 1e3)
    teacher_temperature_warmup: str = duration()
    temperature: Number = number(1e-4, 1e3)
    center_momentum: Number = number(0, 1)


class DinoState(NamedTuple):
    """What the next step needs besides the parameters."""

    center: Array  # float32 [K], running mean of the teacher's scores


def make_dino(
    network: Network,
    *,
    recipe: Recipe,
    prototypes: int,
    prototypes_from: int,
    teacher_momentum: float,
    teacher_still_from: int,
    teacher_temperature: Number,
    teacher_temperature_start: Number,
    teacher_temperature_warmup: int,
    temperature: float,
    center_momentum: float,
) -> Method:
    """Learn without labels: the student predicts, from each view, the teacher's code.

    The teacher is the student's running average and the network that is evaluated. Its
    scores of the large views, centered and sharpened, are the codes; the student
    predicts them from every other view.

    Parameters are "network" and "prototypes", the teacher's, and the same two under
    "student"; batch statistics likewise.

    Args:
        network: with a head that gives `embeddings` [B, D].
        recipe: the augmentation; at least two views of the first size.
        prototypes: K, outputs of the last layer, whose columns have length 1.
        prototypes_from: step from which the last layer is trained.
        teacher_momentum: share of the teacher that stays at the first step; it rises
            to 1 along half a cosine.
        teacher_still_from: step at which it has reached 1.
        teacher_temperature: of the codes, after the warm-up.
        teacher_temperature_start: of the codes, at the first step.
        teacher_temperature_warmup: steps in which it goes from one to the other; 0:
            none.
        temperature: of the prediction.
        center_momentum: share of the center that stays.
    """

    def init(key, views):
        network_key, prototype_key = jax.random.split(key)
        first = tuple(images[:, 0] for images in views.images)
        params, batch_stats = network.init(network_key, first)
        outputs, _ = jax.eval_shape(
            partial(network.apply, train=False), params, batch_stats, first
        )
        shape = (outputs["embeddings"].shape[-1], prototypes)
        columns = unit(jax.random.normal(prototype_key, shape), axis=0)
        teacher = {"network": params, "prototypes": columns}
        state = DinoState(center=jnp.zeros(prototypes))
        return *with_student(teacher, batch_stats), state

    def embed(key, params, batch_stats, state, views):
        del state
        teacher_stats, student_stats = teacher_and_student(batch_stats)
        large = (views.images[0][:, :_LARGE],)
        # As in the reference, the teacher too normalizes by the batch, and the student
        # alone has stochastic depth.
        codes, teacher_stats = embed_views(
            network, jax.lax.stop_gradient(params["network"]), teacher_stats, large
        )
        embeddings, student_stats = embed_views(
            network,
            params["student"]["network"],
            student_stats,
            views.images,
            key=key,
        )
        return {"student": embeddings, "teacher": codes}, {
            **teacher_stats,
            "student": student_stats,
        }

    def loss(params, embeddings, state, views, step):
        del views
        columns = held_before(step, prototypes_from, params["student"]["prototypes"])
        scores = embeddings["student"] @ columns  # [B, V, K]
        taught = jax.lax.stop_gradient(embeddings["teacher"] @ params["prototypes"])
        sharpness = teacher_temperature_at(
            step,
            start=teacher_temperature_start,
            final=teacher_temperature,
            warmup=teacher_temperature_warmup,
        )
        codes = jax.nn.softmax((taught - state.center[None, None]) / sharpness)
        value = class_token_loss(scores, codes, temperature=temperature)
        mean = taught.mean(axis=(0, 1))
        center = moved_center(state.center, mean, center_momentum)
        metrics = {"loss": value, **code_metrics(embeddings["student"], codes)}
        return value, (DinoState(center), jax.lax.stop_gradient(metrics))

    def after_update(params, state, step):
        moved = follow_student(
            params,
            step,
            momentum=teacher_momentum,
            still_from=teacher_still_from,
            columns=("prototypes",),
        )
        return moved, state

    return Method(
        init=init,
        views=make_views(recipe),
        embed=embed,
        loss=loss,
        after_update=after_update,
        predict=make_predict(network),
        frozen=("network", "prototypes"),
    )


def _warn(settings: DinoSettings, facts: RunFacts) -> list[str]:
    return too_many_prototypes(settings.prototypes, facts.training_images)


DINO = MethodSpec(
    title="DINO",
    make=make_dino,
    settings=DinoSettings,
    heads=PROJECTIONS,
    large_views=_LARGE,
    trained_networks=("student.network",),
    warn=_warn,
)
