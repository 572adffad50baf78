"""SwAV's loss, gradients, codes and queue against the reference's own run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.methods.embed_views import unit
from bmjax.methods.swav import SwavState, make_swav
from bmjax.types import Network, Views
from tests.conftest import GOLDEN, cases

ARCHIVE = np.load(GOLDEN / "swav_loss.npz")


def make(prototypes, queue_length=0, queue_from=0, **numbers):
    return make_swav(
        Network(init=len, apply=len),  # the loss asks nothing of it
        recipe=lambda key, pixels: (pixels,),
        prototypes=prototypes,
        queue_length=queue_length,
        queue_from=queue_from,
        **{"epsilon": 0.05, "iterations": 3, "temperature": 0.1, **numbers},
    )


@pytest.mark.parametrize("case", cases(ARCHIVE))
def test_loss_gradients_and_queue_agree_with_the_reference(case, float64):
    def read(name):
        return ARCHIVE[f"{case}/{name}"]

    batch, views = int(read("bs")), int(read("crops"))
    queue = read("queue_before").astype(np.float64)
    raw = jnp.asarray(read("raw"), jnp.float64).reshape(views, batch, -1)
    prototypes = read("prototypes_raw").astype(np.float64).T
    prototypes = jnp.asarray(prototypes / np.linalg.norm(prototypes, axis=0))
    length = queue.shape[1] if queue.ndim == 3 else 0
    method = make(
        prototypes.shape[1],
        queue_length=length,
        epsilon=float(read("epsilon")),
        iterations=int(read("iterations")),
        temperature=float(read("temperature")),
    )
    state = SwavState(
        queue=jnp.asarray(queue if length else np.zeros((2, 0, raw.shape[-1])))
    )
    # The reference looks into the queue; here the step alone says whether it is full.
    step = 10**6 if int(read("queue_used_float64")) else 0

    def loss(raw, prototypes):
        embeddings = unit(jnp.moveaxis(raw, 0, 1))
        return method.loss(
            {"prototypes": prototypes},
            embeddings,
            state,
            Views(images=(), labels=jnp.zeros(batch, jnp.int32)),
            step,
        )

    (value, (after, _)), (raw_gradient, prototype_gradient) = jax.jit(
        jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    )(raw, prototypes)

    # float64, the same sums in another order; exponents of 1/epsilon magnify rounding.
    close = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(value, read("loss_float64"), **close)
    np.testing.assert_allclose(
        raw_gradient.reshape(views * batch, -1), read("grad_raw_float64"), **close
    )
    expected = read("grad_prototypes_float64")
    found = np.asarray(prototype_gradient).T
    if expected.ndim == 1:  # a digest of it: four rows, the norm, the sum
        found = np.concatenate(
            [found[:4].ravel(), [np.linalg.norm(found), found.sum()]]
        )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)
    if length:
        np.testing.assert_allclose(
            after.queue, read("queue_after_float64"), rtol=1e-9, atol=1e-12
        )


def test_the_queue_is_used_once_it_is_full_and_never_holds_the_batch():
    method = make(6, queue_length=8, queue_from=3)
    embeddings = unit(jax.random.normal(jax.random.key(0), (4, 2, 5)))
    prototypes = unit(jax.random.normal(jax.random.key(1), (5, 6)), axis=0)
    queue = unit(jax.random.normal(jax.random.key(2), (2, 8, 5)))
    labels = Views(images=(), labels=jnp.zeros(4, jnp.int32))

    def loss(step, queue):
        state = SwavState(queue=queue)
        return method.loss({"prototypes": prototypes}, embeddings, state, labels, step)

    without = float(loss(0, queue)[0])
    # Filled from step 3 on, two batches of four fill it: used from step 5 on.
    assert float(loss(4, queue)[0]) == without
    assert float(loss(5, queue)[0]) != without
    assert float(loss(5, jnp.roll(queue, 1, axis=1))[0]) == pytest.approx(
        float(loss(5, queue)[0]), rel=1e-5
    )
    after = loss(5, queue)[1][0].queue
    np.testing.assert_array_equal(after[:, :4], jnp.moveaxis(embeddings, 1, 0))
    np.testing.assert_array_equal(after[:, 4:], queue[:, :4])


def test_a_zero_embedding_has_a_finite_gradient():
    gradient = jax.grad(lambda x: unit(x).sum())(jnp.zeros((2, 3)))
    assert np.isfinite(gradient).all()


def test_prototypes_have_length_one_after_each_update():
    params = {
        "network": {},
        "prototypes": 3 * jax.random.normal(jax.random.key(0), (5, 6)),
    }
    updated, _ = make(6).after_update(params, SwavState(queue=jnp.zeros((2, 0, 5))), 0)
    lengths = jnp.linalg.norm(updated["prototypes"], axis=0)
    np.testing.assert_allclose(lengths, np.ones(6), rtol=1e-6)
