"""A file of corrections gives images other labels, and moves none to another part."""

from pathlib import Path

import numpy as np
import pytest

from bmjax.data.images.catalog import Catalog
from bmjax.data.label_corrections import (
    correct_labels,
    corrected_fingerprint,
    corrected_rows,
    describe_corrections,
    write_corrections,
)
from bmjax.data.open_images import read_catalog
from bmjax.data.splits.make_split import counts, make_split
from bmjax.data.splits.validation_part import hold_out_validation, split_run
from bmjax.errors import DataError
from tests.helpers.small_trees import prepare_in_shards, write_tree

SIZES = {"ABE": 20, "BLA": 15, "EBO": 25}


def catalog_of(sizes=SIZES):
    return Catalog(
        root=Path("nowhere"),
        paths=tuple(f"{c}/{c}_{i:02d}.jpg" for c, n in sizes.items() for i in range(n)),
        labels=np.repeat(np.arange(len(sizes), dtype=np.int32), list(sizes.values())),
        classes=tuple(sizes),
        fingerprint="f" * 64,
    )


def corrected(folder, *rows, header="path,label", catalog=None, exclude=()):
    file = folder / "labels.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return correct_labels(catalog or catalog_of(), file, exclude=exclude)


def label(catalog, path):
    return catalog.classes[catalog.labels[catalog.paths.index(path)]]


def test_labels_change_and_all_else_stays(tmp_path):
    before = catalog_of()
    after = corrected(tmp_path, "BLA/BLA_03.jpg,EBO", "ABE/ABE_00.jpg,BLA")
    assert label(after, "BLA/BLA_03.jpg") == "EBO"
    assert label(after, "ABE/ABE_00.jpg") == "BLA"
    assert (after.labels != before.labels).sum() == 2
    assert (after.paths, after.classes) == (before.paths, before.classes)
    np.testing.assert_array_equal(after.filed, before.labels)
    assert corrected_rows(after) == [
        ("ABE/ABE_00.jpg", "BLA", "ABE"),
        ("BLA/BLA_03.jpg", "EBO", "BLA"),
    ]


def test_a_file_that_changes_nothing_is_no_correction(tmp_path):
    before = catalog_of()
    assert corrected(tmp_path, "BLA/BLA_03.jpg,BLA", catalog=before) is before
    assert corrected(tmp_path, catalog=before) is before


def test_the_fingerprint_is_that_of_what_changes(tmp_path):
    """The rows' order, who and when, and rows that change nothing do not matter."""
    first = corrected(tmp_path, "BLA/BLA_03.jpg,EBO", "ABE/ABE_00.jpg,-")
    again = corrected(
        tmp_path,
        "./ABE/ABE_00.jpg,,ABE,me,today",
        "EBO/EBO_01.jpg,EBO,EBO,me,today",
        "BLA/BLA_03.jpg,EBO,,you,",
        header="Path,Label,WAS,who,when",
    )
    other = corrected(tmp_path, "BLA/BLA_03.jpg,ABE", "ABE/ABE_00.jpg,-")
    assert first.fingerprint == again.fingerprint
    assert len({catalog_of().fingerprint, first.fingerprint, other.fingerprint}) == 3
    assert first.fingerprint == corrected_fingerprint("f" * 64, first.corrections)
    assert corrected_fingerprint("f" * 64, "") == "f" * 64


