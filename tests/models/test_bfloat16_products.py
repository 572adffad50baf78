"""In bfloat16 no product of a backbone's training pass is left in float32."""

import jax
import jax.numpy as jnp
import pytest

from bmjax.benchmark.flops import operations
from bmjax.models.network import make_network


@pytest.mark.parametrize("name", ["vit_tiny", "resnet_tiny"])
def test_every_product_is_in_bfloat16(name):
    network = make_network(name, dtype=jnp.bfloat16)
    images = jnp.zeros((2, 16, 16, 3))
    params, batch_stats = jax.eval_shape(network.init, jax.random.key(0), images)

    def loss(params, batch_stats, images):
        outputs, _ = network.apply(params, batch_stats, images, train=True)
        return outputs["features"].sum()

    found = operations(jax.grad(loss), params, batch_stats, images)
    assert found
    assert {kind for product in found for kind in product.types} == {"bfloat16"}
