"""The swapped prediction's own laws; parity is in tests/methods/test_swav.py."""

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.losses import swapped_prediction


def test_a_uniform_prediction_costs_ln_k():
    codes = jax.nn.softmax(jax.random.normal(jax.random.key(0), (4, 7)))
    each = swapped_prediction(jnp.ones((4, 7)), codes, temperature=0.1)
    np.testing.assert_allclose(each, np.full(4, np.log(7)), rtol=1e-6)


def test_permuting_the_batch_permutes_the_losses_and_codes_get_no_gradient():
    scores = jax.random.normal(jax.random.key(1), (5, 3))
    codes = jax.nn.softmax(jax.random.normal(jax.random.key(2), (5, 3)))
    order = jnp.array([4, 2, 0, 1, 3])
    each = swapped_prediction(scores, codes, temperature=0.1)
    permuted = swapped_prediction(scores[order], codes[order], temperature=0.1)
    np.testing.assert_allclose(each[order], permuted, rtol=1e-6)
    gradient = jax.grad(
        lambda codes: swapped_prediction(scores, codes, temperature=0.1).sum()
    )(codes)
    assert not gradient.any()
