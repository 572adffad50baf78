"""Smears of one pool agree as often as they should, and those of two do not."""

import numpy as np

from bmjax.count.smears_agree import smears_agree

NAMES = ("A", "B", "C")


def test_p_values_of_one_pool_are_even():
    random = np.random.default_rng(0)
    found = []
    for seed in range(60):
        labels = random.choice(3, 80, p=[0.7, 0.25, 0.05])
        smears = ["one" if one else "two" for one in random.random(80) < 0.4]
        found.append(smears_agree(labels, smears, NAMES, seed=seed)["p_value"])
    # Of 60 even ones fewer than 3 or more than 27 are below a quarter once in 1,000.
    assert 3 <= np.sum(np.array(found) < 0.25) <= 27


def test_two_pools_differ():
    labels = np.array([0] * 60 + [1] * 40 + [0] * 30 + [1] * 70)
    found = smears_agree(labels, ["one"] * 100 + ["two"] * 100, NAMES)
    assert found["p_value"] < 0.002
    one, two = found["smears"]
    assert one["percent"] == {"A": 60.0, "B": 40.0}
    assert (two["smear"], two["cells"]) == ("two", 100)


def test_smears_and_classes_may_come_in_any_order():
    labels = np.array([0, 0, 1, 2, 1, 0, 2, 2])
    smears = list("ababbaab")
    one = smears_agree(labels, smears, NAMES)
    order = np.random.default_rng(0).permutation(8)
    other = smears_agree(labels[order], [smears[i] for i in order], NAMES)
    assert one["smears"] == other["smears"]
    assert abs(one["p_value"] - other["p_value"]) < 0.05


def test_one_smear_or_no_cells_have_no_answer():
    assert smears_agree(np.array([0, 1]), ["a", "a"], NAMES) is None
    assert smears_agree(np.zeros(0, int), [], NAMES) is None
