"""In bfloat16 no product of a backbone's training pass is left in float32."""

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr

from bmjax.models.network import make_network


def _product_types(jaxpr):
    """The types of both sides of every product and convolution."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            yield tuple(str(side.aval.dtype) for side in equation.invars)
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                if isinstance(inner, ClosedJaxpr):
                    inner = inner.jaxpr
                if isinstance(inner, Jaxpr):
                    yield from _product_types(inner)


@pytest.mark.parametrize("name", ["vit_tiny", "resnet_tiny"])
def test_every_product_is_in_bfloat16(name):
    network = make_network(name, dtype=jnp.bfloat16)
    images = jnp.zeros((2, 16, 16, 3))
    params, batch_stats = jax.eval_shape(network.init, jax.random.key(0), images)

    def loss(params, batch_stats, images):
        outputs, _ = network.apply(params, batch_stats, images, train=True)
        return outputs["features"].sum()

    jaxpr = jax.make_jaxpr(jax.grad(loss))(params, batch_stats, images).jaxpr
    found = list(_product_types(jaxpr))
    assert found
    assert {kind for pair in found for kind in pair} == {"bfloat16"}
