"""Batch normalization with torch's conventions."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax


class BatchNorm(nn.Module):
    """Normalizes each channel to zero mean and unit variance, then scales and shifts.

    In training the statistics are those of the batch, over all axes but the last. They
    are means over the whole array: where the batch is sharded over devices they are
    global, which other libraries call synchronized batch normalization.

    As in torch, the batch is normalized with the biased variance, while the running
    variance that evaluation uses averages the unbiased one.
    """

    momentum: float = 0.9  # share of the old running value kept; torch's 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """Maps [..., C] to the same shape and type.

        Statistics are float32, or the inputs' own type where that is wider.
        """
        channels = inputs.shape[-1]
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        scale = self.param("scale", ones, (channels,))
        bias = self.param("bias", zeros, (channels,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,))

        wide = inputs.astype(jnp.promote_types(inputs.dtype, jnp.float32))
        if train:
            axes = tuple(range(inputs.ndim - 1))
            mean = jnp.mean(wide, axis=axes, keepdims=True)
            # Centred before squared: E[x^2] - E[x]^2 cancels where the mean is large.
            var = jnp.mean(jnp.square(wide - mean), axis=axes, keepdims=True)
            if not self.is_initializing():
                count = inputs.size // channels
                self._update(running_mean, mean)
                self._update(running_var, var * (count / max(count - 1, 1)))
        else:
            mean = _expand(running_mean.value, inputs.ndim)
            var = _expand(running_var.value, inputs.ndim)
        factor = _expand(scale, inputs.ndim) * lax.rsqrt(var + self.epsilon)
        outputs = (wide - mean) * factor + _expand(bias, inputs.ndim)
        return outputs.astype(inputs.dtype)

    def _update(self, running: nn.Variable, value: Array) -> None:
        """Moves a running statistic [C] towards the batch's, whatever its rank."""
        value = value.reshape(running.value.shape).astype(running.value.dtype)
        running.value = self.momentum * running.value + (1 - self.momentum) * value


def _expand(vector: Array, rank: int) -> Array:
    """Gives a vector [C] leading axes of length one, up to the given rank."""
    return vector.reshape((1,) * (rank - 1) + vector.shape)
