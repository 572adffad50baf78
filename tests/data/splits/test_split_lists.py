"""Splits given and written as lists of names."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bmjax.data.__main__ import main
from bmjax.data.images.catalog import Catalog
from bmjax.data.splits.make_split import check_split, make_split, split_digest
from bmjax.data.splits.split_lists import write_lists
from bmjax.errors import ConfigError, DataError

# Of class AAA some images lie in parts of it, as in the release.
PATHS = tuple(
    sorted(
        [
            f"AAA/{1 + 10 * (n > 9)}-{10 + 10 * (n > 9)}/AAA_{n:05d}.jpg"
            for n in range(20)
        ]
        + [f"BBB/BBB_{n:05d}.jpg" for n in range(10)]
        + [f"CCC/C \N{LATIN SMALL LETTER U WITH DIAERESIS}{n}.jpg" for n in range(10)]
    )
)
CELLS = Catalog(
    root=Path("nowhere"),
    paths=PATHS,
    labels=np.array(["ABC".index(path[0]) for path in PATHS], np.int32),
    classes=("AAA", "BBB", "CCC"),
    fingerprint="",
)


def folds(name, count, catalog=CELLS):
    return {n: make_split(catalog, name=name, fold=n, seed=3) for n in range(count)}


def put(folder, **lists):
    """Lists of names by the file's name, with "_" for the dot before its suffix."""
    folder.mkdir()
    for name, names in lists.items():
        stem, _, suffix = name.replace("fold_", "fold-").rpartition("_")
        (folder / f"{stem}.{suffix}").write_text("".join(f"{n}\n" for n in names))
    return str(folder)


@pytest.mark.parametrize(
    ("name", "count"), [("kfold", 5), ("blocks", 5), ("holdout", 1)]
)
def test_lists_that_are_written_give_the_same_folds(name, count, tmp_path):
    made = folds(name, count)
    written = write_lists("--lists", tmp_path / "lists", CELLS, made)
    for fold, split in made.items():
        again = make_split(CELLS, name=str(tmp_path / "lists"), fold=fold, seed=99)
        np.testing.assert_array_equal(again.train, split.train)
        np.testing.assert_array_equal(again.test, split.test)
        assert split_digest(CELLS, again) == split_digest(CELLS, split)
    with pytest.raises(ConfigError, match=r"config\.data\.fold"):
        check_split(str(tmp_path / "lists"), count)
    *lists, sums = written
    for path in lists:
        lines = path.read_bytes().splitlines()
        assert lines == sorted(lines)
        assert set(map(os.fsdecode, lines)) <= set(PATHS)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert f"{digest}  {path.name}" in sums.read_text().splitlines()
    again = write_lists("--lists", tmp_path / "again", CELLS, made)
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in written]


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="there is no sha256sum")
def test_the_command_of_the_system_checks_the_hashes(tmp_path):
    write_lists("--lists", tmp_path / "lists", CELLS, folds("kfold", 5))
    check = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "lists", capture_output=True
    )
    assert check.returncode == 0, check.stderr


def test_a_list_that_was_changed_is_refused(tmp_path):
    folder = tmp_path / "lists"
    write_lists("--lists", folder, CELLS, folds("kfold", 5))
    text = (folder / "fold-3.txt").read_text()
    (folder / "fold-3.txt").write_text(text.replace("\n", "\n\n"))
    with pytest.raises(DataError, match=r"fold-3\.txt.*SHA256SUMS beside it"):
        make_split(CELLS, name=str(folder), fold=0, seed=0)
    (folder / "SHA256SUMS").unlink()
    make_split(CELLS, name=str(folder), fold=0, seed=0)


TRAIN = [path for n, path in enumerate(PATHS) if n % 4]
TEST = [path for n, path in enumerate(PATHS) if n % 4 == 0]


@pytest.mark.parametrize(
    "spelled",
    [
        lambda path: path,
        lambda path: f"./{path}",
        lambda path: f"/data/set/{path}",
        # DinoBloom: of absolute paths, and without the parts of a class.
        lambda path: f"/lustre/BM/test/{path[:3]}/{path.rpartition('/')[2]}",
        lambda path: path.rpartition("/")[2],
    ],
    ids=["as it is", "dot", "absolute", "flattened", "name alone"],
)
@pytest.mark.parametrize("header", ["", "path", "Image Path,Label"])
def test_published_lists_are_read_however_they_spell_paths(header, spelled, tmp_path):
    suffix, more = ("csv", [header]) if header else ("txt", [])
    row = lambda path: spelled(path) + (f",{path[:3]}" if "," in header else "")
    lists = {
        f"train_{suffix}": [*more, *map(row, TRAIN)],
        f"test_{suffix}": [*more, *map(row, reversed(TEST))],
    }
    split = make_split(CELLS, name=put(tmp_path / "lists", **lists), fold=0, seed=0)
    assert [PATHS[n] for n in split.train] == TRAIN
    assert [PATHS[n] for n in split.test] == TEST


def test_an_image_in_neither_list_is_in_no_part(tmp_path):
    name = put(tmp_path / "lists", train_txt=TRAIN[:-1], test_txt=TEST[1:])
    split = make_split(CELLS, name=name, fold=0, seed=0)
    assert len(split.train) + len(split.test) == len(PATHS) - 2


