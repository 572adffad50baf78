"""Cross-entropy on mixed images and labels (section 4 of the paper, Table 3)."""

from dataclasses import dataclass, replace
from typing import Any

import jax

from bmjax.augment.mixing import draw_weight, mixup
from bmjax.augment.recipes import Recipe
from bmjax.methods.supervised import (
    SUPERVISED,
    SupervisedSettings,
    make_supervised,
)
from bmjax.settings import Number, number
from bmjax.types import Method, Network, Views


@dataclass(frozen=True)
class MixupSettings(SupervisedSettings):
    """Of config.method."""

    alpha: Number = number(1e-3, 1e3)  # of the Beta distribution of the weight


def make_mixup(
    network: Network, *, recipe: Recipe, alpha: float, **settings: Any
) -> Method:
    """Learn as `supervised`, from each image mixed with the one before it.

    One weight for the whole batch, after normalization, every batch; the loss is the
    cross-entropy with the mixed labels, as in the authors' code.

    Args:
        network: with a classifier of as many classes as the data has.
        recipe: the augmentation; its first view is used.
        alpha: the weight is drawn from Beta(alpha, alpha).
        settings: those of `supervised`.
    """
    method = make_supervised(network, recipe=recipe, **settings)

    def views(key, batch):
        recipe_key, weight_key = jax.random.split(key)
        plain = method.views(recipe_key, batch)
        weight = draw_weight(weight_key, alpha=alpha)
        targets = jax.nn.one_hot(plain.labels, network.num_classes)
        images, targets = mixup(plain.images[0][:, 0], targets, weight)
        return Views((images[:, None],), plain.labels, targets)

    return method._replace(views=views)


MIXUP = replace(SUPERVISED, title="Mixup", make=make_mixup, settings=MixupSettings)
