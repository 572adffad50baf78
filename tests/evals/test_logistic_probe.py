"""Logistic regression against scikit-learn, and parts of rows."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from bmjax.data.sampling import drawn_shares
from bmjax.evals.linear_probe import apply_linear, fit_linear
from bmjax.evals.logistic_probe import fit_logistic
from bmjax.evals.subset import choose_rows, held_out

RANDOM = np.random.Generator(np.random.PCG64(0))


def cells(count=600, width=12, classes=4):
    labels = RANDOM.integers(0, classes, count)
    centers = np.random.Generator(np.random.PCG64(7)).standard_normal((classes, width))
    features = 0.6 * centers[labels] + RANDOM.standard_normal((count, width))
    return features.astype(np.float32), labels


def test_it_is_scikit_learns_with_dinoblooms_strength(monkeypatch):
    monkeypatch.setattr("bmjax.evals.logistic_probe._BLOCK", 128)
    features, labels = cells()
    found = fit_logistic(features, labels, classes=4)
    assert found.converged
    known = LogisticRegression(C=12 * 4 / 100, max_iter=1000, tol=1e-6)
    known.fit(features.astype(float), labels)
    np.testing.assert_allclose(
        apply_linear(found.linear, features),
        known.predict_proba(features),
        atol=2e-3,
    )


def test_too_few_iterations_are_said():
    features, labels = cells()
    found = fit_logistic(features, labels, classes=4, iterations=2)
    assert not found.converged
    assert found.iterations == 2


def test_standardized_features_may_have_any_scale():
    features, labels = cells()
    plain = fit_logistic(features, labels, classes=4, standardize=True)
    scaled = fit_logistic(1000 * features, labels, classes=4, standardize=True)
    np.testing.assert_allclose(
        apply_linear(plain.linear, features),
        apply_linear(scaled.linear, 1000 * features),
        atol=2e-3,
    )


def test_a_class_without_images_is_improbable():
    features, labels = cells()
    shares = apply_linear(fit_logistic(features, labels, classes=5).linear, features)
    assert shares[:, 4].max() < 0.01


def test_a_part_keeps_every_class_and_is_no_larger_than_asked():
    labels = np.repeat([0, 1, 2], [900, 90, 4])
    rows = choose_rows(labels, 100, seed=0)
    assert np.bincount(labels[rows]).tolist() == [91, 10, 4]
    assert len(np.unique(rows)) == len(rows)
    assert choose_rows(labels, 10**4, seed=0).tolist() == list(range(994))
    features = RANDOM.standard_normal((994, 3)).astype(np.float32)
    assert fit_logistic(features, labels, classes=3, images=100).images == len(rows)


def test_what_is_held_out_is_a_share_of_each_class():
    labels = np.repeat([0, 1, 2], [50, 11, 4])
    outside = held_out(labels, 0.2, seed=0)
    assert np.bincount(labels[outside], minlength=3).tolist() == [10, 2, 0]
    assert not held_out(labels, 0.0, seed=0).any()
    assert not np.array_equal(outside, held_out(labels, 0.2, seed=1))


def test_the_linear_probe_on_some_rows_is_the_probe_on_those_alone():
    features, labels = cells(200)
    rows = np.flatnonzero(~held_out(labels, 0.2, seed=0))
    settings = {
        "classes": 4, "epochs": 2, "batch_size": 32, "learning_rate": 0.1,
        "momentum": 0.9, "weight_decay": 0.0, "standardize": True,
        "sampling": "natural", "seed": 0,
    }  # fmt: skip
    part = fit_linear(features, labels, rows=rows, **settings)
    alone = fit_linear(features[rows], labels[rows], **settings)
    for one, other in zip(part, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_shares_of_the_draws_follow_the_sampling():
    labels = np.repeat([0, 2], [64, 4])
    for sampling, known in {
        "natural": [64 / 68, 0, 4 / 68],
        "balanced": [0.5, 0, 0.5],
        "cycle": [0.5, 0, 0.5],
        "sqrt": [0.8, 0, 0.2],
    }.items():
        found = drawn_shares(labels, sampling, classes=3)
        np.testing.assert_allclose(found, known, atol=0.01)