def test_what_was_corrected_is_written_as_it_is_read(tmp_path):
    after = corrected(tmp_path, "BLA/BLA_03.jpg,EBO", "ABE/ABE_00.jpg,-")
    write_corrections(tmp_path / "kept.csv", after)
    again = correct_labels(catalog_of(), tmp_path / "kept.csv")
    assert again.fingerprint == after.fingerprint
    assert describe_corrections(again) == "1 label corrected, 1 image left out"


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (["BLA/none.jpg,EBO"], "path,label", "no image 'BLA/none.jpg'"),
        (["BLA/BLA_01.jpg,EBOO"], "path,label", "did you mean EBO?"),
        (["BLA/BLA_01.jpg,ebo"], "path,label", "no class"),
        (
            ["BLA/BLA_01.jpg,EBO", "./BLA/BLA_01.jpg,EBO"],
            "path,label",
            "line 3: './BLA/BLA_01.jpg' is on line 2",
        ),
        (["BLA/BLA_01.jpg,EBO,ABE"], "path,label,was", "was is 'ABE'.*says 'BLA'"),
        (["BLA/BLA_01.jpg,EBO"], "path,class", "no column label"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(tmp_path, rows, header, said):
    with pytest.raises(DataError, match=said):
        corrected(tmp_path, *rows, header=header)


def test_excluded_classes_may_be_named(tmp_path):
    """An image of one stays out; one that belongs to one is left out."""
    rest = catalog_of({"ABE": 20, "BLA": 15})
    after = corrected(
        tmp_path,
        "EBO/EBO_01.jpg,BLA",
        "BLA/BLA_03.jpg,EBO",
        catalog=rest,
        exclude=("EBO",),
    )
    assert len(after) == len(rest)
    assert after.left_out.tolist() == [after.paths.index("BLA/BLA_03.jpg")]


@pytest.mark.parametrize("name", ["holdout", "kfold", "blocks"])
def test_an_image_keeps_its_part(tmp_path, name):
    after = corrected(
        tmp_path,
        *(f"BLA/BLA_{number:02d}.jpg,EBO" for number in range(9)),
        *(f"ABE/ABE_{number:02d}.jpg,-" for number in range(5)),
    )
    arguments = {"name": name, "fold": 0, "seed": 3, "share": 0.2}
    parts, others = split_run(catalog_of(), **arguments), split_run(after, **arguments)
    for before, now in zip(
        (*parts.split, parts.validation),
        (*others.split, others.validation),
        strict=True,
    ):
        np.testing.assert_array_equal(now, np.setdiff1d(before, after.left_out))
    assert others.digest != parts.digest


@pytest.mark.slow
def test_groups_keep_their_fold(tmp_path):
    groups = tmp_path / "groups.csv"
    rows = [f"{path},{number % 7}" for number, path in enumerate(catalog_of().paths)]
    groups.write_text("\n".join(["path,group", *rows]))
    after = corrected(tmp_path, *(f"BLA/BLA_{n:02d}.jpg,EBO" for n in range(9)))
    arguments = {"name": str(groups), "fold": 1, "seed": 0, "share": 0.2}
    parts, others = split_run(catalog_of(), **arguments), split_run(after, **arguments)
    assert others.digest == parts.digest


def test_without_corrections_a_run_is_split_as_before():
    catalog = catalog_of()
    split = make_split(catalog, name="kfold", fold=2, seed=42)
    split, held = hold_out_validation(catalog, split, share=0.2, name="kfold", seed=42)
    parts = split_run(catalog, name="kfold", fold=2, seed=42, share=0.2)
    for one, other in zip(
        (*split, held), (*parts.split, parts.validation), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_class_that_loses_its_training_images_is_refused(tmp_path):
    rows = [f"BLA/BLA_{number:02d}.jpg,-" for number in range(15)]
    after = corrected(tmp_path, *rows)
    assert counts(after)["BLA"] == 15
    with pytest.raises(DataError, match="class BLA has 15 image"):
        split_run(after, name="holdout", fold=0, seed=42, share=0.0)


def test_a_prepared_set_takes_the_same_corrections(tmp_path):
    tree = write_tree(tmp_path / "tree")
    folder = read_catalog(tree, say=lambda note: None)
    prepared = prepare_in_shards(tree, tmp_path / "set")
    file = tmp_path / "labels.csv"
    file.write_text(
        f"path,label,was\n{folder.paths[0]},BLA,ABE\n{folder.paths[1]},-,\n"
    )
    said = []
    first, second = (
        read_catalog(root, labels=file, say=said.append) for root in (tree, prepared)
    )
    assert first.fingerprint == second.fingerprint != folder.fingerprint
    np.testing.assert_array_equal(first.labels, second.labels)
    for place in range(len(first)):
        np.testing.assert_array_equal(first.encoded(place), second.encoded(place))
    assert "1 label corrected, 1 image left out" in said[-1]
