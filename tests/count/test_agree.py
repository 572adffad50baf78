"""Two readers' counts: what is read, how it pairs, and the page."""

import csv
import json

import numpy as np
import pytest

from bmjax.count.agree import main
from bmjax.count.two_readers import pair_readers, read_counts
from bmjax.data.matek import class_name

CLASSES = ("NGS", "EBO", "LYT", "BLA", "ART")


def _table(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def _counts(path, cases=12, seed=0):
    random = np.random.default_rng(seed)
    mixes = np.random.default_rng(7).dirichlet(np.ones(5), cases)
    return _table(
        path,
        ("case", "class", "n"),
        [
            (f"case {case}", name, n)
            for case, mix in enumerate(mixes)
            for name, n in zip(CLASSES, random.multinomial(400, mix), strict=True)
        ],
    )


def _count_folder(folder, numbers, cells=()):
    folder.mkdir(parents=True)
    classes = [
        {"class": name, "n": n, "countable": name != "ART"}
        for name, n in numbers.items()
    ]
    (folder / "count.json").write_text(json.dumps({"classes": classes}))
    if cells:
        _table(folder / "cells.csv", ("path", "label"), cells)


def test_a_reader_agrees_with_itself_and_swapping_negates(tmp_path, capsys):
    a, b = _counts(tmp_path / "a.csv"), _counts(tmp_path / "b.csv", seed=1)
    found = {}
    for name, pair in {"aa": (a, a), "ab": (a, b), "ba": (b, a)}.items():
        out = tmp_path / name
        options = [f"--out={out}", "--names", "Ada", "<i>Bo</i>"]
        assert main([*map(str, pair), *options]) == 0
        found[name] = json.loads((out / "agreement.json").read_text())
    assert "Ada" in capsys.readouterr().out
    page = (tmp_path / "ab" / "index.html").read_text()
    assert "&lt;i&gt;Bo" in page
    assert "<i>Bo" not in page
    assert "<script" not in page
    for row in found["aa"]["classes"]:
        assert row["limits"]["bias"] == 0
        assert row["line"]["slope"] == pytest.approx(1)
    assert [row["class"] for row in found["ab"]["classes"]].count("ART") == 0
    swapped = {row["class"]: row for row in found["ba"]["classes"]}
    for row in found["ab"]["classes"]:
        other = swapped[row["class"]]
        assert row["limits"]["bias"] == pytest.approx(-other["limits"]["bias"])
        assert row["line"]["slope"] == pytest.approx(1 / other["line"]["slope"])
        assert sum(row["n"]) == sum(other["n"])


def test_folders_of_counts_pair_by_case_and_the_same_cells_have_a_kappa(tmp_path):
    cells = [(f"s1/{i}.png", "NGS" if i < 6 else "EBO") for i in range(10)]
    other = [(f"s1/{i}.png", "NGS" if i < 5 else "-") for i in range(10)]
    _count_folder(tmp_path / "a" / "one", {"NGS": 6, "EBO": 4, "ART": 3}, cells)
    _count_folder(tmp_path / "b" / "one", {"NGS": 5, "EBO": 0, "ART": 0}, other)
    _count_folder(tmp_path / "b" / "two", {"NGS": 5, "EBO": 1, "ART": 0})
    first, second = (read_counts(tmp_path / name, None) for name in "ab")
    side = pair_readers(first, second)
    assert (side.cases, side.alone) == (("one",), ("two",))
    assert side.classes == ("NGS", "EBO")
    assert side.labels == ("NGS", "EBO", "-")
    assert side.same.tolist() == [[5, 0, 1], [0, 0, 4], [0, 0, 0]]
    alone = pair_readers(read_counts(tmp_path / "a" / "one", None), first)
    assert np.array_equal(alone.first, alone.second)


def test_classes_are_the_same_by_either_name_and_in_any_case(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text("path,label\n1.png,BLA\n2.png,NGS\n3.png,ART\n4.png,EBO\n")
    name = class_name("BLA")
    b.write_text(f"path,label\n1.png,{name}\n2.png,ngs\n3.png,-\n4.png,NGS\n")
    for pair in ((a, b), (b, a)):
        side = pair_readers(*(read_counts(path, None) for path in pair))
        assert len(side.classes) == 3
        assert np.trace(side.same) == 2
        assert side.first.sum() == side.second.sum() == 3


def test_one_case_has_no_limits_and_says_so(tmp_path, capsys):
    cells = [(f"{i}.png", CLASSES[i % 5]) for i in range(20)]
    a = _table(tmp_path / "a.csv", ("path", "label"), cells)
    b = _table(tmp_path / "b.csv", ("path", "label"), cells[:15])
    assert main([str(a), str(b), f"--out={tmp_path / 'out'}"]) == 0
    found = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert found["same_cells"]["cells"] == 15
    assert found["same_cells"]["kappa"] == 1
    # A table of a review has the reviewed cells alone, whose shares are others.
    (note,) = (note for note in found["notes"] if "cell" in note)
    assert "5 cells were read by one reader alone" in note
    assert all(row["line"] is None for row in found["classes"])
    assert "1 case: limits of agreement need 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("case,class,n\na,NGS,many\n", "n is 'many'; give cells counted"),
        ("case,class,n\na,NGS,1\na,NGS,2\n", "stands there twice; keep one line"),
        ("case,class,n\n", "names no case"),
        ("case,class,n\nother,NGS,4\n", "no case in common"),
        ("case,class,n\ncase 0,ART,4\n", "counts no class; give --countable"),
        ("case,class,n\ncase 0,NGS,0\n", "no case has cells that count"),
        ("case,class,n\ncase 0,XYZ,4\n", "give --countable=FILE.csv"),
        ("path,label\nx.png,\n", "there is no label"),
        ("path,label\nx.png,NGS\nx.png,NGS\n", "named twice"),
        ("what\n1\n", "no column"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(tmp_path, capsys, content, sentence):
    a, b = _counts(tmp_path / "a.csv"), tmp_path / "b.csv"
    b.write_text(content)
    assert main([str(a), str(b), f"--out={tmp_path / 'out'}"]) == 3
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_places_that_cannot_be_are_refused(tmp_path, capsys):
    a = _counts(tmp_path / "a.csv")
    (tmp_path / "empty").mkdir()
    out = f"--out={tmp_path / 'out'}"
    assert main([str(a), str(tmp_path / "none"), out]) == 3
    assert main([str(a), str(tmp_path / "empty"), out]) == 3
    assert "there is no count.json" in capsys.readouterr().err
    assert main([str(a), str(a), out, "--names", "x", "x"]) == 2
    assert main([str(a), str(a), f"--out={a}"]) == 2
    assert main([str(a), str(a), out]) == 0
    assert main([str(a), str(a), out]) == 2
    assert "--force" in capsys.readouterr().err
