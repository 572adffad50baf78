"""A method to copy: docs/adding-a-method.md walks through it.

It pulls the two views of an image together and nothing apart, so it collapses: put an
idea where the comments say so.
"""

from dataclasses import dataclass

import jax.numpy as jnp

from bmjax.augment.recipes import Recipe
from bmjax.methods.embed_views import PROJECTIONS, embed_views, make_predict, make_views
from bmjax.methods.spec import MethodSpec
from bmjax.settings import Number, number
from bmjax.types import Method, Network


@dataclass(frozen=True)
class SkeletonSettings:
    """The keys of config.method. A field of `duration()` is "2 epochs" there."""

    strength: Number = number(0, 1e3)


def make_skeleton(network: Network, *, recipe: Recipe, strength: Number) -> Method:
    """Say in one line what is learned from what.

    Args:
        network: with a head that gives `embeddings` [B, D].
        recipe: the augmentation.
        strength: each further argument is a field of the settings; a duration is a
            number of steps here.
    """

    def init(key, views):
        # Parameters under "network" are what is evaluated, exported and started from.
        first = tuple(images[:, 0] for images in views.images)
        params, batch_stats = network.init(key, first)
        return {"network": params}, batch_stats, ()  # (): nothing to remember

    def embed(key, params, batch_stats, state, views):
        # The heavy part, image by image. It may be called on a chunk of the batch.
        # Embeddings have length 1; normalize=False gives those of the head itself.
        del state
        return embed_views(
            network, params["network"], batch_stats, views.images, key=key
        )

    def loss(params, embeddings, state, views, step):
        # The light part, on all embeddings [B, V, D] of the whole batch, large views
        # before those of config.augment.small. Every metric is a scalar and is logged;
        # "loss" is among them.
        del params, views, step
        value = -strength * jnp.sum(embeddings[:, 0] * embeddings[:, 1], axis=-1).mean()
        return value, (state, {"loss": value})

    def after_update(params, state, step):
        # Averages, norms: what happens to parameters without a gradient.
        del step
        return params, state

    # make_views gives all of the recipe's views, make_predict the features.
    return Method(
        init=init,
        views=make_views(recipe),
        embed=embed,
        loss=loss,
        after_update=after_update,
        predict=make_predict(network),
        frozen=(),  # names of parameters that the optimizer leaves alone
    )


SKELETON = MethodSpec(
    title="Skeleton",  # as the report names it
    make=make_skeleton,
    settings=SkeletonSettings,
    heads=PROJECTIONS,  # config.model.head: what may stand on the backbone
    large_views=2,  # config.augment.large: how many at least
    uses_labels=False,
    # check, warn and watch: what is wrong before a run, doubtful, or wrong during it.
)
