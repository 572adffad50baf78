"""Cross-entropy on mixed images and labels (section 4 of the paper, Table 3)."""

from typing import Any

import jax

from bmjax.augment.mixing import draw_weight, mixup
from bmjax.augment.recipes import Recipe
from bmjax.methods import supervised
from bmjax.types import Method, Network, Views

HEADS = supervised.HEADS
LARGE_VIEWS = 1
LABELS = supervised.LABELS
RANGES = {**supervised.RANGES, "alpha": (1e-3, 1e3)}


def make(network: Network, *, recipe: Recipe, alpha: float, **settings: Any) -> Method:
    """Learn as `supervised`, from each image mixed with the one before it.

    One weight for the whole batch, after normalization, every batch; the loss is the
    cross-entropy with the mixed labels, as in the authors' code.

    Args:
        network: with a classifier of as many classes as the data has.
        recipe: the augmentation; its first view is used.
        alpha: the weight is drawn from Beta(alpha, alpha).
        settings: those of `supervised`.
    """
    method = supervised.make(network, recipe=recipe, **settings)

    def views(key, batch):
        recipe_key, weight_key = jax.random.split(key)
        plain = method.views(recipe_key, batch)
        weight = draw_weight(weight_key, alpha=alpha)
        targets = jax.nn.one_hot(plain.labels, network.num_classes)
        images, targets = mixup(plain.images[0][:, 0], targets, weight)
        return Views((images[:, None],), plain.labels, targets)

    return method._replace(views=views)
