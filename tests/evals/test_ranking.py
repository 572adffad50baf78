"""What decides a ranking, against the paper's own numbers and all subsets."""

import itertools

import numpy as np
import pytest

from bmjax.data.matek import CLASSES
from bmjax.evals.confusion import (
    Counts,
    confusion_matrix,
    counts_of,
    mean_over,
    metrics_of_counts,
)
from bmjax.evals.ranking import decided_by

NAMES = [cell.abbreviation for cell in CLASSES]
# The authors' notebooks, one split of the release: images of each class, and for SwAV
# and SupCon right answers and answers in all (right over precision).
SUPPORT = [
    2, 3926, 89, 2395, 5479, 1177, 10, 82, 9, 13, 5249, 611, 808, 1312, 1994, 5885, 708,
    59, 548, 1526, 2399,
]  # fmt: skip
SWAV = Counts(
    np.array([2, 3498, 44, 1958, 5198, 1120, 1, 52, 6, 3, 4831, 276, 579, 791, 1365,
              5392, 377, 40, 399, 1374, 2089]),
    np.array(SUPPORT),
    np.array([2, 3960, 61, 2382, 5522, 1155, 4, 60, 6, 7, 5473, 576, 802, 1074, 1924,
              6028, 578, 47, 507, 1505, 2608]),
)  # fmt: skip
SUPCON = Counts(
    np.array([0, 3547, 49, 2032, 5205, 1120, 2, 45, 5, 2, 4830, 297, 581, 876, 1464,
              5432, 395, 38, 398, 1406, 2026]),
    np.array(SUPPORT),
    np.array([0, 3956, 64, 2458, 5522, 1163, 4, 57, 6, 4, 5402, 505, 776, 1214, 1948,
              6023, 600, 43, 499, 1522, 2515]),
)  # fmt: skip


def decided(first, second, *arguments, **options):
    """The decision from counts."""
    metrics = (metrics_of_counts(*counts) for counts in (first, second))
    return decided_by(*metrics, *arguments, **options)


def test_the_papers_ranking_rests_on_two_images():
    found = decided(SWAV, SUPCON, NAMES, ("SwAV", "SupCon"))
    assert found.leader == 0
    assert found.difference == pytest.approx(0.0414, abs=1e-4)
    assert (found.images, found.classes) == (2, ("ABE",))
    assert found.without == pytest.approx((0.7182, 0.7247), abs=1e-4)
    assert (found.lost, found.lost_by_class) == (2, {"ABE": 2})
    assert found.sentence == (
        "SwAV leads SupCon by 0.0414 macro F1. 2 of 34,281 test images (ABE) decide "
        "it: without them SupCon leads by 0.0066."
    )
    assert found.lost_sentence == (
        "Losing 2 correct predictions (2 of ABE) would end SwAV's lead."
    )


def test_by_accuracy_the_other_one_leads():
    found = decided(SWAV, SUPCON, NAMES, ("SwAV", "SupCon"), average="accuracy")
    assert (found.leader, found.images) == (1, 355)
    assert found.sentence == (
        "SupCon leads SwAV by 0.0104 accuracy: 355 of 34,281 test images."
    )


def test_rates_that_are_no_counts_say_so():
    first, second = (metrics_of_counts(*counts) for counts in (SWAV, SUPCON))
    rates = first._replace(correct=None, predicted=None)
    found = decided_by(rates, second, NAMES, average="accuracy")
    assert ": about 355 of" in found.sentence
    found = decided_by(rates, second, NAMES)
    assert (found.lost, found.lost_sentence, found.images) == (None, "", 2)


def test_an_absent_class_changes_nothing():
    def with_absent(counts):
        wider = Counts(*(np.append(part, 0) for part in counts))
        metrics = metrics_of_counts(*wider)
        return metrics._replace(f1=np.append(metrics.f1[:-1], np.nan))

    found = decided_by(with_absent(SWAV), with_absent(SUPCON), [*NAMES, "ZZZ"])
    known = decided(SWAV, SUPCON, NAMES)
    assert found._replace(without=None) == known._replace(without=None)
    assert found.without == pytest.approx(known.without)


def test_the_order_of_the_systems_does_not_matter():
    one = decided(SWAV, SUPCON, NAMES, ("SwAV", "SupCon"))
    other = decided(SUPCON, SWAV, NAMES, ("SupCon", "SwAV"))
    assert other.leader == 1
    assert other.difference == -one.difference
    assert one.without == other.without[::-1]
    assert one.sentence == other.sentence
    assert one.lost_sentence == other.lost_sentence


def fewest_by_trying(leader, lead):
    """The fewest answers by trying all ways to lose some."""
    choices = [range(right + 1) for right in leader.correct]
    present = leader.support > 0
    before = mean_over(metrics_of_counts(*leader).f1, present)
    fewest = None
    for lost in itertools.product(*choices):
        left = Counts(leader.correct - lost, leader.support, leader.predicted - lost)
        fall = before - mean_over(metrics_of_counts(*left).f1, present)
        if fall >= lead - 1e-12 and (fewest is None or sum(lost) < fewest):
            fewest = sum(lost)
    return fewest


@pytest.mark.parametrize("case", range(12))
def test_the_fewest_answers_are_found(case):
    random = np.random.Generator(np.random.PCG64(case))
    labels = random.choice(4, 24, p=[0.5, 0.3, 0.15, 0.05])
    systems = [
        counts_of(
            confusion_matrix(
                labels,
                np.where(random.random(24) < skill, labels, random.integers(0, 4, 24)),
                4,
            )
        )
        for skill in (0.8, 0.5)
    ]
    found = decided(*systems, list("abcd"))
    if found.leader < 0:
        assert found.lost == 0
        return
    known = fewest_by_trying(systems[found.leader], abs(found.difference))
    assert found.lost == known
    assert sum(found.lost_by_class.values()) == known


def test_systems_alike_have_no_leader():
    found = decided(SWAV, SWAV, NAMES)
    assert (found.leader, found.lost, found.classes) == (-1, 0, ())


def test_a_lead_of_thousands_is_said_to_be_one():
    support = np.array([9000, 9000])
    good, bad = Counts(support, support, support), Counts(support * 0, support, support)
    found = decided(good, bad, ["a", "b"], ("good", "bad"))
    assert found.lost is None
    assert "Losing 2,000 correct predictions would not end" in found.lost_sentence


def test_other_images_have_no_common_predictions_to_lose():
    found = decided(SWAV, SUPCON._replace(support=SUPCON.support + 1), NAMES)
    assert (found.lost, found.lost_sentence) == (None, "")
