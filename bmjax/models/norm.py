"""Batch normalization with torch's conventions."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from bmjax.models.init import Constant


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
        ones, zeros, shape = Constant(1.0), Constant(0.0), (channels,)
        scale = self.param("scale", ones, shape)
        bias = self.param("bias", zeros, shape)
        # Running statistics that change nothing; a constant needs no key.
        running_mean = self.variable("batch_stats", "mean", zeros, None, shape)
        running_var = self.variable("batch_stats", "var", ones, None, shape)

        if train:
            outputs, mean, var = _normalize(self.epsilon, inputs, scale, bias)
            if not self.is_initializing():
                count = inputs.size // channels
                self._update(running_mean, mean)
                self._update(running_var, var * (count / max(count - 1, 1)))
            return outputs
        wide = _widen(inputs)
        mean = _expand(running_mean.value, inputs.ndim)
        var = _expand(running_var.value, inputs.ndim)
        factor = _expand(scale, inputs.ndim) * lax.rsqrt(var + self.epsilon)
        outputs = (wide - mean) * factor + _expand(bias, inputs.ndim)
        return outputs.astype(inputs.dtype)

    def _update(self, running: nn.Variable, value: Array) -> None:
        """Moves a running statistic [C] towards the batch's, whatever its rank."""
        value = value.reshape(running.value.shape).astype(running.value.dtype)
        running.value = self.momentum * running.value + (1 - self.momentum) * value


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _normalize(
    epsilon: float, inputs: Array, scale: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """Normalizes by the batch's statistics, and returns those: mean and variance.

    The gradient is written out, as two sums and one multiply-add over the inputs; the
    one that jax derives passes over them twice as often. It is that of the outputs: to
    the statistics, which feed running averages alone, no gradient flows back.
    """
    return _normalize_forward(epsilon, inputs, scale, bias)[0]


def _normalize_forward(epsilon: float, inputs: Array, scale: Array, bias: Array):
    wide = _widen(inputs)
    axes = tuple(range(inputs.ndim - 1))
    mean = jnp.mean(wide, axis=axes, keepdims=True)
    # Centred before squared: E[x^2] - E[x]^2 cancels where the mean is large.
    var = jnp.mean(jnp.square(wide - mean), axis=axes, keepdims=True)
    factor = _expand(scale, inputs.ndim) * lax.rsqrt(var + epsilon)
    outputs = (wide - mean) * factor + _expand(bias, inputs.ndim)
    kept = (inputs, scale, mean, var)
    return (outputs.astype(inputs.dtype), mean, var), kept


def _normalize_backward(epsilon: float, kept: tuple[Array, ...], cotangents):
    inputs, scale, mean, var = kept
    centered, cotangent = _widen(inputs) - mean, _widen(cotangents[0])
    axes = tuple(range(inputs.ndim - 1))
    total = jnp.sum(cotangent, axis=axes, keepdims=True)
    inverse = lax.rsqrt(var + epsilon)
    along = jnp.sum(cotangent * centered, axis=axes, keepdims=True) * inverse
    count = inputs.size // inputs.shape[-1]
    gradient = (_expand(scale, inputs.ndim) * inverse) * (
        cotangent - total / count - centered * (inverse * along / count)
    )
    return (
        gradient.astype(inputs.dtype),
        along.reshape(scale.shape).astype(scale.dtype),
        total.reshape(scale.shape).astype(scale.dtype),
    )


_normalize.defvjp(_normalize_forward, _normalize_backward)


def _widen(inputs: Array) -> Array:
    """Makes values float32, or leaves them where they are wider."""
    return inputs.astype(jnp.promote_types(inputs.dtype, jnp.float32))


def _expand(vector: Array, rank: int) -> Array:
    """Gives a vector [C] leading axes of length one, up to the given rank."""
    return vector.reshape((1,) * (rank - 1) + vector.shape)
