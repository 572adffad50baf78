"""From a name to two pure functions: the whole network, backbone and heads."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from bmjax.errors import check_known
from bmjax.models.conv.dispatch import LOWERINGS
from bmjax.models.families import NETWORKS, family_of
from bmjax.models.family import Family
from bmjax.models.heads import HEADS, Dense, ProjectionHead
from bmjax.models.init import draw_declared
from bmjax.types import Network, Tree

ImageSizes = Array | tuple[Array, ...]


def make_network(
    name: str,
    *,
    num_classes: int = 0,
    head: str = "none",
    embedding_dim: int = 128,
    hidden_dim: int = 0,
    convolutions: str = "auto",
    dtype: Any = jnp.float32,
    remat: bool = False,
) -> Network:
    """Builds a network; `bmjax.types.Network` says what its two functions do.

    Parameters lie under "backbone", "head" and "fc" (the classifier), the last two
    where they exist. Both functions are pure and not compiled: the caller jits.

    Args:
      name: one of `NETWORKS`.
      num_classes: N of the outputs' `logits`; 0 for none.
      head: "none", or how `embeddings` come from features: "linear", "mlp" (SupCon's)
        or "mlp_bn" (SwAV's). They are not normalized.
      embedding_dim: D of the outputs' `embeddings`.
      hidden_dim: width of the hidden layer of an MLP head; 0 for that of the features.
      convolutions: how they are carried out, "auto", "xla" or "matmul"; see `convolve`.
      dtype: type of the backbone's activations, such as bfloat16. Parameters, batch
        statistics, features and heads are float32 or wider whatever it is.
      remat: compute each block of the backbone again in the backward pass instead of
        keeping what is inside it: a third more work, far less memory.

    Raises:
      ConfigError: for a name, head or lowering that does not exist. `init` and `apply`
        raise it for images of a size that the network does not take.
    """
    family = family_of(name)
    check_known("config.model.head", head, HEADS)
    check_known("config.model.convolutions", convolutions, LOWERINGS)
    module = _NetworkModule(
        family=family,
        spec=NETWORKS[name],
        num_classes=num_classes,
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

    return Network(init, apply, num_classes)


class _NetworkModule(nn.Module):
    """The backbone and what stands on it."""

    family: Family
    spec: Any
    num_classes: int
    head_kind: str
    embedding_dim: int
    hidden_dim: int
    lowering: str
    dtype: Any
    remat: bool

    @nn.compact
    def __call__(self, images: ImageSizes, *, train: bool) -> dict[str, Array]:
        """Maps images, of one size or several, to the outputs named in `Network`."""
        backbone = self.family.build(
            self.spec,
            lowering=self.lowering,
            dtype=self.dtype,
            remat=self.remat,
            name="backbone",
        )
        sizes = images if isinstance(images, tuple) else (images,)
        # Sizes cannot share a pass; in training each pass moves the running statistics.
        features = jnp.concatenate([backbone(size, train=train) for size in sizes])
        outputs = {"features": features}
        if self.head_kind != "none":
            head = ProjectionHead(
                self.head_kind, self.embedding_dim, self.hidden_dim, name="head"
            )
            outputs["embeddings"] = head(features, train=train)
        if self.num_classes:
            outputs["logits"] = Dense(self.num_classes, name="fc")(features)
        return outputs
