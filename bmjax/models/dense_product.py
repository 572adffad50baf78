"""The product of a dense layer, whose kernel's gradient transposes what is smaller."""

import jax
import jax.numpy as jnp
from jax import Array


def dense_product(inputs: Array, kernel: Array) -> Array:
    """Maps inputs [..., I] and a kernel [I, O] of one type to outputs [..., O].

    The kernel's gradient is a sum over all rows of inputs times gradients of outputs.
    On CPU, XLA copies the first of the two in transposed order, and by jax's rule this
    is the gradient. Here it is the narrower one, so that the copy is smaller, and the
    kernel's gradient comes out in the kernel's own order where inputs are narrower.
    Elsewhere than on CPU the product is left to jax.
    """
    if jax.default_backend() == "cpu" and inputs.ndim > 2:
        return _product(inputs, kernel)
    return inputs @ kernel


@jax.custom_vjp
def _product(inputs: Array, kernel: Array) -> Array:
    return inputs @ kernel


def _forward(inputs: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return inputs @ kernel, (inputs, kernel)


def _backward(kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    inputs, kernel = kept
    rows = tuple(range(inputs.ndim - 1))
    if inputs.shape[-1] <= gradient.shape[-1]:
        of_kernel = jnp.tensordot(inputs, gradient, (rows, rows))
    else:
        of_kernel = jnp.tensordot(gradient, inputs, (rows, rows)).T
    return gradient @ kernel.T, of_kernel


_product.defvjp(_forward, _backward)
