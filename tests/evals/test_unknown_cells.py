"""Detectors of unknown cells against direct formulas, their signs, and their scale."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bmjax.evals.unknown_cells import (
    RIDGE,
    auroc,
    false_positive_rate,
    fit_mahalanobis,
    fit_nearest,
    fit_vim,
    mahalanobis_scores,
    nearest_scores,
    vim_scores,
)

FEATURES, CLASSES = 12, 3
MEANS = 4 + np.random.default_rng(99).normal(size=(CLASSES, FEATURES))


def drawn(seed=0, count=300, shift=0.0):
    """Classes that lie around their means, most of it in a few directions."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    spread = np.geomspace(1, 0.02, FEATURES)
    rows = MEANS[labels] + 0.4 * spread * random.normal(size=(count, FEATURES))
    rows[:, -3:] += shift
    return rows.astype(np.float32), labels


def classifier(scale=1.0):
    """The best one for equal spread in all directions."""
    means = MEANS.T / 0.16
    return means / scale, -(MEANS**2).sum(axis=1) / 0.32


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def scores_of(name, train, labels, rows, scale=1.0):
    if name == "mahalanobis":
        return mahalanobis_scores(fit_mahalanobis(train, labels), rows)
    if name == "nearest":
        return nearest_scores(fit_nearest(train, labels), rows)
    return vim_scores(fit_vim(train, *classifier(scale)), rows)


every = pytest.mark.parametrize("name", ["mahalanobis", "nearest", "vim"])


def test_mahalanobis_is_the_explicit_inverse():
    train, labels = drawn()
    rows = unit(drawn(1, 40)[0].astype(float))
    known = unit(train.astype(float))
    means = np.stack([known[labels == number].mean(axis=0) for number in range(3)])
    centered = known - means[labels]
    covariance = centered.T @ centered / len(known)
    covariance += RIDGE * np.trace(covariance) / FEATURES * np.eye(FEATURES)
    gaps = rows[:, None] - means
    direct = np.einsum("ncf,fg,ncg->nc", gaps, np.linalg.inv(covariance), gaps)
    found = mahalanobis_scores(fit_mahalanobis(train, labels), drawn(1, 40)[0])
    np.testing.assert_allclose(found, direct.min(axis=1), rtol=2e-3)


def test_the_kth_nearest_is_the_one_of_all_distances():
    train, labels = drawn()
    rows = drawn(1, 40)[0]
    gaps = np.linalg.norm(unit(rows)[:, None] - unit(train), axis=2)
    found = nearest_scores(fit_nearest(train, labels), rows, neighbors=7)
    # Features of length 1 are kept to 11 bits.
    np.testing.assert_allclose(found, np.sort(gaps, axis=1)[:, 6], atol=2e-3)


def test_vim_is_the_virtual_logit():
    train, _ = drawn()
    rows = drawn(1, 40)[0].astype(float)
    kernel, bias = classifier()
    origin = -np.linalg.pinv(kernel.T) @ bias
    _, _, directions = np.linalg.svd(train - origin, full_matrices=False)
    outside = np.eye(FEATURES) - directions[:8].T @ directions[:8]
    of_train = np.linalg.norm((train - origin) @ outside, axis=1)
    alpha = (train @ kernel + bias).max(axis=1).mean() / of_train.mean()
    virtual = alpha * np.linalg.norm((rows - origin) @ outside, axis=1)
    logits = rows @ kernel + bias
    direct = virtual - np.logaddexp.reduce(logits, axis=1)
    found = vim_scores(fit_vim(train, kernel, bias, principal=8), rows)
    np.testing.assert_allclose(found, direct, rtol=1e-3, atol=1e-3)


@every
def test_cells_far_away_score_higher(name):
    train, labels = drawn()
    known = scores_of(name, train, labels, drawn(1)[0])
    far = scores_of(name, train, labels, drawn(2, shift=3.0)[0])
    assert auroc(known, far) > 0.9
    assert false_positive_rate(known, far) < 0.3


@every
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_scale_of_features_is_of_no_account(name, scale):
    train, labels = drawn()
    rows = drawn(1, 50, shift=0.5)[0]
    scaled = scores_of(name, train * scale, labels, rows * scale, scale)
    expected = scores_of(name, train, labels, rows)
    np.testing.assert_allclose(scaled, expected, rtol=5e-3, atol=5e-3)


def test_the_ridge_keeps_the_distance_where_the_covariance_has_no_inverse():
    train, labels = drawn(count=8)  # fewer cells than features
    fitted = fit_mahalanobis(train, labels)
    known = mahalanobis_scores(fitted, drawn(1)[0])
    assert auroc(known, mahalanobis_scores(fitted, drawn(2, shift=3.0)[0])) > 0.8
    still = fit_mahalanobis(np.ones((4, FEATURES)), np.zeros(4, int))
    assert np.isfinite(mahalanobis_scores(still, train)).all()


def test_a_class_without_training_cells_changes_nothing():
    train, labels = drawn()
    found = mahalanobis_scores(fit_mahalanobis(train, labels * 2), train)
    assert np.array_equal(
        found, mahalanobis_scores(fit_mahalanobis(train, labels), train)
    )


def test_nearest_keeps_every_class():
    train, _ = drawn(count=400)
    labels = np.r_[np.zeros(380, int), np.ones(20, int)]
    kept = fit_nearest(train, labels, most=100).kept
    rare = unit(train)[380:].astype(np.float16)
    assert len(kept) == pytest.approx(105, abs=2)
    assert sum(any(np.array_equal(one, row) for row in kept) for one in rare) >= 10


def test_auroc_is_scikit_learns_and_the_rate_is_by_hand():
    random = np.random.default_rng(0)
    known, unknown = random.integers(0, 9, 50), random.integers(3, 12, 40)
    truth = np.r_[np.zeros(50), np.ones(40)]
    assert auroc(known, unknown) == pytest.approx(
        roc_auc_score(truth, np.r_[known, unknown])
    )
    assert false_positive_rate(np.arange(101), np.array([0, 95, 96, 200])) == 0.5
