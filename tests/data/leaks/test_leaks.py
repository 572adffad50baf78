"""Copies planted among cells are found, and which side of a split they are on."""

import csv
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from bmjax.data.__main__ import main
from bmjax.data.images.folder import read_folder
from bmjax.data.splits.make_split import make_split, split_digest
from bmjax.data.synthetic import synthesize


def turned(pixels, times):
    return np.rot90(pixels, times)


def cropped(pixels, share):
    side = round(len(pixels) * (1 - share))
    return cv2.resize(pixels[:side, -side:], pixels.shape[:2])


CHANGES = {
    "rotated 90": lambda pixels: turned(pixels, 1),
    "rotated 180": lambda pixels: turned(pixels, 2),
    "rotated 270": lambda pixels: turned(pixels, 3),
    "flipped": lambda pixels: pixels[:, ::-1],
    "flipped over": lambda pixels: pixels[::-1],
    "transposed": lambda pixels: pixels.swapaxes(0, 1),
    "compressed again": lambda pixels: pixels,
    "cropped by 5 %": lambda pixels: cropped(pixels, 0.05),
    "darker": lambda pixels: (pixels * 0.9).astype(np.uint8),
    "half the size": lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5),
    "all of it": lambda p: turned(cropped((p * 0.95).astype(np.uint8), 0.04), 1),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Synthetic cells of all classes, none of them a copy."""
    return synthesize(tmp_path_factory.mktemp("cells") / "all", images=230, seed=0)


@pytest.fixture
def cells(plain, tmp_path):
    return shutil.copytree(plain, tmp_path / "cells")


def plant(root, change, first, second, quality=60):
    pixels = np.ascontiguousarray(change(cv2.imread(str(root / first))))
    (root / second).parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(root / second), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


def parts(root, path, **given):
    """A split that trains on everything but the images that are given."""
    paths = read_folder(root).paths
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "part"))
        writer.writerows((image, given.get(image, "train")) for image in paths)
    return f"--split={path}"


def audit(root, tmp_path, *more, **given):
    """Exit code, pairs and counts of one audit."""
    split = parts(root, tmp_path / "parts.csv", **given)
    files = [f"--csv={tmp_path / 'pairs.csv'}", f"--json={tmp_path / 'found.json'}"]
    code = main(["leaks", str(root), split, *files, *more])
    with open(tmp_path / "pairs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return code, rows, json.loads((tmp_path / "found.json").read_text())


def test_cells_without_copies_are_clean(plain, tmp_path):
    test = read_folder(plain).paths[::5]
    code, rows, found = audit(plain, tmp_path, **dict.fromkeys(test, "test"))
    assert (code, rows) == (0, [])
    assert (found["test"], found["exact"], found["near"]) == (len(test), 0, 0)


def test_every_planted_change_is_found_across_the_split(cells, tmp_path, capsys):
    sources = [path for path in read_folder(cells).paths if path.startswith("NGS")]
    planted = {
        f"NGS/copy_{number}.jpg": source
        for number, source in zip(range(len(CHANGES)), sources, strict=False)
    }
    for change, (copy, source) in zip(CHANGES.values(), planted.items(), strict=True):
        plant(cells, change, source, copy)
    code, rows, found = audit(cells, tmp_path, **dict.fromkeys(planted, "test"))
    assert code == 3
    pairs = {frozenset((row["first"], row["second"])) for row in rows}
    missed = [
        name
        for name, pair in zip(CHANGES, planted.items(), strict=True)
        if frozenset(pair) not in pairs
    ]
    assert missed == []
    assert len(rows) == len(CHANGES)
    assert {row["kind"] for row in rows} == {"near"}
    assert found["per_class"]["NGS"] == {
        "test": len(planted), "exact": 0, "near": len(planted),
    }  # fmt: skip
    shown = capsys.readouterr()
    assert f"{len(planted)} test image(s) have a copy in the training part" in shown.out
    assert "--groups=FILE.csv" in shown.err


def test_same_files_and_same_pixels_are_told_apart(cells, tmp_path):
    first, second = read_folder(cells).paths[:2]
    shutil.copyfile(cells / first, cells / "ABE" / "z1.jpg")
    encoded = (cells / second).read_bytes()
    comment = b"\xff\xfe\x00\x07other"
    (cells / "ABE" / "z2.jpg").write_bytes(encoded[:2] + comment + encoded[2:])
    copies = {"ABE/z1.jpg": "test", "ABE/z2.jpg": "test"}
    code, rows, found = audit(cells, tmp_path, **copies)
    assert code == 3
    kinds = {row["second"]: row["kind"] for row in rows}
    assert kinds == {"ABE/z1.jpg": "bytes", "ABE/z2.jpg": "pixels"}
    assert (found["exact"], found["near"]) == (2, 0)


def test_a_copy_under_another_label_is_shown_as_one(cells, tmp_path):
    source = read_folder(cells).paths[0]
    shutil.copyfile(cells / source, cells / "PMO" / "other.jpg")
    code, rows, found = audit(cells, tmp_path, **{"PMO/other.jpg": "test"})
    assert code == 3
    assert (rows[0]["first_label"], rows[0]["second_label"]) == ("ABE", "PMO")
    assert found["pairs"]["train and test"]["other_label"] == 1


def test_copies_within_a_part_are_counted_and_are_no_leak(cells, tmp_path):
    paths = read_folder(cells).paths
    shutil.copyfile(cells / paths[0], cells / "ABE" / "again.jpg")
    code, rows, found = audit(cells, tmp_path, **{paths[-1]: "test"})
    assert code == 0
    assert found["pairs"]["within train"]["bytes"] == len(rows) == 1


def test_an_exact_copy_of_a_near_copy_leaks_too(cells, tmp_path):
    source = read_folder(cells).paths[0]
    plant(cells, CHANGES["flipped"], source, "ABE/y1.jpg")
    shutil.copyfile(cells / "ABE/y1.jpg", cells / "ABE/y2.jpg")
    copies = {"ABE/y1.jpg": "test", "ABE/y2.jpg": "test"}
    code, _, found = audit(cells, tmp_path, **copies)
    assert (code, found["near"], found["exact"]) == (3, 2, 0)


def test_many_exact_copies_make_no_square_of_pairs(cells, tmp_path):
    source = read_folder(cells).paths[0]
    for number in range(40):
        shutil.copyfile(cells / source, cells / "ABE" / f"same_{number:02d}.jpg")
    test = {f"ABE/same_{number:02d}.jpg": "test" for number in range(40)}
    code, rows, found = audit(cells, tmp_path, **test)
    assert code == 3
    assert len(rows) == found["exact"] == 40


@pytest.mark.slow
def test_groups_keep_copies_together_in_a_split(cells, tmp_path):
    sources = read_folder(cells).paths[20:28]
    for number, source in enumerate(sources):
        copy = f"{source.split('/')[0]}/copy_{number}.jpg"
        plant(cells, CHANGES["rotated 90"], source, copy)
    groups = tmp_path / "groups.csv"
    command = ["leaks", str(cells), "--split=kfold", f"--groups={groups}"]
    assert main(command) == 3
    catalog, kept = read_folder(cells), f"--hashes={tmp_path / 'kept.npz'}"
    tested = 0
    for fold in range(5):
        split = make_split(catalog, name=str(groups), fold=fold, seed=0)
        assert len(split.train) + len(split.test) == len(catalog)
        tested += len(split.test)
        again = ["leaks", str(cells), f"--split={groups}", f"--fold={fold}", kept]
        assert main(again) == 0
    assert tested == len(catalog)


def test_unreadable_images_are_named_and_left_out(cells, tmp_path, capsys):
    (cells / "ABE" / "broken\n.jpg").write_bytes(b"no image")
    last = read_folder(cells).paths[-1]
    code, _, found = audit(cells, tmp_path, **{last: "test"})
    assert code == 0
    assert found["unreadable"] == ["ABE/broken\n.jpg"]
    shown = capsys.readouterr().out
    assert "1 image(s) could not be read" in shown
    assert "broken\\n.jpg" in shown


def test_names_that_begin_like_a_formula_come_back_whole(cells, tmp_path):
    folder = cells / "=BLA"
    folder.mkdir()
    for number, source in enumerate(read_folder(cells).paths[:6]):
        shutil.copyfile(cells / source, folder / f"{number}.jpg")
    groups = tmp_path / "groups.csv"
    code, rows, _ = audit(
        cells, tmp_path, f"--groups={groups}", **{"=BLA/0.jpg": "test"}
    )
    assert code == 3
    cell = [cell for row in rows for cell in row.values() if "BLA/0" in cell]
    assert cell == ["./=BLA/0.jpg"]
    assert len(make_split(read_folder(cells), name=str(groups), fold=0, seed=0).test)


def test_hashes_are_read_again_and_give_the_same(cells, tmp_path, monkeypatch):
    kept = f"--hashes={tmp_path / 'kept.npz'}"
    test = {read_folder(cells).paths[-1]: "test"}
    _, _, before = audit(cells, tmp_path, kept, **test)
    monkeypatch.setattr(
        "bmjax.data.leaks.hashes.hash_images", lambda *a, **k: pytest.fail("read again")
    )
    assert audit(cells, tmp_path, kept, **test)[2] == before


@pytest.fixture
def run(cells, tmp_path):
    """Features as a finished run leaves them; image 1 of test is like 0 of train."""
    catalog = read_folder(cells)
    split = make_split(catalog, name="holdout", fold=0, seed=42)
    random = np.random.default_rng(0)
    folder = tmp_path / "run" / "features"
    folder.mkdir(parents=True)
    train = random.standard_normal((len(split.train), 32)).astype(np.float32)
    test = random.standard_normal((len(split.test), 32)).astype(np.float32)
    test[1] = 3 * train[0]
    np.save(folder / "train.npy", train)
    np.save(folder / "test.npy", test)
    made_on = {
        "data_fingerprint": catalog.fingerprint,
        "split_digest": split_digest(catalog, split),
    }
    (folder.parent / "results.json").write_text(json.dumps(made_on))
    return folder.parent


def test_features_that_pixels_do_not_confirm_are_shown_and_are_no_leak(
    cells, run, tmp_path, capsys
):
    pairs = tmp_path / "pairs.csv"
    command = ["leaks", str(cells), f"--features={run}", f"--csv={pairs}"]
    assert main(command) == 0
    assert "1 test image(s) have features like" in capsys.readouterr().out
    catalog = read_folder(cells)
    split = make_split(catalog, name="holdout", fold=0, seed=42)
    with open(pairs, newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["kind"] == "features"
    assert float(row["cosine"]) == pytest.approx(1, abs=1e-3)
    expected = catalog.paths[split.train[0]], catalog.paths[split.test[1]]
    assert (row["first"], row["second"]) == expected


def test_features_of_another_split_or_none_are_refused(cells, run, tmp_path, capsys):
    other = ["leaks", str(cells), f"--features={run}", "--seed=1"]
    assert main(other) == 3
    assert "made on another split" in capsys.readouterr().err
    (cells / "ABE" / "new.jpg").write_bytes(b"more")
    assert main(["leaks", str(cells), f"--features={run}"]) == 3
    assert "other images" in capsys.readouterr().err
    assert main(["leaks", str(cells), f"--features={tmp_path}"]) == 3
    assert "holds no finished run" in capsys.readouterr().err
    made_on = json.loads((run / "results.json").read_text())
    made_on["labels"] = {"digest": "0" * 64}
    (run / "results.json").write_text(json.dumps(made_on))
    assert main(["leaks", str(cells), f"--features={run}"]) == 3
    assert "corrections of labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--split=hold", "did you mean 'holdout'"),
        ("--fold=7", "out of range"),
        ("--similarity=2", "give 0 to 1"),
        ("--threads=-1", "give 0 or more"),
        ("--groups=groups.txt", "should end in .csv"),
        ("--json=nowhere/x.json", "no folder that exists"),
    ],
)
def test_options_that_cannot_be_are_usage_errors(plain, capsys, option, sentence):
    assert main(["leaks", str(plain), option]) == 2
    assert sentence in capsys.readouterr().err


def test_help_needs_neither_numpy_nor_images():
    code = (
        "import sys\nfrom bmjax.data.__main__ import main\n"
        "try:\n    main(['leaks', '--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'numpy', 'cv2', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.slow
def test_no_real_cell_is_taken_for_a_copy_of_another(shared, tmp_path):
    real = shared / "cells" / "real"
    found = tmp_path / "found.json"
    assert main(["leaks", str(real), f"--json={found}"]) == 0
    pairs = json.loads(found.read_text())["pairs"]
    assert not any(sum(counts.values()) for counts in pairs.values())
