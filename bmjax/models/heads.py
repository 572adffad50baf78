"""What stands on the features: projection heads for embeddings, and dense layers."""

from flax import linen as nn
from jax import Array

from bmjax.models.init import Constant, FanIn, Given, Normal
from bmjax.models.norm import BatchNorm

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
        return inputs @ kernel.astype(inputs.dtype) + bias.astype(inputs.dtype).reshape(
            *ones, -1
        )


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
