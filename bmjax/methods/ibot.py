"""iBOT as DINOv2 trains it: DINO on class tokens, and the same on patches not seen.

Not in the paper. Zhou et al. 2022 (iBOT) and Oquab et al. 2023 (DINOv2); the losses
follow facebookresearch/dinov2, train/ssl_meta_arch.py, and DinoBloom (Koch et al.
2024), which goes on from DINOv2's weights so, with two large views and no small ones.
DESIGN.md names the differences.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bmjax.augment.block_masks import draw_masks
from bmjax.augment.recipes import Recipe
from bmjax.errors import ConfigError
from bmjax.losses import koleo, masked_patch_prediction
from bmjax.methods.embed_tokens import (
    masked_slots,
    project_patches,
    project_tokens,
    take_slots,
    view_tokens,
)
from bmjax.methods.embed_views import make_predict, make_views, unit
from bmjax.methods.momentum_teacher import (
    CENTERINGS,
    class_token_loss,
    code_metrics,
    follow_student,
    held_before,
    moved_center,
    teacher_and_student,
    teacher_codes,
    teacher_temperature_at,
    with_student,
)
from bmjax.methods.prototype_count import too_many_prototypes
from bmjax.methods.spec import MethodSpec, RunFacts
from bmjax.settings import Number, choice, duration, interval, number
from bmjax.types import Method, Network

_LARGE = 2  # the teacher's, and those of the student with patches masked


@dataclass(frozen=True)
class IbotSettings:
    """Of config.method."""

    prototypes: int = number(2, 10**6)
    patch_prototypes: int = number(0, 10**6)
    prototypes_from: str = duration()
    centering: str = choice(*CENTERINGS)
    iterations: int = number(1, 1000)
    center_momentum: Number = number(0, 1)
    teacher_momentum: Number = number(0, 1)
    teacher_still_from: str = duration()
    teacher_temperature: Number = number(1e-4, 1e3)
    teacher_temperature_start: Number = number(1e-4, 1e3)
    teacher_temperature_warmup: str = duration()
    temperature: Number = number(1e-4, 1e3)
    mask_probability: Number = number(0.01, 1)
    mask_ratio: tuple = interval()
    class_weight: Number = number(0, 1e3)
    patch_weight: Number = number(0, 1e3)
    koleo_weight: Number = number(0, 1e3)


class IbotState(NamedTuple):
    """What the next step needs besides the parameters."""

    center: Array  # float32 [K], running mean of the teacher's scores of class tokens
    patch_center: Array  # float32 [K of patches], likewise of masked patches


def make_ibot(
    network: Network,
    *,
    recipe: Recipe,
    prototypes: int,
    patch_prototypes: int,
    prototypes_from: int,
    centering: str,
    iterations: int,
    center_momentum: Number,
    teacher_momentum: Number,
    teacher_still_from: int,
    teacher_temperature: Number,
    teacher_temperature_start: Number,
    teacher_temperature_warmup: int,
    temperature: Number,
    mask_probability: Number,
    mask_ratio: tuple[Number, Number],
    class_weight: Number,
    patch_weight: Number,
    koleo_weight: Number,
) -> Method:
    """Learn without labels: predict the teacher's codes of views and of hidden patches.

    The student sees two large views with blocks of patches masked, and small ones
    whole; the teacher, its running average and the network that is evaluated, sees the
    large ones whole. From the class token of each view the student predicts the code
    of every other view, and from each masked patch the teacher's code of that patch.
    KoLeo spreads the student's class tokens, each view's among themselves.

    Parameters are "network", "prototypes", "mask_token" and, where patches have a head
    of their own, "patch_head" and "patch_prototypes": the teacher's, and the same under
    "student".

    Args:
        network: that has `tokens`, with a head that gives `embeddings` [B, D].
        recipe: the augmentation; at least two views of the first size.
        prototypes: K, outputs of the last layer, whose columns have length 1.
        patch_prototypes: outputs of the patches' own head; 0: the class tokens' head
            serves them too.
        prototypes_from: step from which the last layers are trained.
        centering: what keeps codes from being all the same: "sinkhorn", over the batch,
            or "softmax" after a running mean is subtracted.
        iterations: Sinkhorn's rounds.
        center_momentum: share of the running mean that stays.
        teacher_momentum: share of the teacher that stays at the first step; it rises
            to 1 along half a cosine.
        teacher_still_from: step at which it has reached 1.
        teacher_temperature: of the codes, after the warm-up.
        teacher_temperature_start: of the codes, at the first step.
        teacher_temperature_warmup: steps in which it goes from one to the other; 0:
            none.
        temperature: of the prediction.
        mask_probability: share of the large views that have patches masked.
        mask_ratio: the least and the largest share of such a view's patches.
        class_weight: of the class tokens' loss, a mean over pairs of views.
        patch_weight: of the patches' loss, a mean over the large views.
        koleo_weight: of KoLeo, a sum over the large views.
    """
    own_head = patch_prototypes > 0
    lasts = ("prototypes", *(["patch_prototypes"] if own_head else []))
    # At a probability of 0.5 one of an image's views is masked, above it both may be.
    most_masked = math.ceil(_LARGE * mask_probability)
    slots_of = partial(masked_slots, views=most_masked, share=mask_ratio[1])
    make_plain = make_views(recipe)

    def views(key, batch):
        view_key, mask_key = jax.random.split(key)
        plain = make_plain(view_key, batch)
        rows, columns = (side // network.patch for side in plain.images[0].shape[2:4])
        masks = draw_masks(
            mask_key,
            batch=len(batch.pixels),
            views=_LARGE,
            rows=rows,
            columns=columns,
            probability=mask_probability,
            ratio=mask_ratio,
        )
        return plain._replace(masks=masks)

    def init(key, views):
        network_key, class_key, head_key, patch_key = jax.random.split(key, 4)
        first = tuple(images[:, 0] for images in views.images)
        params, batch_stats = network.init(network_key, first)
        outputs, _ = jax.eval_shape(
            partial(network.apply, train=False), params, batch_stats, first
        )
        dim, width = (outputs[k].shape[-1] for k in ("embeddings", "features"))
        teacher = {
            "network": params,
            "prototypes": _unit_columns(class_key, dim, prototypes),
            "mask_token": jnp.zeros((width, 1)),  # dinov2
        }
        if own_head:
            teacher["patch_head"] = network.init(head_key, first)[0]["head"]
            columns = _unit_columns(patch_key, dim, patch_prototypes)
            teacher["patch_prototypes"] = columns
        state = IbotState(jnp.zeros(prototypes), jnp.zeros(teacher[lasts[-1]].shape[1]))
        return *with_student(teacher, batch_stats), state

    def embed(key, params, batch_stats, state, views):
        del state
        large, *small = views.images
        slots = slots_of(views.masks)
        teacher, student = teacher_and_student(params)
        teacher_stats, stats = teacher_and_student(batch_stats)
        held = jax.lax.stop_gradient(teacher)
        # As in dinov2, the teacher is in evaluation: nothing is dropped in it.
        seen = large[:, :_LARGE]
        tokens, patches, _ = view_tokens(
            network, held, teacher_stats, seen, train=False
        )
        found = {
            "teacher": project_tokens(network, held, tokens),
            "teacher_patches": project_patches(
                network, held, take_slots(patches, slots)
            ),
        }

        keys = jax.random.split(key, 2 + len(small))
        tokens, patches, stats = view_tokens(
            network, student, stats, seen, train=True, masks=views.masks, key=keys[0]
        )
        every = [tokens]
        for one, images in zip(keys[1:], (large[:, _LARGE:], *small), strict=True):
            if images.shape[1]:
                more, _, stats = view_tokens(
                    network, student, stats, images, train=True, key=one
                )
                every.append(more)
        return {
            **found,
            "student": project_tokens(network, student, jnp.concatenate(every, axis=1)),
            "student_patches": project_patches(
                network, student, take_slots(patches, slots)
            ),
            "class_tokens": tokens,
        }, {**teacher_stats, "student": stats}

    def loss(params, embeddings, state, views, step):
        student = {
            name: held_before(step, prototypes_from, params["student"][name])
            for name in lasts
        }
        sharpness = teacher_temperature_at(
            step,
            start=teacher_temperature_start,
            final=teacher_temperature,
            warmup=teacher_temperature_warmup,
        )
        codes_of = partial(
            teacher_codes,
            temperature=sharpness,
            centering=centering,
            iterations=iterations,
        )
        scores = embeddings["student"] @ student["prototypes"]  # [B, V, K]
        taught = embeddings["teacher"] @ params["prototypes"]  # [B, 2, K]
        codes, mean = codes_of(taught, state.center)
        class_loss = class_token_loss(scores, codes, temperature=temperature)

        held = slots_of(views.masks).held
        patch_scores = embeddings["student_patches"] @ student[lasts[-1]]
        patch_taught = embeddings["teacher_patches"] @ params[lasts[-1]]
        patch_codes, patch_mean = codes_of(
            patch_taught, state.patch_center, counted=held
        )
        patch_loss = masked_patch_prediction(
            _join(patch_scores),
            _join(patch_codes),
            _join(held),
            temperature=temperature,
        ).sum() / (_LARGE * len(held))
        spread = sum(
            koleo(embeddings["class_tokens"][:, view]).mean() for view in range(_LARGE)
        )
        value = (
            class_weight * class_loss
            + patch_weight * patch_loss
            + koleo_weight * spread
        )

        state = IbotState(
            moved_center(state.center, mean, center_momentum),
            moved_center(state.patch_center, patch_mean, center_momentum),
        )
        metrics = {
            "loss": value,
            "class_loss": class_loss,
            "patch_loss": patch_loss,
            "koleo": spread / _LARGE,
            "masked_share": views.masks.mean(),
            **code_metrics(embeddings["student"], codes),
        }
        return value, (state, jax.lax.stop_gradient(metrics))

    def after_update(params, state, step):
        moved = follow_student(
            params,
            step,
            momentum=teacher_momentum,
            still_from=teacher_still_from,
            columns=lasts,
        )
        return moved, state

    own = ("patch_head", "patch_prototypes") if own_head else ()
    return Method(
        init=init,
        views=views,
        embed=embed,
        loss=loss,
        after_update=after_update,
        predict=make_predict(network),
        frozen=("network", "prototypes", "mask_token", *own),
    )


def _unit_columns(key: Array, dim: int, count: int) -> Array:
    return unit(jax.random.normal(key, (dim, count)), axis=0)


def _join(leaf: Array) -> Array:
    """Put the masked views of all images into one axis."""
    return leaf.reshape(-1, *leaf.shape[2:])


def _check(settings: IbotSettings, batch_size: int) -> None:
    if settings.patch_prototypes == 1:
        raise ConfigError(
            "config.method.patch_prototypes = 1 leaves nothing to predict; use 0 for "
            "one head for class tokens and patches, or 2 or more"
        )
    if settings.mask_ratio[1] > 1:
        raise ConfigError(
            f"config.method.mask_ratio = {tuple(settings.mask_ratio)} is a range of "
            "shares of the patches; use two numbers above 0 and up to 1"
        )
    if batch_size < 2:
        raise ConfigError(
            f"config.data.batch_size = {batch_size}, and KoLeo compares each image "
            "with its nearest other one; use 2 or more"
        )


def _warn(settings: IbotSettings, facts: RunFacts) -> list[str]:
    return too_many_prototypes(settings.prototypes, facts.training_images)


IBOT = MethodSpec(
    title="iBOT",
    make=make_ibot,
    settings=IbotSettings,
    heads=("linear", "mlp", "mlp_gelu"),  # those without statistics of a batch
    large_views=_LARGE,
    needs_patches=True,
    trained_networks=("student.network",),
    check=_check,
    warn=_warn,
)
