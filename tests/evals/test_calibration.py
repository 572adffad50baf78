"""Calibration by hand, against scikit-learn, and on mixtures whose truth is known."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from bmjax.evals.calibration import (
    apply_temperature,
    brier_score,
    calibration_error,
    calibration_metrics,
    correct_prior,
    estimate_prior,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from bmjax.evals.recalibration import recalibrate, recalibrated_metrics

RANDOM = np.random.Generator(np.random.PCG64(0))


def drawn(count, sharpness=1.0, classes=4):
    """Labels drawn from known probabilities, and these sharpened."""
    true = RANDOM.dirichlet(np.ones(classes), count)
    labels = (RANDOM.random((count, 1)) > true.cumsum(axis=1)).sum(axis=1)
    sharp = true**sharpness
    return labels, (sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32)


def test_calibration_error_by_hand():
    confidence = np.array([0.9, 0.9, 0.6, 0.6, 0.6])
    right = np.array([True, False, True, True, False])
    # |1.8 - 1| + |1.8 - 2| over 5 images, in bins of a fifth each.
    assert calibration_error(confidence, right, bins=5) == pytest.approx(1.0 / 5)
    # In one bin, what is said too much and too little cancels.
    assert calibration_error(confidence, right, bins=1) == pytest.approx(0.6 / 5)


def test_the_reliability_diagram_by_hand():
    confidence = np.array([0.9, 0.95, 0.35, 1.0, 0.2])
    right = np.array([True, False, True, True, False])
    found = reliability(confidence, right, bins=5)
    assert [one["images"] for one in found] == [1, 1, 3]
    assert found[0]["high"] == pytest.approx(0.2)  # a bin holds its upper end
    assert found[2]["confidence"] == pytest.approx(0.95)
    assert found[2]["accuracy"] == pytest.approx(2 / 3)
    assert found[2]["interval"][0] < 2 / 3 < found[2]["interval"][1]


def test_bins_of_equal_mass_hold_as_many_images():
    confidence = RANDOM.random(1000) ** 4
    found = reliability(confidence, confidence > 0.5, bins=10, by="mass")
    assert all(abs(one["images"] - 100) <= 2 for one in found)
    assert sum(one["images"] for one in found) == 1000
    same = reliability(np.full(30, 0.7), np.ones(30, bool), bins=10, by="mass")
    assert [one["images"] for one in same] == [30]


def test_scores_are_scikit_learns():
    labels, probabilities = drawn(200)
    probabilities = probabilities.astype(float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    known = brier_score_loss(labels, probabilities, labels=range(4))
    # scikit-learn halves nothing for several classes: the same sum of squares.
    assert brier_score(labels, probabilities) == pytest.approx(known, rel=1e-6)
    assert negative_log_likelihood(labels, probabilities) == pytest.approx(
        log_loss(labels, probabilities), rel=1e-6
    )


def test_a_probability_of_zero_is_counted_and_not_averaged():
    labels, probabilities = np.array([0, 1]), np.array([[1, 0], [1, 0]], np.float32)
    found = calibration_metrics(labels, probabilities, ["a", "b"])
    assert found["impossible"] == 1
    assert found["nll"] is None
    assert found["brier"] == pytest.approx(1.0)


def test_an_absent_class_has_no_calibration_error():
    labels, probabilities = drawn(50, classes=3)
    labels = np.minimum(labels, 1)
    found = calibration_metrics(labels, probabilities, ["a", "b", "c"])
    per_class = found["classwise_ece_per_class"]
    assert per_class["c"] is None
    assert found["classwise_ece"] == pytest.approx(
        (per_class["a"] + per_class["b"]) / 2
    )


def test_the_order_of_images_and_the_numbers_of_classes_do_not_matter():
    labels, probabilities = drawn(300)
    order, number = RANDOM.permutation(300), RANDOM.permutation(4)
    one = calibration_metrics(labels, probabilities, list("abcd"))
    other = calibration_metrics(
        np.argsort(number)[labels[order]], probabilities[order][:, number], list("abcd")
    )
    for name in ("ece", "ece_equal_mass", "classwise_ece", "brier", "nll"):
        assert one[name] == pytest.approx(other[name], rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(temperature):
    labels, probabilities = drawn(20_000, sharpness=temperature)
    found = fit_temperature(labels, probabilities)
    assert found == pytest.approx(temperature, rel=0.05)
    mended = apply_temperature(probabilities, found)
    if temperature != 1.0:
        before, after = (
            calibration_metrics(labels, p, list("abcd"))
            for p in (probabilities, mended)
        )
        assert after["ece"] < before["ece"] / 3
        assert after["nll"] < before["nll"]
    assert np.array_equal(mended.argmax(axis=1), probabilities.argmax(axis=1))


def test_a_temperature_of_1_changes_nothing():
    _, probabilities = drawn(20)
    np.testing.assert_allclose(
        apply_temperature(probabilities, 1.0), probabilities, rtol=1e-5
    )


def mixture(shares, count):
    """One feature of three normal classes, and their densities there."""
    labels = RANDOM.choice(3, count, p=shares)
    x = RANDOM.standard_normal(count) + 1.5 * labels
    densities = np.exp(-0.5 * (x[:, None] - 1.5 * np.arange(3)) ** 2)
    return labels, densities


def bayes(densities, shares):
    joint = densities * shares
    return joint / joint.sum(axis=1, keepdims=True)


def test_prior_correction_recovers_bayes_on_a_mixture():
    even, used = np.full(3, 1 / 3), np.array([0.9, 0.08, 0.02])
    labels, densities = mixture(used, 5000)
    balanced = bayes(densities, even)
    mended = correct_prior(balanced, even, used)
    np.testing.assert_allclose(mended, bayes(densities, used), rtol=1e-5, atol=1e-7)
    right = [np.mean(p.argmax(axis=1) == labels) for p in (balanced, mended)]
    assert right[1] > right[0]
    with pytest.raises(ValueError, match="drawn in training"):
        correct_prior(balanced, np.array([0.5, 0.5, 0.0]), used)


def test_shares_in_use_are_estimated_without_labels():
    even, used = np.full(3, 1 / 3), np.array([0.7, 0.2, 0.1])
    _, densities = mixture(used, 20_000)
    found = estimate_prior(bayes(densities, even), even)
    np.testing.assert_allclose(found, used, atol=0.03)
    assert found.sum() == pytest.approx(1)


def test_mending_corrects_the_prior_and_then_the_temperature():
    even, used = np.full(3, 1 / 3), np.array([0.9, 0.08, 0.02])
    labels, densities = mixture(used, 2000)
    balanced = bayes(densities, even).astype(np.float32)
    np.testing.assert_array_equal(recalibrate(balanced, used, used), balanced)
    corrected = correct_prior(balanced, even, used)
    np.testing.assert_array_equal(
        recalibrate(balanced, even, used, temperature=2.0),
        apply_temperature(corrected, 2.0),
    )
    settings = {"trained": even, "used": used, "validation_images": 5}
    found = recalibrated_metrics(
        labels, balanced, list("abc"), temperature=2.0, **settings
    )
    raw = calibration_metrics(labels, balanced, list("abc"))
    assert found["prior_correction"]["ece"] < raw["ece"]
    assert found["temperature"]["value"] == 2.0
    nothing = recalibrated_metrics(
        labels,
        balanced,
        list("abc"),
        temperature=None,
        **(settings | {"trained": used}),
    )
    assert nothing == {"prior_correction": None, "temperature": None}


def test_expectation_and_maximization_finds_rare_shares():
    random = np.random.default_rng(0)
    prior, shares = np.full(3, 1 / 3), np.array([0.9, 0.0995, 0.0005])
    true = random.choice(3, 40_000, p=shares)
    means = 4 * np.eye(3)
    features = means[true] + random.normal(size=(len(true), 3))
    scores = features @ means.T - 8
    likelihood = np.exp(scores - scores.max(axis=1, keepdims=True))
    posterior = likelihood * prior
    posterior /= posterior.sum(axis=1, keepdims=True)
    found = estimate_prior(posterior, prior)
    np.testing.assert_allclose(found, np.bincount(true) / len(true), atol=3e-3)
    assert 2e-4 < found[2] < 1.2e-3
    assert np.isclose(found.sum(), 1)


def test_a_class_without_prior_stays_without_share():
    shares = estimate_prior(np.array([[0.7, 0.3, 0.0]] * 4), np.array([0.5, 0.5, 0]))
    assert shares[2] == 0
