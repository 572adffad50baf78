"""Splits: disjoint, complete, in proportion, the same on another day."""

from pathlib import Path

import numpy as np
import pytest

from bmjax.data.folder import Catalog
from bmjax.data.folds import FOLDS, counts, make_split
from bmjax.data.labels import CLASSES
from bmjax.errors import ConfigError, DataError


def catalog_of(sizes):
    """A catalog of so many images in each class; the files need not exist."""
    return Catalog(
        root=Path("nowhere"),
        paths=tuple(f"{c}/{c}_{i:05d}.jpg" for c, n in sizes.items() for i in range(n)),
        labels=np.repeat(np.arange(len(sizes), dtype=np.int32), list(sizes.values())),
        classes=tuple(sizes),
        fingerprint="",
    )


RELEASE = catalog_of({cell.abbreviation: cell.images for cell in CLASSES})


def test_holdout_of_the_release_has_the_published_sizes():
    split = make_split(RELEASE, name="holdout", fold=0, seed=42)
    assert (len(split.train), len(split.test)) == (137_093, 34_281)
    assert counts(RELEASE, split.test)["ABE"] == 2


def test_folds_of_the_release_cover_it_once_in_every_class():
    splits = [make_split(RELEASE, name="kfold", fold=f, seed=42) for f in range(FOLDS)]
    for split in splits:
        assert not np.intersect1d(split.train, split.test).size
        assert len(split.train) + len(split.test) == len(RELEASE)
    together = np.sort(np.concatenate([split.test for split in splits]))
    np.testing.assert_array_equal(together, np.arange(len(RELEASE)))
    assert [counts(RELEASE, s.test)["ABE"] for s in splits] == [2, 2, 2, 1, 1]
    sizes = np.array([list(counts(RELEASE, s.test).values()) for s in splits])
    assert (sizes.max(axis=0) - sizes.min(axis=0) <= 1).all()


def test_a_class_is_split_alike_whatever_other_classes_there_are():
    both = catalog_of({"AAA": 10, "BBB": 12})
    alone = catalog_of({"BBB": 12})
    with_other = make_split(both, name="holdout", fold=0, seed=1).test
    names = {both.paths[i] for i in with_other if both.labels[i] == 1}
    assert names == {
        alone.paths[i] for i in make_split(alone, name="holdout", fold=0, seed=1).test
    }


def test_the_split_is_the_same_on_another_day_and_another_for_another_seed():
    catalog = catalog_of({"AAA": 10, "BBB": 5})
    split = make_split(catalog, name="holdout", fold=0, seed=42)
    assert split.test.tolist() == FROZEN
    assert make_split(catalog, name="holdout", fold=0, seed=43).test.tolist() != FROZEN


FROZEN = [1, 9, 13]  # positions drawn on the day that this was written


def test_a_class_without_a_training_image_is_named():
    with pytest.raises(DataError, match=r"class BBB has 1 image"):
        make_split(catalog_of({"AAA": 9, "BBB": 1}), name="holdout", fold=0, seed=0)


def test_folds_out_of_range_and_unknown_splits_are_refused():
    with pytest.raises(ConfigError, match=r"config.data.fold = 5.*0 to 4"):
        make_split(RELEASE, name="kfold", fold=5, seed=0)
    with pytest.raises(ConfigError, match=r"config.data.fold = 1"):
        make_split(RELEASE, name="holdout", fold=1, seed=0)
    with pytest.raises(ConfigError, match=r"config.data.split = 'halves'.*holdout"):
        make_split(RELEASE, name="halves", fold=0, seed=0)
