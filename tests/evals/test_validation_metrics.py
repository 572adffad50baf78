"""Metrics of a validation: of what was given, whoever predicts."""

import numpy as np
import pytest

from bmjax.evals.validation_metrics import SHOWN, validation_metrics

CLASSES = ("A", "B", "C")


def clusters(count, seed):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    features = 5 * np.eye(len(CLASSES), 6)[labels] + random.standard_normal((count, 6))
    return features.astype(np.float32), labels


def test_features_that_tell_classes_apart_have_high_metrics_by_both_probes():
    train, validation = clusters(120, 0), clusters(60, 1)
    found = validation_metrics(*train, *validation, CLASSES)
    assert len(found) == 2 * len(SHOWN)
    assert min(found.values()) > 0.95
    mixed = np.random.default_rng(2).permutation(validation[1])
    chance = validation_metrics(*train, validation[0], mixed, CLASSES)
    assert max(chance.values()) < 0.6


def test_a_classifier_is_judged_by_its_own_logits():
    train, (features, labels) = clusters(30, 0), clusters(9, 1)
    logits = np.eye(3, dtype=np.float32)[np.where(labels == 2, 0, labels)]
    found = validation_metrics(*train, features, labels, CLASSES, logits=logits)
    assert found["classifier/accuracy"] == pytest.approx(2 / 3)
    assert found["classifier/macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_a_class_without_validation_images_is_left_out_of_the_averages():
    train, (features, labels) = clusters(120, 0), clusters(60, 1)
    there = labels != 1
    found = validation_metrics(*train, features[there], labels[there], CLASSES)
    assert found["logistic/balanced_accuracy"] > 0.95
