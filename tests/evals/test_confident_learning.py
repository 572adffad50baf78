"""Confident learning: against hand-computed numbers, a recorded reference, and laws."""

from pathlib import Path

import numpy as np
import pytest

from bmjax.evals.confident_learning import estimate_noise, rank_suspects

GOLDEN = Path(__file__).parents[1] / "golden" / "confident_learning.npz"


def drawn(images, confusion, *, seed=0, sharpness=4.0):
    """Images of known truth, labels flipped by P(label | truth), and a judge of them.

    The judge is right in about 19 of 20 images and knows nothing of the labels.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    truth = np.repeat(np.arange(len(images)), images)
    labels = np.array([random.choice(len(images), p=confusion[t]) for t in truth])
    logits = random.normal(size=(len(truth), len(images)))
    logits[np.arange(len(truth)), truth] += sharpness
    shares = np.exp(logits)
    return truth, labels, shares / shares.sum(axis=1, keepdims=True)


def test_a_case_by_hand():
    labels = np.array([0, 0, 0, 1, 1])
    shares = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.4, 0.6]])
    found = estimate_noise(labels, shares)
    # Thresholds 1.8 / 3 = 0.6 and 1.4 / 2 = 0.7. The last image reaches neither.
    np.testing.assert_allclose(found.thresholds, [0.6, 0.7])
    assert found.confident.tolist() == [[2, 1], [0, 1]]
    np.testing.assert_allclose(found.joint, [[0.4, 0.2], [0, 0.4]])
    np.testing.assert_allclose(found.noise, [[1, 1 / 3], [0, 2 / 3]])
    assert found.wrong.tolist() == [1, 0]
    suspects = rank_suspects(labels, shares, found.wrong)
    assert suspects.rows.tolist() == [2]
    assert suspects.suggested.tolist() == [1]
    assert suspects.ranks.tolist() == [1]
    np.testing.assert_allclose(suspects.margins, [-0.8])


def test_the_recorded_reference():
    """Its joint has whole numbers of images, so that an entry is off by one at most."""
    with np.load(GOLDEN) as kept:
        labels = kept["labels"].astype(int)
        found = estimate_noise(labels, kept["probabilities"])
        np.testing.assert_array_equal(found.confident, kept["confident"])
        np.testing.assert_allclose(found.joint, kept["joint"], atol=1 / len(labels))


def test_labels_that_agree_with_a_sure_judge_have_no_noise():
    _, labels, shares = drawn([30, 20, 10], np.eye(3), sharpness=12.0)
    found = estimate_noise(labels, shares)
    assert not found.wrong.any()
    np.testing.assert_allclose(found.joint, np.diag([0.5, 1 / 3, 1 / 6]))
    np.testing.assert_allclose(found.noise, np.eye(3))
    assert not len(rank_suspects(labels, shares, found.wrong).rows)


def test_equal_probabilities_reach_their_mean():
    labels = np.repeat([0, 1], 7)
    shares = np.where(np.eye(2)[labels] > 0, 0.7, 0.3)
    assert estimate_noise(labels, shares).confident.tolist() == [[7, 0], [0, 7]]


def test_planted_flips_are_estimated():
    """Of 6,000 images a tenth of one class and a twentieth of another are flipped."""
    confusion = np.array([[0.9, 0.1, 0], [0, 1, 0], [0.05, 0, 0.95]])
    truth, labels, shares = drawn([2000, 2000, 2000], confusion, sharpness=6.0)
    found = estimate_noise(labels, shares)
    real = np.zeros((3, 3))
    np.add.at(real, (labels, truth), 1 / len(labels))
    np.testing.assert_allclose(found.joint, real, atol=0.005)
    np.testing.assert_allclose(found.noise, confusion.T, atol=0.015)
    suspects = rank_suspects(labels, shares, found.wrong)
    wrong = labels[suspects.rows] != truth[suspects.rows]
    assert wrong.mean() > 0.9
    assert wrong.sum() > 0.9 * (labels != truth).sum()
    assert (suspects.suggested == truth[suspects.rows])[wrong].mean() > 0.95


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_class_without_images_shifts_nothing(place):
    """Even where the judge thinks much of it."""
    confusion = np.array([[0.9, 0.1, 0], [0, 1, 0], [0, 0.1, 0.9]])
    _, labels, shares = drawn([60, 50, 40], confusion, sharpness=3.0)
    names = np.delete(np.arange(4), place)
    wider = np.full((len(labels), 4), 0.9)
    wider[:, names] = shares
    before, after = estimate_noise(labels, shares), estimate_noise(names[labels], wider)
    kept = np.ix_(names, names)
    np.testing.assert_array_equal(after.confident[kept], before.confident)
    np.testing.assert_allclose(after.joint[kept], before.joint)
    np.testing.assert_allclose(after.noise[kept], before.noise)
    np.testing.assert_array_equal(after.wrong[names], before.wrong)
    assert after.wrong[place] == 0
    assert not after.joint[place].any()
    assert not after.joint[:, place].any()
    assert np.isinf(after.thresholds[place])


def test_classes_in_another_order_give_the_same_in_that_order():
    confusion = np.full((4, 4), 0.05) + 0.8 * np.eye(4)
    _, labels, shares = drawn([40, 30, 20, 10], confusion)
    order = np.array([2, 0, 3, 1])  # new number -> old number
    number = np.argsort(order)
    before = estimate_noise(labels, shares)
    after = estimate_noise(number[labels], shares[:, order])
    for name in ("images", "thresholds", "wrong"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name)[order])
    for name in ("confident", "joint", "noise"):
        matrix = getattr(before, name)[np.ix_(order, order)]
        np.testing.assert_allclose(getattr(after, name), matrix)
    first = rank_suspects(labels, shares, before.wrong)
    second = rank_suspects(number[labels], shares[:, order], after.wrong)
    assert set(first.rows.tolist()) == set(second.rows.tolist())


def test_a_class_with_one_image_keeps_it():
    """However sure the judge is that it is another."""
    labels = np.array([0, 0, 0, 1])
    shares = np.array([[0.9, 0.1], [0.9, 0.1], [0.8, 0.2], [0.95, 0.05]])
    found = estimate_noise(labels, shares)
    np.testing.assert_allclose(found.joint.sum(axis=1), [0.75, 0.25])
    assert found.confident[1, 1] >= 1


def test_rows_of_the_joint_are_the_labels_shares():
    confusion = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    _, labels, shares = drawn([90, 60, 30], confusion, sharpness=2.0)
    found = estimate_noise(labels, shares)
    np.testing.assert_allclose(
        found.joint.sum(axis=1), np.bincount(labels) / len(labels)
    )
    np.testing.assert_allclose(found.noise.sum(axis=0), 1)


def test_no_image_is_listed_twice_and_lowest_margins_come_first():
    confusion = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    _, labels, shares = drawn([90, 60, 30], confusion)
    suspects = rank_suspects(labels, shares, np.array([5, 1000, 0]))
    assert len(set(suspects.rows.tolist())) == len(suspects.rows)
    for label, number in ((0, 5), (1, (labels == 1).sum()), (2, 0)):
        own = labels[suspects.rows] == label
        assert own.sum() == number
        assert (np.diff(suspects.margins[own]) >= 0).all()
        assert suspects.ranks[own].tolist() == list(range(1, number + 1))
    assert (suspects.suggested != labels[suspects.rows]).all()
