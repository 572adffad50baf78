"""Cross-entropy on labels (section 3.1 of the paper)."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from bmjax.augment.recipes import Recipe
from bmjax.data.class_weights import SCHEMES
from bmjax.errors import check_known
from bmjax.losses import cross_entropy, target_weights
from bmjax.methods.embed_views import make_predict, make_views
from bmjax.methods.spec import MethodSpec
from bmjax.settings import Number, checked, number
from bmjax.types import Method, Network


def _check_scheme(key: str, scheme: str) -> None:
    """A scheme's name; or weights, which are checked when the classes are known."""
    if ":" not in scheme:
        check_known(key, scheme, (*SCHEMES, "CLASS:WEIGHT,..."))


@dataclass(frozen=True)
class SupervisedSettings:
    """Of config.method, for the methods that learn a classifier."""

    smoothing: Number = number(0, 0.999)  # of the labels
    class_weights: str = checked(_check_scheme)
    logit_adjustment: Number = number(0, 10)  # "tau" of Menon et al. 2021


def make_supervised(
    network: Network,
    *,
    recipe: Recipe,
    smoothing: float = 0.0,
    class_weights: Array | None = None,
    logit_adjustment: Array | None = None,
) -> Method:
    """Learn the classes from one augmented view of each image.

    The network's classifier gives logits; the loss is their cross-entropy with the
    labels, averaged over the batch (equations 1 to 4). The paper weighs classes by
    balanced sampling; weights in the loss are there for those who want them, and so is
    logit adjustment (Menon et al. 2021, equation 10): the loss sees the logits plus
    tau ln(prior), predictions the logits alone, which are then best by the mean recall
    of the classes where tau is 1.

    Args:
        network: with a classifier of as many classes as the data has.
        recipe: the augmentation; its first view is used.
        smoothing: label smoothing.
        class_weights: float [N]; the mean is then over the weights, not the images.
        logit_adjustment: float [N], tau ln(prior).
    """

    def init(key, views):
        params, batch_stats = network.init(key, views.images[0][:, 0])
        return {"network": params}, batch_stats, ()

    def embed(key, params, batch_stats, state, views):
        del state
        outputs, batch_stats = network.apply(
            params["network"],
            batch_stats,
            views.images[0][:, 0],
            train=True,
            key=key,
        )
        return outputs["logits"], batch_stats

    def loss(params, embeddings, state, views, step):
        del params, step
        logits = embeddings.astype(jnp.promote_types(embeddings.dtype, jnp.float32))
        targets = views.labels if views.targets is None else views.targets
        adjusted = logits
        if logit_adjustment is not None:
            adjusted = logits + logit_adjustment.astype(logits.dtype)[None]
        each = cross_entropy(
            adjusted, targets, smoothing=smoothing, class_weights=class_weights
        )
        if class_weights is None:
            value = each.mean()
        else:
            value = each.sum() / target_weights(targets, class_weights).sum()
        if views.targets is not None:
            return value, (state, {"loss": value})  # mixed: no class is the right one
        correct = jnp.argmax(logits, axis=-1) == views.labels
        return value, (state, {"loss": value, "accuracy": correct.mean()})

    return Method(
        init=init,
        views=make_views(recipe),
        embed=embed,
        loss=loss,
        predict=make_predict(network),
    )


SUPERVISED = MethodSpec(
    title="Supervised",
    make=make_supervised,
    settings=SupervisedSettings,
    heads=("classifier",),
    uses_labels=True,
)
