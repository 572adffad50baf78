"""What stands on the features: projection heads for embeddings, and dense layers."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from bmjax.models.dense_product import dense_product
from bmjax.models.init import Constant, FanIn, Given, Normal
from bmjax.models.norm import BatchNorm
from bmjax.types import Tree

HEADS = ("none", "linear", "mlp", "mlp_bn", "mlp_gelu")
_DINO_STD = 0.02  # of initial kernels; dino and dinov2, DINOHead


class Dense(nn.Module):
    """An affine map in the type of its inputs."""

    outputs: int
    std: float | None = None  # of normal kernels, biases 0; None: torch.nn.Linear's own
    # Factors of the bias, each for an equal part of it, that are kept and read beside
    # the running statistics; (): none.
    bias_mask: tuple[float, ...] = ()

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Maps [..., inputs] to [..., outputs]."""
        width = inputs.shape[-1]
        normal = self.std is not None
        kernel_init = Normal(self.std) if normal else FanIn(width)
        bias_init = Constant(0.0) if normal else FanIn(width)
        kernel = self.param("kernel", kernel_init, (width, self.outputs))
        bias = self.param("bias", bias_init, (self.outputs,))
        if self.bias_mask:
            begins, shape = Given(self.bias_mask), (self.outputs,)
            mask = self.variable("batch_stats", "bias_mask", begins, None, shape)
            bias = bias * mask.value.astype(bias.dtype)
        ones = (1,) * (inputs.ndim - 1)
        outputs = dense_product(inputs, kernel.astype(inputs.dtype))
        return outputs + bias.astype(inputs.dtype).reshape(*ones, -1)


class LineageClassifier(nn.Module):
    """A classifier whose classes are grouped into lineages.

    p(class) = p(lineage) p(class | lineage), two affine maps of the features, as the
    joint posterior of HemaHier (2026). The groups are kept beside the running
    statistics, so that a file of weights holds them.
    """

    lineages: tuple[int, ...]  # of each class; numbers from 0 on without a gap

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """Maps [B, F] to ln p(class), [B, N]: logits whose softmax is itself."""
        count, classes = max(self.lineages) + 1, (len(self.lineages),)
        width = features.shape[-1]
        kernel = self.param("kernel", FanIn(width), (width, *classes))
        bias = self.param("bias", FanIn(width), classes)
        begins = Given(tuple(map(float, self.lineages)))
        kept = self.variable("batch_stats", "lineages", begins, None, classes)
        scores = features @ kernel.astype(features.dtype)
        scores = scores + bias.astype(scores.dtype)[None]
        of_lineages = Dense(count, name="lineage")(features)
        return class_log_probabilities(scores, of_lineages, kept.value)


def class_log_probabilities(
    scores: Array, of_lineages: Array, lineages: Array
) -> Array:
    """Adds up ln p(class) = ln p(lineage) + ln p(class | lineage), float [B, N].

    Args:
        scores: float [B, N]; their softmax within a lineage is p(class | lineage).
        of_lineages: float [B, L]; their softmax is p(lineage).
        lineages: [N], the number of each class's lineage.
    """
    own = lineages.astype(jnp.int32)
    numbers = jnp.arange(of_lineages.shape[-1])
    member = own[None, :] == numbers[:, None]  # [L, N]
    grouped = jnp.where(member[None], scores[:, None, :], -jnp.inf)
    # Off the largest first, so that large scores do not cost the small ones' digits.
    largest = jax.lax.stop_gradient(grouped.max(axis=-1))
    above = jnp.exp(grouped - largest[..., None]).sum(axis=-1)
    of_lineages = jax.nn.log_softmax(of_lineages) - jnp.log(above)
    # Looked up and not multiplied: a product may round to fewer digits on a GPU.
    return scores - largest[:, own] + of_lineages[:, own]


class ProjectionHead(nn.Module):
    """Maps features to embeddings, which are not normalized here.

    "linear" is one affine map. "mlp" is SupCon's (Khosla et al. 2020): affine, ReLU,
    affine. "mlp_bn" is SwAV's (Caron et al. 2020), with batch normalization before the
    ReLU. "mlp_gelu" is DINO's (Caron et al. 2021) and DINOv2's, up to its bottleneck:
    affine, GELU, affine, GELU, affine.
    """

    kind: str  # one of HEADS, except "none"
    embedding_dim: int
    hidden_dim: int = 0  # 0 means as many as there are features

    @nn.compact
    def __call__(self, features: Array, *, train: bool) -> Array:
        """Maps [B, F] to [B, embedding_dim]."""
        if self.kind == "linear":
            return Dense(self.embedding_dim, name="fc")(features)
        if self.kind == "mlp_gelu":
            hidden = features
            for name in ("fc1", "fc2"):
                width = self.hidden_dim or features.shape[-1]
                hidden = Dense(width, std=_DINO_STD, name=name)(hidden)
                hidden = nn.gelu(hidden, approximate=False)
            return Dense(self.embedding_dim, std=_DINO_STD, name="fc3")(hidden)
        hidden = Dense(self.hidden_dim or features.shape[-1], name="fc1")(features)
        if self.kind == "mlp_bn":
            hidden = BatchNorm(name="bn1")(hidden, train=train)
        return Dense(self.embedding_dim, name="fc2")(nn.relu(hidden))


def project_features(
    kind: str, params: Tree, batch_stats: Tree, features: Array
) -> Array:
    """Embeddings of features by a trained head, as in evaluation, [B, D].

    Args:
        kind: of the head, one of HEADS, except "none".
        params: of the head; they have its widths.
        batch_stats: likewise; {} for a head without.
        features: [B, F].
    """
    first, last = {"linear": ("fc", "fc"), "mlp_gelu": ("fc1", "fc3")}.get(
        kind, ("fc1", "fc2")
    )
    head = ProjectionHead(
        kind, params[last]["kernel"].shape[-1], params[first]["kernel"].shape[-1]
    )
    variables = {"params": params, "batch_stats": batch_stats}
    return head.apply(variables, features, train=False)
