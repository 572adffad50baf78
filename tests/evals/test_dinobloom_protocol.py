"""DinoBloom's readout against scikit-learn, and its gradient against plain NumPy."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from bmjax.evals.dinobloom_protocol import dinobloom_neighbors, fit_dinobloom_logistic
from bmjax.evals.linear_probe import apply_linear

WIDTH, CLASSES = 12, 4
STRENGTH = WIDTH * CLASSES / 100


@pytest.fixture(scope="module")
def cells():
    """Features of very different scales and far from zero, unevenly many a class."""
    random = np.random.Generator(np.random.PCG64(0))
    labels = random.choice(CLASSES, 700, p=[0.7, 0.2, 0.08, 0.02])
    centers = random.standard_normal((CLASSES, WIDTH))
    features = 0.7 * centers[labels] + random.standard_normal((700, WIDTH))
    scales = np.geomspace(20, 0.1, WIDTH)
    features = features * scales + 5 * random.standard_normal(WIDTH)
    return features.astype(np.float32), labels


def gradient_length(kernel, bias, features, labels):
    """Of the mean loss and its penalty, written out; float64."""
    inputs, rows = features.astype(np.float64), np.arange(len(labels))
    shares = np.exp(inputs @ kernel + bias)
    shares /= shares.sum(axis=1, keepdims=True)
    shares[rows, labels] -= 1
    of_kernel = inputs.T @ shares / len(labels) + kernel / (STRENGTH * len(labels))
    return np.sqrt((of_kernel**2).sum() + (shares.mean(axis=0) ** 2).sum())


def relative(kernel, bias, cells):
    zero = np.zeros((WIDTH, CLASSES)), np.zeros(CLASSES)
    return gradient_length(kernel, bias, *cells) / gradient_length(*zero, *cells)


def test_the_gradient_is_as_short_as_it_says_and_as_was_asked_for(cells):
    for asked in (1e-3, 1e-5):
        fit = fit_dinobloom_logistic(
            *cells, classes=CLASSES, gradient=asked, iterations=2000
        )
        assert fit.converged
        assert max(fit.gradient, fit.scaled_gradient) <= asked
        assert fit.images == 700
        # The classifier that is used is rounded to float32.
        found = relative(fit.linear.kernel, fit.linear.bias, cells)
        assert found == pytest.approx(fit.gradient, rel=0.05, abs=1e-6)


@pytest.mark.slow
def test_it_is_scikit_learns_minimum_where_that_solver_gets_there(cells):
    features, labels = cells
    fit = fit_dinobloom_logistic(
        *cells, classes=CLASSES, gradient=1e-6, iterations=5000
    )
    known = LogisticRegression(
        C=STRENGTH, solver="newton-cg", max_iter=1000, tol=1e-10
    ).fit(features.astype(float), labels)
    np.testing.assert_allclose(
        apply_linear(fit.linear, features),
        known.predict_proba(features.astype(float)),
        atol=2e-3,
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_the_published_solver_and_limits_end_before_the_length_asked_for_by_default(
    cells,
):
    """scikit-learn's lbfgs, 1000 iterations, on features as they are."""
    features, labels = cells
    known = LogisticRegression(C=STRENGTH, max_iter=1000)
    known.fit(features.astype(float), labels)
    assert relative(known.coef_.T, known.intercept_, cells) > 1e-5
    fit = fit_dinobloom_logistic(
        *cells, classes=CLASSES, gradient=1e-5, iterations=1000
    )
    assert fit.converged


def test_what_is_not_reached_is_not_called_converged(cells):
    fit = fit_dinobloom_logistic(*cells, classes=CLASSES, gradient=1e-9, iterations=3)
    assert not fit.converged
    assert fit.iterations == 3
    assert fit.gradient > 1e-9


def test_a_class_without_images_has_no_probability_and_no_part_in_the_strength(cells):
    features, labels = cells
    asked = {"gradient": 1e-4, "iterations": 2000}
    fit = fit_dinobloom_logistic(features, labels + 1, classes=CLASSES + 2, **asked)
    plain = fit_dinobloom_logistic(features, labels, classes=CLASSES, **asked)
    shares = apply_linear(fit.linear, features)
    assert not shares[:, [0, CLASSES + 1]].any()
    np.testing.assert_allclose(
        shares[:, 1:-1], apply_linear(plain.linear, features), atol=1e-6
    )


def test_neighbors_are_those_of_scikit_learns_classifier(cells):
    features, labels = cells
    train, known_labels, rows = features[:500], labels[:500], features[500:]
    found = dinobloom_neighbors(train, known_labels, rows, classes=CLASSES)
    assert set(found) == {1, 20}
    for k, shares in found.items():
        known = KNeighborsClassifier(k).fit(train.astype(float), known_labels)
        np.testing.assert_allclose(
            shares, known.predict_proba(rows.astype(float)), atol=1e-6
        )
        np.testing.assert_array_equal(
            shares.argmax(axis=1), known.predict(rows.astype(float))
        )


def test_fewer_images_than_neighbors_all_vote(cells):
    features, labels = cells
    shares = dinobloom_neighbors(features[:5], labels[:5], features, classes=CLASSES)
    known = np.bincount(labels[:5], minlength=CLASSES) / 5
    np.testing.assert_allclose(shares[20], np.tile(known, (700, 1)), atol=1e-6)
