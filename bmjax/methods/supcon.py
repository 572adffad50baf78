"""Supervised contrastive learning (section 3.3 of the paper)."""

from dataclasses import dataclass

from bmjax.augment.recipes import Recipe
from bmjax.losses import supcon
from bmjax.methods.embed_views import PROJECTIONS, embed_views, make_predict, make_views
from bmjax.methods.spec import MethodSpec, RunFacts
from bmjax.settings import Number, number
from bmjax.types import Method, Network

_NAMED = 5  # classes that a warning names; ours


@dataclass(frozen=True)
class SupconSettings:
    """Of config.method."""

    temperature: Number = number(1e-4, 1e3)
    base_temperature: Number = number(1e-4, 1e3)


def make_supcon(
    network: Network,
    *,
    recipe: Recipe,
    temperature: float,
    base_temperature: float,
) -> Method:
    """Learn from labels and views: cells of one class are to lie near each other.

    All views of all images of the whole batch are compared (equations 10 to 12); the
    head is thrown away afterwards.

    Args:
        network: with a head that gives `embeddings` [B, D].
        recipe: the augmentation; two views in the paper.
        temperature: of the similarities.
        base_temperature: the loss is multiplied by temperature / base_temperature, as
            the reference does; equal to the temperature, it is equation 12's.
    """

    def init(key, views):
        first = tuple(images[:, 0] for images in views.images)
        params, batch_stats = network.init(key, first)
        return {"network": params}, batch_stats, ()

    def embed(key, params, batch_stats, state, views):
        del state
        return embed_views(
            network, params["network"], batch_stats, views.images, key=key
        )

    def loss(params, embeddings, state, views, step):
        del params, step
        each = supcon(embeddings, views.labels, temperature=temperature)
        value = each.mean() * (temperature / base_temperature)
        # A lone image's two views are each other's positives, so with two views no
        # anchor is without; how many images have another of their class tells more.
        same = views.labels[:, None] == views.labels[None, :]
        metrics = {"loss": value, "with_a_partner": (same.sum(axis=1) > 1).mean()}
        return value, (state, metrics)

    return Method(
        init=init,
        views=make_views(recipe),
        embed=embed,
        loss=loss,
        predict=make_predict(network),
    )


def _warn(settings: SupconSettings, facts: RunFacts) -> list[str]:
    del settings
    alone = [name for name, images in facts.class_images.items() if images == 1]
    if not alone:
        return []
    more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
    return [
        f"one training image alone has {', '.join(map(repr, alone[:_NAMED]))}{more}: "
        "SupCon draws it to no other cell of its class, only to its own views; add "
        "images, or leave the class out with config.data.exclude"
    ]


SUPCON = MethodSpec(
    title="SupCon",
    make=make_supcon,
    settings=SupconSettings,
    heads=PROJECTIONS,
    uses_labels=True,
    warn=_warn,
)
