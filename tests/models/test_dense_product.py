"""The dense layer's product and its gradients are those of a plain matrix product."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.models.dense_product import dense_product


@pytest.mark.parametrize("outputs", [3, 5, 8], ids=["narrower", "equal", "wider"])
@pytest.mark.parametrize("rows", [(4,), (2, 4), (2, 3, 4)])
def test_value_and_gradients_are_those_of_a_matrix_product(float64, rows, outputs):
    keys = jax.random.split(jax.random.key(0), 3)
    inputs = jax.random.normal(keys[0], (*rows, 5))
    kernel = jax.random.normal(keys[1], (5, outputs))
    weights = jax.random.normal(keys[2], (*rows, outputs))

    def pulled(product):
        value, pull = jax.vjp(product, inputs, kernel)
        return value, *pull(weights)

    expected = pulled(jnp.matmul)
    for one, other in zip(pulled(dense_product), expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)
