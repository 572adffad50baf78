"""Cross-entropy on images with a box of another in them (authors' code, not paper)."""

from dataclasses import dataclass, replace
from typing import Any

import jax

from bmjax.augment.mixing import cutmix, draw_center, draw_weight
from bmjax.augment.recipes import Recipe
from bmjax.methods.supervised import (
    SUPERVISED,
    SupervisedSettings,
    make_supervised,
)
from bmjax.settings import Number, number
from bmjax.types import Method, Network, Views


@dataclass(frozen=True)
class CutmixSettings(SupervisedSettings):
    """Of config.method."""

    alpha: Number = number(1e-3, 1e3)  # of the Beta distribution of the weight


def make_cutmix(
    network: Network, *, recipe: Recipe, alpha: float, **settings: Any
) -> Method:
    """Learn as `supervised`, from images with a box of the one before in each.

    One box for the whole batch, every batch; labels are mixed by its area.

    Args:
        network: with a classifier of as many classes as the data has.
        recipe: the augmentation; its first view is used.
        alpha: the share of the image that stays is drawn from Beta(alpha, alpha).
        settings: those of `supervised`.
    """
    method = make_supervised(network, recipe=recipe, **settings)

    def views(key, batch):
        recipe_key, weight_key, center_key = jax.random.split(key, 3)
        plain = method.views(recipe_key, batch)
        images = plain.images[0][:, 0]
        images, targets = cutmix(
            images,
            jax.nn.one_hot(plain.labels, network.num_classes),
            draw_weight(weight_key, alpha=alpha),
            center=draw_center(center_key, images),
        )
        return Views((images[:, None],), plain.labels, targets)

    return method._replace(views=views)


CUTMIX = replace(SUPERVISED, title="Cutmix", make=make_cutmix, settings=CutmixSettings)
