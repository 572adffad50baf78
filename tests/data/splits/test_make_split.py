"""Splits: disjoint, complete, in proportion, the same on another day."""

from pathlib import Path

import numpy as np
import pytest

from bmjax.data.images.catalog import Catalog
from bmjax.data.matek import CLASSES
from bmjax.data.splits.make_split import FOLDS, counts, make_split, split_digest
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


NAMED = Catalog(
    root=Path("nowhere"),
    paths=tuple(
        f"{cell.abbreviation}/{cell.abbreviation}_{i:05d}.jpg"
        for cell in CLASSES
        for i in range(1, cell.images + 1)
    ),
    labels=RELEASE.labels,
    classes=RELEASE.classes,
    fingerprint="",
)


def test_dinobloom_is_the_published_list():
    split = make_split(NAMED, name="dinobloom", fold=0, seed=0)
    assert (len(split.train), len(split.test)) == (137_107, 34_266)
    sizes = counts(NAMED, split.test)
    # bm_test.csv holds floor(0.2 n) of every class.
    assert sizes == {cell.abbreviation: cell.images // 5 for cell in CLASSES}
    names = {NAMED.paths[i] for i in split.test}
    assert {n for n in names if n[:3] == "KSC"} == {
        f"KSC/KSC_{i:05d}.jpg" for i in (2, 4, 12, 13, 16, 29, 38, 42)
    }
    both = np.concatenate(split)
    assert "MYB/MYB_05527.jpg" not in {NAMED.paths[i] for i in both}


def test_dinobloom_wants_the_release():
    with pytest.raises(DataError, match=r"dinobloom.*none of its classes"):
        make_split(catalog_of({"XXX": 9}), name="dinobloom", fold=0, seed=0)
    with pytest.raises(DataError, match=r"7 of its 9 .*FGC_00029"):
        make_split(catalog_of({"FGC": 29}), name="dinobloom", fold=0, seed=0)


def test_blocks_are_runs_of_neighboring_numbers_even_where_folders_sort_otherwise():
    names = [
        f"AAA/{f}/AAA_{n:05d}.jpg" for f, n in (("1001-2000", 1001), ("101-1000", 102))
    ]
    names += [f"AAA/1-100/AAA_{n:05d}.jpg" for n in range(1, 9)]
    catalog = Catalog(
        root=Path("nowhere"),
        paths=tuple(sorted(names)),
        labels=np.zeros(10, np.int32),
        classes=("AAA",),
        fingerprint="",
    )
    numbers = [
        [
            int(catalog.paths[i][-9:-4])
            for i in make_split(catalog, name="blocks", fold=fold, seed=0).test
        ]
        for fold in range(FOLDS)
    ]
    assert [sorted(n) for n in numbers] == [[1, 2], [3, 4], [5, 6], [7, 8], [102, 1001]]


def write(path, header, rows):
    lines = [header, *(f"{a},{b}" for a, b in rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


SMALL = catalog_of({"AAA": 12, "BBB": 8})


def test_a_csv_of_parts_is_the_split_that_it_says(tmp_path):
    parts = ["test" if i % 4 == 0 else "train" for i in range(20)]
    parts[5] = "none"
    rows = list(zip(SMALL.paths, parts, strict=True))
    # Rows in any order; a class that is left out may be named.
    file = write(
        tmp_path / "own.csv", "path,part", [*rows[::-1], ("CCC/1.jpg", "test")]
    )
    split = make_split(SMALL, name=file, fold=0, seed=0)
    assert split.test.tolist() == [0, 4, 8, 12, 16]
    assert 5 not in split.train
    assert len(split.train) == 14
    with pytest.raises(DataError, match=r"gives one split; use 0"):
        make_split(SMALL, name=file, fold=1, seed=0)


def test_groups_never_straddle_and_every_image_is_tested_once(tmp_path):
    groups = [f"p{(i * 7) % 9}" for i in range(20)]
    file = write(
        tmp_path / "own.csv", "path,group", zip(SMALL.paths, groups, strict=True)
    )
    tested = []
    for fold in range(FOLDS):
        split = make_split(SMALL, name=file, fold=fold, seed=1)
        of = lambda part: {groups[i] for i in part}
        assert not of(split.train) & of(split.test)
        tested += split.test.tolist()
    assert sorted(tested) == list(range(20))


@pytest.mark.parametrize(
    ("header", "separator", "spell", "encoding"),
    [
        ("path,part", ",", str, "utf-8-sig"),
        ("path;part", ";", str, "utf-16"),
        ("part\tx\tpath", "\t", str, "utf-8"),
        ("Path, Part ", ", ", lambda path: path.replace("/", "\\"), "utf-8"),
        ("path,part", ",", lambda path: f"/data/cells/{path}", "utf-8"),
    ],
)
def test_a_split_is_the_same_however_its_table_is_written(
    header, separator, spell, encoding, tmp_path
):
    parts = ["test" if i % 4 == 0 else "Train" for i in range(20)]
    lines = [header]
    for path, part in zip(SMALL.paths, parts, strict=True):
        cells = [part, "", spell(path)] if "\tx" in header else [spell(path), part]
        lines.append(separator.join(cells))
    file = tmp_path / "own.csv"
    file.write_bytes("\r\n".join([*lines, ",", ""]).encode(encoding))
    if separator in ";\t":
        file.write_bytes("\r\n".join(lines).encode(encoding))
    split = make_split(SMALL, name=str(file), fold=0, seed=0)
    assert split.test.tolist() == [0, 4, 8, 12, 16]


@pytest.mark.parametrize(
    ("header", "change", "sentence"),
    [
        ("path,part", lambda rows: rows[1:], "lacks 1 image"),
        ("path,part", lambda rows: [*rows, rows[0]], "row 22, names an image again"),
        (
            "path,part",
            lambda rows: [*rows, ("AAA/none.jpg", "test")],
            "names 1 image(s) of",
        ),
        ("path,part", lambda rows: [(p, "dev") for p, _ in rows], "a part 'dev'"),
        ("file,part", lambda rows: rows, "first line should be"),
        ("path,part", lambda rows: rows, "gives no image of 'nowhere' the part 'test'"),
        (
            "path,part",
            lambda rows: [(f"x{p}", "test") for p, _ in rows],
            "; it has 'xA",
        ),
        ("path,group", lambda rows: [(p, "one") for p, _ in rows], "has 1 group"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(header, change, sentence, tmp_path):
    rows = [(path, "train") for path in SMALL.paths]
    file = write(tmp_path / "own.csv", header, change(rows))
    with pytest.raises(DataError) as caught:
        make_split(SMALL, name=file, fold=0, seed=0)
    assert sentence in str(caught.value)


def test_a_csv_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"config\.data\.split = .*is no file"):
        make_split(SMALL, name="/nowhere/own.csv", fold=0, seed=0)


def test_the_digest_tells_splits_apart_and_stays():
    splits = {
        (name, fold, seed): make_split(SMALL, name=name, fold=fold, seed=seed)
        for name, fold, seed in (
            ("holdout", 0, 1),
            ("holdout", 0, 2),
            ("kfold", 2, 1),
            ("kfold", 1, 1),
            ("blocks", 1, 1),
        )
    }
    digests = {split_digest(SMALL, split) for split in splits.values()}
    assert len(digests) == len(splits)
    again = make_split(SMALL, name="kfold", fold=1, seed=1)
    assert split_digest(SMALL, again) == split_digest(SMALL, splits["kfold", 1, 1])


@pytest.mark.slow
def test_dinobloom_is_what_its_lists_in_their_own_form_give(tmp_path):
    known = make_split(NAMED, name="dinobloom", fold=0, seed=0)
    for part, positions in known._asdict().items():
        rows = (
            f"/lustre/BM_cytomorphology_data/{part}/{NAMED.paths[n]},{NAMED.paths[n][:3]}"
            for n in positions
        )
        (tmp_path / f"{part}.csv").write_text("\n".join(["Image Path,Label", *rows]))
    found = make_split(NAMED, name=str(tmp_path), fold=0, seed=0)
    assert split_digest(NAMED, found) == split_digest(NAMED, known)
