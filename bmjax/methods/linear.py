"""A linear classifier on a frozen backbone (sections 3.2 and 3.3, Table 4)."""

from dataclasses import replace
from typing import Any

import jax

from bmjax.augment.recipes import Recipe
from bmjax.methods.spec import RunFacts
from bmjax.methods.supervised import SUPERVISED, SupervisedSettings, make_supervised
from bmjax.types import Method, Network

_SCALE = 0.01  # facebookresearch/swav, eval_linear.py: normal weights, zero bias


def make_linear(network: Network, *, recipe: Recipe, **settings: Any) -> Method:
    """Learn a classifier alone, from augmented views through a backbone that stays.

    The backbone is in evaluation mode, so that neither its parameters nor its running
    statistics move. It comes from `config.init_from`, or from chance for a control.

    Args:
        network: with a classifier of as many classes as the data has.
        recipe: the augmentation; its first view is used.
        settings: those of `supervised`.
    """
    method = make_supervised(network, recipe=recipe, **settings)

    def init(key, views):
        network_key, fc_key = jax.random.split(key)
        params, batch_stats, state = method.init(network_key, views)
        fc = params["network"]["fc"]
        kernel = _SCALE * jax.random.normal(fc_key, fc["kernel"].shape)
        new = {"kernel": kernel, "bias": 0.0 * fc["bias"]}
        if "lineage" in fc:
            own = jax.random.normal(
                jax.random.fold_in(fc_key, 1), fc["lineage"]["kernel"].shape
            )
            bias = 0.0 * fc["lineage"]["bias"]
            new["lineage"] = {"kernel": _SCALE * own, "bias": bias}
        return {"network": {**params["network"], "fc": new}}, batch_stats, state

    def embed(key, params, batch_stats, state, views):
        del key, state
        # The gradient stops before the backbone, which spares its whole backward pass.
        held = {
            **params["network"],
            "backbone": jax.lax.stop_gradient(params["network"]["backbone"]),
        }
        outputs, _ = network.apply(
            held, batch_stats, views.images[0][:, 0], train=False
        )
        return outputs["logits"], batch_stats

    return method._replace(init=init, embed=embed, frozen=("network.backbone",))


def _warn(settings: SupervisedSettings, facts: RunFacts) -> list[str]:
    del settings
    if facts.init_from:
        return []
    return [
        "config.init_from is empty: the frozen backbone is a random one, which is a "
        "control and nothing else"
    ]


LINEAR = replace(
    SUPERVISED,
    title="Linear",
    make=make_linear,
    trains_backbone=False,
    warn=_warn,
)
