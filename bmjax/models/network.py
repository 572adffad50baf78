"""From a name to two pure functions: the whole network, backbone and heads."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from bmjax.errors import ConfigError, check_known
from bmjax.models.conv.dispatch import LOWERINGS
from bmjax.models.families import AUTO, NETWORKS, family_of, spec_of
from bmjax.models.family import Family
from bmjax.models.heads import HEADS, Dense, LineageClassifier, ProjectionHead
from bmjax.models.init import draw_declared
from bmjax.models.vision_transformer import TokenOutputs, VisionTransformer, VitSpec
from bmjax.types import Network, Tree

ImageSizes = Array | tuple[Array, ...]


def make_network(
    name: str,
    *,
    num_classes: int = 0,
    lineages: tuple[int, ...] = (),
    head: str = "none",
    embedding_dim: int = 128,
    hidden_dim: int = 0,
    convolutions: str = "auto",
    dtype: Any = jnp.float32,
    remat: bool = False,
    pooling: str = AUTO,
    interpolation: str = AUTO,
    drop_path: float = 0.0,
) -> Network:
    """Builds a network; `bmjax.types.Network` says what its two functions do.

    Parameters lie under "backbone", "head" and "fc" (the classifier), the last two
    where they exist. Both functions are pure and not compiled: the caller jits.

    Args:
      name: one of `NETWORKS`.
      num_classes: N of the outputs' `logits`; 0 for none.
      lineages: the number of each class's lineage, from 0 on, for a classifier of
        lineages and of the classes in each (`LineageClassifier`), whose logits are
        logarithms of probabilities; () for a plain one.
      head: "none", or how `embeddings` come from features: "linear", "mlp" (SupCon's),
        "mlp_bn" (SwAV's) or "mlp_gelu" (DINO's). They are not normalized.
      embedding_dim: D of the outputs' `embeddings`.
      hidden_dim: width of the hidden layer of an MLP head; 0 for that of the features.
      convolutions: how they are carried out, "auto", "xla" or "matmul"; see `convolve`.
      dtype: type of the backbone's activations, such as bfloat16. Parameters, batch
        statistics, features and heads are float32 or wider whatever it is.
      remat: compute each block of the backbone again in the backward pass instead of
        keeping what is inside it: a third more work, far less memory.
      pooling: how features come from tokens; see `spec_of`.
      interpolation: of learned positions; see `spec_of`.
      drop_path: the probability that an image skips a branch in training, where `apply`
        is given a key.

    Raises:
      ConfigError: for a name, head or lowering that does not exist, or a setting that
        the network does not have. `init` and `apply`
        raise it for images of a size that the network does not take.
    """
    family = family_of(name)
    check_known("config.model.head", head, HEADS)
    check_known("config.model.convolutions", convolutions, LOWERINGS)
    spec = spec_of(
        name, pooling=pooling, interpolation=interpolation, drop_path=drop_path
    )
    module = _NetworkModule(
        family=family,
        spec=spec,
        num_classes=num_classes,
        lineages=lineages,
        head_kind=head,
        embedding_dim=embedding_dim,
        hidden_dim=hidden_dim,
        lowering=convolutions,
        dtype=dtype,
        remat=remat,
    )

    def init(key: Array, images: ImageSizes) -> tuple[Tree, Tree]:
        declared = jax.eval_shape(partial(module.init, train=True), key, images)
        params = draw_declared(key, declared["params"])
        return params, draw_declared(key, declared.get("batch_stats", {}))

    def apply(
        params: Tree,
        batch_stats: Tree,
        images: ImageSizes,
        *,
        train: bool,
        key: Array | None = None,
    ) -> tuple[dict[str, Array], Tree]:
        variables = {"params": params, "batch_stats": batch_stats}
        if not train:
            return module.apply(variables, images, train=False), batch_stats
        outputs, updated = module.apply(
            variables,
            images,
            train=True,
            mutable=["batch_stats"],
            rngs=None if key is None else {"network": key},
        )
        return outputs, updated.get("batch_stats", {})

    def tokens(
        params: Tree,
        batch_stats: Tree,
        images: Array,
        *,
        train: bool,
        key: Array | None = None,
        mask: Array | None = None,
        mask_token: Array | None = None,
    ) -> tuple[Array, Array, Tree]:
        if mask is not None:
            backbone = {**params["backbone"], "mask_token": mask_token}
            params = {**params, "backbone": backbone}
        normed, updated = module.apply(
            {"params": params, "batch_stats": batch_stats},
            images,
            train=train,
            mask=mask,
            only_tokens=True,
            mutable=["batch_stats"],
            rngs=None if key is None else {"network": key},
        )
        patches = normed[:, 1 + spec.registers :]
        return normed[:, 0], patches, updated.get("batch_stats", {})

    def project(params: Tree, tokens: Array) -> Array:
        layers = ProjectionHead(head, embedding_dim, hidden_dim)
        return layers.apply({"params": params["head"]}, tokens, train=True)

    if not has_class_features(name, pooling):
        return Network(init, apply, num_classes)
    return Network(init, apply, num_classes, spec.patch, tokens, project)


def has_class_features(name: str, pooling: str = AUTO) -> bool:
    """Returns whether a network has tokens, and features that are its class token's."""
    is_transformer = isinstance(NETWORKS[name], VitSpec)
    return is_transformer and spec_of(name, pooling=pooling).pooling == "cls"


def read_tokens(
    name: str,
    params: Tree,
    batch_stats: Tree,
    images: Array,
    *,
    last: int = 1,
    interpolation: str = AUTO,
    dtype: Any = jnp.float32,
) -> TokenOutputs:
    """Returns what a vision transformer knows of images besides their features.

    Pure and not compiled, as a network's `apply`; what is not used costs nothing under
    `jax.jit`. With last=4, the class tokens beside the mean of the patches are the
    features of DINOv2's linear evaluation.

    Args:
      name: of a vision transformer, one of `NETWORKS`.
      params: as the network's `init` gives them; heads are not used.
      batch_stats: likewise.
      images: float [B, H, W, C].
      last: n, blocks whose class tokens are returned, from 1 to all.
      interpolation: of learned positions; see `spec_of`.
      dtype: of the activations.

    Raises:
      ConfigError: for a name that does not exist or is no vision transformer, a number
        of blocks that it does not have, or images of a size that it does not take.
    """
    spec = spec_of(name, interpolation=interpolation)
    if not isinstance(spec, VitSpec):
        raise ConfigError(
            f"config.model.name = {name!r} is a {family_of(name).title} and has no "
            "tokens; use a vision transformer"
        )
    if not 1 <= last <= spec.depth:
        raise ConfigError(
            f"the class tokens of {last} blocks were asked for, and {name} has "
            f"{spec.depth}; use 1 to {spec.depth}"
        )
    variables = {
        "params": params["backbone"],
        "batch_stats": batch_stats.get("backbone", {}),
    }
    outputs, _ = VisionTransformer(spec, dtype).apply(
        variables, images, last=last, method="inside", mutable=["intermediates"]
    )
    return outputs


class _NetworkModule(nn.Module):
    """The backbone and what stands on it."""

    family: Family
    spec: Any
    num_classes: int
    lineages: tuple[int, ...]
    head_kind: str
    embedding_dim: int
    hidden_dim: int
    lowering: str
    dtype: Any
    remat: bool

    @nn.compact
    def __call__(
        self,
        images: ImageSizes,
        *,
        train: bool,
        mask: Array | None = None,
        only_tokens: bool = False,
    ) -> Any:
        """Maps images, of one size or several, to the outputs named in `Network`.

        With `only_tokens`, images of one size to a vision transformer's normed tokens.
        """
        backbone = self.family.build(
            self.spec,
            lowering=self.lowering,
            dtype=self.dtype,
            remat=self.remat,
            name="backbone",
        )
        if only_tokens:
            return backbone.tokens(images, train=train, mask=mask)
        sizes = images if isinstance(images, tuple) else (images,)
        # Sizes cannot share a pass; in training each pass moves the running statistics.
        features = jnp.concatenate([backbone(size, train=train) for size in sizes])
        outputs = {"features": features}
        if self.head_kind != "none":
            head = ProjectionHead(
                self.head_kind, self.embedding_dim, self.hidden_dim, name="head"
            )
            outputs["embeddings"] = head(features, train=train)
        if self.num_classes and self.lineages:
            outputs["logits"] = LineageClassifier(self.lineages, name="fc")(features)
        elif self.num_classes:
            outputs["logits"] = Dense(self.num_classes, name="fc")(features)
        return outputs