def test_classes_that_are_left_out_may_be_named(tmp_path):
    kept = np.array([not path.startswith("CCC") for path in PATHS])
    fewer = Catalog(
        root=CELLS.root,
        paths=tuple(np.array(PATHS)[kept]),
        labels=CELLS.labels[kept],
        classes=("AAA", "BBB"),
        fingerprint="",
    )
    write_lists("--lists", tmp_path / "lists", CELLS, folds("kfold", 5))
    split = make_split(fewer, name=str(tmp_path / "lists"), fold=1, seed=0)
    known = make_split(fewer, name="kfold", fold=1, seed=3)
    np.testing.assert_array_equal(split.test, known.test)


@pytest.mark.parametrize(
    ("lists", "sentence"),
    [
        (
            {"train_txt": TRAIN, "test_txt": [*TEST, "AAA/AAA_99999.jpg"]},
            "names 1 image(s) that are not in 'nowhere', or more than one there, first "
            "'AAA/AAA_99999.jpg' (line 11)",
        ),
        (
            {"train_txt": TRAIN, "test_txt": ["none.jpg", "other.jpg"]},
            "names 2 image(s) that are not in 'nowhere'",
        ),
        (
            {"train_txt": [*TRAIN, "", f"./{TRAIN[0]}"], "test_txt": TEST},
            f"line 32, names an image again: './{TRAIN[0]}' (line 1)",
        ),
        (
            {"train_txt": [*TRAIN, TEST[2]], "test_txt": TEST},
            f"line 3, names '{TEST[2]}', which train.txt has too",
        ),
        ({"train_txt": TRAIN, "test_txt": []}, "test.txt' names no image of 'nowhere'"),
        (
            {"fold_0_txt": TRAIN[1:], "fold_1_txt": TEST},
            f"lack 1 image(s) of 'nowhere', first '{TRAIN[0]}'",
        ),
        (
            {"fold_0_txt": TRAIN, "fold_2_txt": TEST},
            "fold-0, fold-2; a split is either",
        ),
        ({"train_txt": TRAIN}, "holds the lists train; a split is either"),
        ({"train_txt": TRAIN, "train_csv": TRAIN}, "holds train.csv and train.txt"),
        ({}, "holds the lists (none)"),
        (
            {"train_csv": ["file", *TRAIN], "test_csv": ["path", *TEST]},
            "has no column path or Image Path",
        ),
    ],
)
def test_lists_that_do_not_fit_are_refused_in_one_sentence(lists, sentence, tmp_path):
    with pytest.raises(DataError) as caught:
        make_split(CELLS, name=put(tmp_path / "lists", **lists), fold=0, seed=0)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_several_images_have_is_none(tmp_path):
    twins = Catalog(
        root=CELLS.root,
        paths=("AAA/1/x.jpg", "AAA/2/x.jpg", "AAA/y.jpg", "BBB/x.jpg", "BBB/z.jpg"),
        labels=np.array([0, 0, 0, 1, 1], np.int32),
        classes=("AAA", "BBB"),
        fingerprint="",
    )
    lists = {"train_txt": ["y.jpg", "z.jpg"], "test_txt": ["AAA/x.jpg"]}
    with pytest.raises(DataError, match=r"or more than one there.*'AAA/x\.jpg'"):
        make_split(twins, name=put(tmp_path / "lists", **lists), fold=0, seed=0)


def test_no_folder_and_no_name_is_refused():
    for name in ("FOLDER", "nowhere/lists"):
        with pytest.raises(ConfigError, match=r"config\.data\.split"):
            check_split(name, 0)


def test_a_line_break_in_a_name_cannot_stand_in_a_list(tmp_path):
    odd = Catalog(
        root=CELLS.root,
        paths=("AAA/a\nb.jpg", "BBB/c.jpg"),
        labels=np.array([0, 1], np.int32),
        classes=("AAA", "BBB"),
        fingerprint="",
    )
    with pytest.raises(DataError, match="line break"):
        write_lists(
            "--lists", tmp_path / "lists", odd, {0: (np.arange(1), np.arange(2))}
        )
    assert not (tmp_path / "lists").exists()


def test_the_command_writes_and_reads_lists(tmp_path, capsys):
    import cv2

    for cell in ("AAA", "BBB"):
        (tmp_path / "cells" / cell).mkdir(parents=True)
        for number in range(6):
            path = tmp_path / "cells" / cell / f"{number}.png"
            assert cv2.imwrite(str(path), np.zeros((2, 2, 3), np.uint8))
    root, out = str(tmp_path / "cells"), str(tmp_path / "lists")
    digest = lambda text: [line for line in text.splitlines() if "digest" in line]
    assert main(["folds", root, "--split", "kfold", "--lists", out]) == 0
    written = capsys.readouterr().out
    assert "fold-4.txt, SHA256SUMS" in written
    assert main(["folds", root, "--split", out]) == 0
    assert digest(capsys.readouterr().out) == digest(written)
    assert main(["folds", root, "--split", "kfold", "--lists", out]) == 2
    assert "--lists=" in capsys.readouterr().err
    assert main(["folds", root, "--split", out, "--fold", "5"]) == 2
    one = str(tmp_path / "one")
    assert main(["folds", root, "--split", out, "--fold", "2", "--lists", one]) == 0
    assert sorted(p.name for p in Path(one).iterdir()) == [
        "SHA256SUMS",
        "test.txt",
        "train.txt",
    ]
