"""DINO's own laws, by arithmetic on small arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.methods.dino import DinoState, make_dino
from bmjax.types import Batch
from tests.helpers.toy_network import toy_network, toy_recipe

SETTINGS = {
    "prototypes": 5,
    "prototypes_from": 2,
    "teacher_momentum": 0.9,
    "teacher_still_from": 10,
    "teacher_temperature": 0.04,
    "teacher_temperature_start": 0.04,
    "teacher_temperature_warmup": 0,
    "temperature": 0.1,
    "center_momentum": 0.9,
}


@pytest.fixture
def method():
    network = toy_network(head="linear", embedding_dim=3)
    return make_dino(network, recipe=toy_recipe, **SETTINGS)


def softmax(values):
    weights = np.exp(values - values.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def test_the_loss_is_the_references(method):
    random = np.random.Generator(np.random.PCG64(0))
    student, teacher = random.normal(size=(4, 3, 3)), random.normal(size=(4, 2, 3))
    columns, taught = random.normal(size=(2, 3, 5))
    center = random.normal(size=5)
    params = {"prototypes": taught, "student": {"prototypes": columns}}
    value, (state, _) = method.loss(
        jax.tree.map(jnp.asarray, params),
        {"student": jnp.asarray(student), "teacher": jnp.asarray(teacher)},
        DinoState(jnp.asarray(center)),
        None,
        5,
    )
    scores = teacher @ taught
    codes = softmax((scores - center) / 0.04)
    guesses = np.log(softmax(student @ columns / 0.1))
    terms = [
        -(codes[:, source] * guesses[:, view]).sum(axis=-1).mean()
        for source in range(2)
        for view in range(3)
        if view != source
    ]
    # float32 against float64.
    np.testing.assert_allclose(value, np.mean(terms), rtol=1e-5)
    expected = 0.9 * center + 0.1 * scores.mean(axis=(0, 1))
    np.testing.assert_allclose(state.center, expected, rtol=1e-5, atol=1e-6)


def test_the_last_layer_and_the_teacher_get_no_gradient_before_their_time(method):
    batch = jax.random.normal(jax.random.key(0), (4, 2, 3))
    embeddings = {"student": batch, "teacher": batch[::-1]}
    columns = jax.random.normal(jax.random.key(1), (3, 5))
    params = {"prototypes": columns, "student": {"prototypes": columns}}
    state = DinoState(jnp.zeros(5))

    def gradients(step):
        value = lambda p, e: method.loss(p, e, state, None, step)[0]
        return jax.grad(value, argnums=(0, 1))(params, embeddings)

    early, late = gradients(1), gradients(2)
    for found in (early, late):
        assert not np.any(found[0]["prototypes"])
        assert not np.any(found[1]["teacher"])
        assert np.any(found[1]["student"])
    assert not np.any(early[0]["student"]["prototypes"])
    assert np.any(late[0]["student"]["prototypes"])


def test_the_teacher_follows_the_student_ever_more_slowly(method):
    unit = np.eye(3, 5, dtype=np.float32)
    unit[0, 3:] = 1
    params = {
        "network": {"w": jnp.zeros(2)},
        "prototypes": jnp.asarray(unit),
        "student": {"network": {"w": jnp.ones(2)}, "prototypes": 2 * jnp.asarray(unit)},
    }

    def followed(step):
        after, _ = method.after_update(params, (), jnp.int32(step))
        np.testing.assert_allclose(after["prototypes"], unit, atol=1e-6)
        np.testing.assert_allclose(after["student"]["prototypes"], unit, atol=1e-6)
        assert np.all(after["student"]["network"]["w"] == 1)
        return float(after["network"]["w"][0])

    # 1 - momentum: the base at first, half of it half-way, nothing at the end.
    np.testing.assert_allclose(
        [followed(step) for step in (0, 5, 10, 30)], [0.1, 0.05, 0, 0], atol=1e-6
    )


def test_teacher_and_student_start_as_one(method):
    batch = Batch(jnp.zeros((2, 8, 8, 3), jnp.uint8), jnp.zeros(2, jnp.int32))
    views = method.views(jax.random.key(0), batch)
    params, batch_stats, _ = method.init(jax.random.key(1), views)
    student, statistics = params.pop("student"), batch_stats.pop("student")
    jax.tree.map(np.testing.assert_array_equal, params, student)
    jax.tree.map(np.testing.assert_array_equal, batch_stats, statistics)
