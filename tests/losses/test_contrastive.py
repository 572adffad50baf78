"""SupCon against the published loss, a plain double loop, and its own laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.losses import supcon
from tests.conftest import GOLDEN, cases

ARCHIVE = np.load(GOLDEN / "supcon.npz")
# One anchor a view is another loss, which the reference offers and the paper does not.
CASES = [name for name in cases(ARCHIVE) if name != "contrast_mode_one"]


def read(case, name):
    return ARCHIVE[f"{case}/{name}"]


def labels_of(case):
    if f"{case}/labels" in ARCHIVE:
        return jnp.asarray(read(case, "labels"))
    return jnp.arange(read(case, "features").shape[0])  # every image its own class


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_agree_with_the_published(case, float64):
    temperature = float(read(case, "temperature"))
    factor = temperature / float(read(case, "base_temperature"))

    def mean(embeddings):
        each = supcon(embeddings, labels_of(case), temperature=temperature)
        return each.mean() * factor

    value, gradient = jax.value_and_grad(mean)(
        jnp.asarray(read(case, "features"), jnp.float64)
    )
    if case == "batch_of_1_1view":  # undefined there (NaN): nobody to compare with
        assert value == 0
        assert not gradient.any()
        return
    # The same sums in another order, in float64.
    np.testing.assert_allclose(value, read(case, "loss_stable64"), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        gradient, read(case, "grad_stable64"), rtol=1e-9, atol=1e-9
    )
    if np.isfinite(read(case, "loss_float64")):
        np.testing.assert_allclose(
            value, read(case, "loss_float64"), rtol=1e-9, atol=1e-9
        )


def test_float32_stays_finite_where_the_published_does_not():
    case = "unnormalised_features_norm50"
    each = supcon(jnp.asarray(read(case, "features")), labels_of(case), temperature=0.2)
    np.testing.assert_allclose(each.mean(), read(case, "loss_stable64"), rtol=1e-5)


def test_agrees_with_equation_12_written_out():
    random = np.random.Generator(np.random.PCG64(0))
    embeddings = random.standard_normal((5, 2, 3))
    labels = np.array([0, 1, 0, 2, 1])
    flat, of_view = embeddings.reshape(10, 3), labels.repeat(2)
    expected = []
    for i in range(10):
        others = [k for k in range(10) if k != i]
        total = sum(np.exp(flat[i] @ flat[k] / 0.5) for k in others)
        positives = [p for p in others if of_view[p] == of_view[i]]
        terms = [np.log(np.exp(flat[i] @ flat[p] / 0.5) / total) for p in positives]
        expected.append(-np.mean(terms))
    found = supcon(jnp.asarray(embeddings), jnp.asarray(labels), temperature=0.5)
    np.testing.assert_allclose(found, np.reshape(expected, (5, 2)), rtol=1e-5)


def test_an_anchor_without_a_positive_gives_zero_and_no_other_changes():
    embeddings = jax.random.normal(jax.random.key(0), (4, 1, 6))
    each = supcon(embeddings, jnp.array([0, 1, 1, 3]), temperature=0.2)
    assert each[0, 0] == 0
    assert each[3, 0] == 0
    assert (each[1:3] > 0).all()


def test_permuting_the_batch_permutes_the_losses():
    embeddings = jax.random.normal(jax.random.key(1), (6, 2, 4))
    labels = jnp.array([0, 0, 1, 2, 1, 0])
    order = jnp.array([3, 1, 5, 0, 4, 2])
    straight = supcon(embeddings, labels, temperature=0.3)
    permuted = supcon(embeddings[order], labels[order], temperature=0.3)
    np.testing.assert_allclose(straight[order], permuted, rtol=1e-5)
