"""The validation part: of the training part alone, and the same on another day."""

import numpy as np
import pytest

from bmjax.data.splits.make_split import Split, counts, make_split, split_digest
from bmjax.data.splits.validation_part import hold_out_validation
from bmjax.errors import DataError
from tests.data.splits.test_make_split import SMALL, catalog_of, write


def cut(catalog, share, name="holdout", fold=0, seed=42):
    whole = make_split(catalog, name=name, fold=fold, seed=seed)
    return whole, *hold_out_validation(
        catalog, whole, share=share, name=name, seed=seed
    )


HUNDREDS = catalog_of({"AAA": 200, "BBB": 57, "CCC": 8})


@pytest.mark.parametrize("name", ["holdout", "kfold", "blocks"])
def test_a_share_of_each_class_of_the_training_part_and_no_test_image(name):
    whole, split, held = cut(HUNDREDS, 0.1, name)
    np.testing.assert_array_equal(split.test, whole.test)
    np.testing.assert_array_equal(np.union1d(split.train, held), whole.train)
    assert len(split.train) + len(held) == len(whole.train)
    train = counts(HUNDREDS, whole.train)
    assert counts(HUNDREDS, held) == {cell: n // 10 for cell, n in train.items()}


@pytest.mark.parametrize(("share", "held"), [(0.29, 29), (0.3, 30), (0.005, 0)])
def test_the_share_is_rounded_down_once(share, held):
    catalog = catalog_of({"AAA": 125, "BBB": 2500})
    _, _, found = cut(catalog, share)
    assert counts(catalog, found)["AAA"] == held


def test_a_class_is_held_out_alike_whatever_other_classes_there_are():
    both, alone = catalog_of({"AAA": 20, "BBB": 30}), catalog_of({"BBB": 30})
    names = [
        {catalog.paths[i] for i in cut(catalog, 0.2)[2] if "BBB" in catalog.paths[i]}
        for catalog in (both, alone)
    ]
    assert names[0] == names[1]
    assert len(names[0]) == 4
    _, _, other = cut(both, 0.2, seed=43)
    assert {both.paths[i] for i in other if "BBB" in both.paths[i]} != names[0]


def test_it_is_the_same_on_another_day():
    _, _, held = cut(catalog_of({"AAA": 20, "BBB": 10}), 0.25)
    assert held.tolist() == FROZEN


def test_of_blocks_it_is_one_run_of_neighbors():
    whole, _, held = cut(HUNDREDS, 0.1, "blocks", fold=2)
    for label in range(len(HUNDREDS.classes)):
        train = whole.train[HUNDREDS.labels[whole.train] == label]
        places = np.flatnonzero(np.isin(train, held))
        assert len(places) == 0 or np.ptp(places) == len(places) - 1


def test_groups_stay_whole_and_no_class_loses_its_last_training_image(tmp_path):
    random = np.random.default_rng(0)
    sizes = {"AAA": 200, "BBB": 90, "CCC": 6}
    catalog = catalog_of(sizes)
    groups = [f"p{number}" for number in random.integers(0, 30, len(catalog))]
    groups[-6:] = ["p1"] * 5 + ["p2"]  # all of CCC is two patients'
    file = write(
        tmp_path / "own.csv", "path,group", zip(catalog.paths, groups, strict=True)
    )
    whole, split, held = cut(catalog, 0.2, file, seed=1)
    of = lambda part: {groups[i] for i in part}
    assert not of(held) & of(split.train)
    assert not of(held) & of(split.test)
    found, train = counts(catalog, held), counts(catalog, whole.train)
    assert min(counts(catalog, split.train).values()) > 0
    for cell in ("AAA", "BBB"):
        assert found[cell] / train[cell] == pytest.approx(0.2, abs=0.05)


def test_a_share_that_holds_nothing_out_is_refused_and_none_changes_nothing():
    with pytest.raises(DataError, match=r"validation_share = 0.01 of 15 training"):
        cut(SMALL, 0.01)
    whole, split, held = cut(SMALL, 0.0)
    assert not len(held)
    np.testing.assert_array_equal(split.train, whole.train)
    assert split_digest(SMALL, split, held) == split_digest(SMALL, whole)


def test_the_digest_knows_the_validation_part():
    whole = make_split(SMALL, name="holdout", fold=0, seed=0)
    digests = {split_digest(SMALL, whole)}
    for share in (0.2, 0.4):
        digests.add(split_digest(SMALL, *cut(SMALL, share, seed=0)[1:]))
    fewer = Split(np.setdiff1d(whole.train, whole.train[:1]), whole.test)
    digests |= {split_digest(SMALL, fewer), split_digest(SMALL, fewer, [0])}
    assert len(digests) == 5


FROZEN = [2, 3, 4, 14, 20, 21]
