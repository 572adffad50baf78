"""Where in an image a network finds what it says: one map of the image, by its family.

A vision transformer's is the attention of its class token on the patches in the last
block, the mean of the heads (Caron et al. 2021, DINO, figure 1). A residual network's
is the class activation map (Zhou et al. 2016): how much each place adds to the logit of
a class. They are two different things: attention tells nothing of classes.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array

from bmjax.models.families import AUTO, family_of, spec_of
from bmjax.models.network import read_tokens
from bmjax.models.resnet import FEATURE_MAP
from bmjax.models.vision_transformer import VitSpec
from bmjax.types import Tree

ATTENTION = "attention"
CLASS_ACTIVATION = "class activation"

# (params, batch_stats, images [B, H, W, C], class weights [B, F]) -> [B, rows, columns]
Saliency = Callable[[Tree, Tree, Array, Array], Array]


def saliency_kind(network: str) -> str:
    """Which of the two a network's maps are, by its name.

    Raises:
      ConfigError: there is no such network.
    """
    return ATTENTION if isinstance(spec_of(network), VitSpec) else CLASS_ACTIVATION


def class_kernel(params: Tree, batch_stats: Tree) -> Array:
    """Returns the weights of each class in a network's classifier, float [F, N].

    Where it is one of lineages, those of the class's lineage are added; what makes
    probabilities of the scores is left out.

    Args:
      params: with "fc".
      batch_stats: with "fc" where the classifier is one of lineages.
    """
    kernel = params["fc"]["kernel"]
    if "lineage" not in params["fc"]:
        return kernel
    own = batch_stats["fc"]["lineages"].astype(jnp.int32)
    return kernel + params["fc"]["lineage"]["kernel"][:, own]


def make_saliency(
    network: str,
    *,
    interpolation: str = AUTO,
    convolutions: str = "auto",
    dtype: Any = jnp.float32,
) -> Saliency:
    """Makes the function that maps images; pure and not compiled.

    Its last argument has, for each image, the classifier's weights of the class to be
    looked for; a vision transformer does not use them. The mean of a class activation
    map is the class's logit without the bias.

    Args:
      network: one of `NETWORKS`.
      interpolation: of learned positions; see `spec_of`.
      convolutions: how they are carried out; see `convolve`.
      dtype: of the activations.

    Raises:
      ConfigError: there is no such network, or it has no such interpolation.
    """
    if saliency_kind(network) == ATTENTION:
        return partial(_attention, network, interpolation, dtype)
    build = family_of(network).build
    backbone = build(
        spec_of(network),
        lowering=convolutions,
        dtype=dtype,
        remat=False,
        name="backbone",
    )
    return partial(_class_activation, backbone)


def _attention(
    network: str,
    interpolation: str,
    dtype: Any,
    params: Tree,
    batch_stats: Tree,
    images: Array,
    weights: Array,
) -> Array:
    del weights
    tokens = read_tokens(
        network, params, batch_stats, images, interpolation=interpolation, dtype=dtype
    )
    return tokens.class_attention.mean(axis=1)


def _class_activation(
    backbone: Any, params: Tree, batch_stats: Tree, images: Array, weights: Array
) -> Array:
    variables = {
        "params": params["backbone"],
        "batch_stats": batch_stats.get("backbone", {}),
    }
    _, left = backbone.apply(variables, images, train=False, mutable=["intermediates"])
    (features,) = left["intermediates"][FEATURE_MAP]
    return jnp.einsum("bhwf,bf->bhw", features.astype(weights.dtype), weights)
