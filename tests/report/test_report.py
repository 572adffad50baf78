"""Laws of the report: self-contained, escaped, complete, and the same every time."""

import csv
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from bmjax.errors import DataError
from bmjax.report import figures, tables, write_report
from bmjax.report.files import Point, Series, read_series

HOSTILE = '<img src=x onerror="alert(1)">&\'\n'
CLASSES = ["ABE", "BLA", "EBO", HOSTILE]
SUPPORT = [0, 30, 40, 5]
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """A page taken apart: its tags with attributes, and the text of table cells."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.table = ""
        self.cells: list[tuple[str, str, dict[str, str | None], str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.table = attributes.get("id") or ""
        if tag in ("td", "th"):
            self.cells.append((self.table, tag, attributes, ""))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            *where, text = self.cells[-1]
            self.cells[-1] = (*where, text + data)

    def in_table(self, name: str, tag: str) -> list[tuple[dict, str]]:
        return [cell[2:] for cell in self.cells if cell[:2] == (name, tag)]


def write_rows(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def run(tmp_path):
    """The folder of a small finished run whose last class and files are hostile."""
    folder = tmp_path / "run"
    folder.mkdir()
    predictions = [
        (f"{label}/{HOSTILE}{i}.jpg", label, CLASSES[i % 3] if i % 4 else label)
        for label, support in zip(CLASSES, SUPPORT, strict=True)
        for i in range(support)
    ]
    head = ["path", "label", "predicted", *(f"p_{name}" for name in CLASSES)]
    body = [(*row, 0.1, 0.2, 0.3, 0.4) for row in predictions]
    write_rows(folder / "predictions.csv", [head, *body])
    points = [(row[0], row[1], i % 9, i % 7) for i, row in enumerate(predictions)]
    write_rows(folder / "embedding.csv", [["path", "label", "x", "y"], *points])
    scores = {"accuracy": 0.5, "balanced_accuracy": 0.25, "macro_f1": 0.125}
    absent = {"precision": None, "recall": None, "f1": None}
    present = {"precision": 0.5, "recall": 0.25, "f1": 0.333}
    results = {
        "method": "swav",
        "network": "resnet18",
        "fold": 0,
        "n_train": 300,
        "n_test": len(predictions),
        **scores,
        "weighted_f1": math.nan,
        "per_class": [
            {"abbreviation": label, "name": label, "support": support}
            | (present if support else absent)
            for label, support in zip(CLASSES, SUPPORT, strict=True)
        ],
        "probe": {"linear": scores, "knn_20": {**scores, "accuracy": 0.4}},
        "seconds": 61.5,
        "train_counts": {"BLA": 1234},
        "versions": {HOSTILE: HOSTILE},
    }
    (folder / "results.json").write_text(json.dumps(results))
    config = {"seed": 42, "data": {"root": "/home/someone/cells"}, HOSTILE: HOSTILE}
    (folder / "config.json").write_text(json.dumps(config))
    metrics = [
        {"step": step, "train/loss": 7.0 - step, "train/loss_over_ln_k": (7 - step) / 5}
        | {f"train/{HOSTILE}": 1.0}
        for step in range(3)
    ]
    lines = "\n".join(map(json.dumps, metrics))
    (folder / "metrics.jsonl").write_text(lines + "\n")
    return folder


@pytest.fixture
def page(run):
    return Page(write_report(run).read_text("utf-8"))


def test_page_is_whole_and_fetches_nothing(run, page):
    assert page.open == []
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"link", "script", "img", "iframe", "base", "object"})
    for _, attributes in page.tags:
        assert {"src", "href", "xlink:href"}.isdisjoint(attributes)
        assert not any(name.startswith("on") for name in attributes)
    policy = next(a for t, a in page.tags if a.get("http-equiv"))
    assert (policy["content"] or "").startswith("default-src 'none'")
    text = (run / "report.html").read_text("utf-8")
    assert not re.search(r"@import|url\(|https?://", text)


def test_hostile_names_are_shown_as_text(run, page):
    text = (run / "report.html").read_text("utf-8")
    assert "<img" not in text
    assert "&lt;img src=x onerror=" in text
    files = [text for attributes, text in page.in_table("mistakes", "th")]
    assert any(HOSTILE in name for name in files)


def test_each_class_has_one_row(page):
    rows = [
        text
        for attributes, text in page.in_table("classes", "th")
        if attributes.get("scope") == "row"
    ]
    assert rows == CLASSES


def test_a_class_without_test_images_is_absent_and_not_zero(page):
    cells = [text for _, text in page.in_table("classes", "td")]
    assert sum("absent" in text for text in cells) == 1
    assert "0.000" not in cells


def test_a_class_never_predicted_has_a_dash_with_its_reason(run):
    results = json.loads((run / "results.json").read_text())
    results["per_class"][1]["precision"] = None
    (run / "results.json").write_text(json.dumps(results))
    page = Page(write_report(run).read_text("utf-8"))
    reasons = [a["title"] for a, _ in page.in_table("classes", "td") if "title" in a]
    assert reasons == ["never predicted"]


def test_confusion_counts_every_prediction_once(page):
    cells = [
        int(text)
        for attributes, text in page.in_table("confusion", "td")
        if attributes["class"] in ("right", "wrong", "zero")
    ]
    assert len(cells) == len(CLASSES) ** 2
    assert sum(cells) == sum(SUPPORT)


def test_a_missing_number_is_a_dash_with_its_reason():
    tiles = tables.tiles({"accuracy": math.nan, "macro_f1": 0.5})
    assert ("Accuracy", tables.NONE, "not defined here") in tiles
    assert ("Weighted F1", tables.NONE, "not computed by this run") in tiles
    assert ("Macro F1", "0.500", "") in tiles


def test_few_test_images_are_named():
    rows = tables.class_rows(
        {
            "per_class": [
                {"abbreviation": "FGC", "support": 3},
                {"abbreviation": "BLA", "support": 300},
            ]
        },
        ["FGC", "BLA"],
    )
    (sentence,) = tables.warnings(rows)
    assert sentence.startswith("FGC (3) has fewer than 20 test images,")
    assert "1 of the 2 terms" in sentence


def test_synthetic_images_and_mixed_files_are_said(run):
    config = {"data": {"root": "", "synthetic_images": 230}}
    (run / "config.json").write_text(json.dumps(config))
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps(results | {"n_test": 4}))
    text = write_report(run).read_text("utf-8")
    assert "The images are synthetic" in text
    assert "may be of different runs" in text


def test_map_is_left_out_without_embedding(run):
    assert "t-SNE" in write_report(run).read_text("utf-8")
    (run / "embedding.csv").unlink()
    assert "t-SNE" not in write_report(run).read_text("utf-8")


def test_writes_one_file_and_the_same_bytes(run):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    after = {path.name: path.read_bytes() for path in run.iterdir()}
    assert after == before | {"report.html": first}


def test_an_absolute_path_keeps_its_end_alone(run):
    assert "someone/cells" in write_report(run).read_text("utf-8")
    assert "/home" not in write_report(run).read_text("utf-8")
    assert tables.shown_path("C:\\data\\run\\BLA\\1.jpg") == "BLA/1.jpg"
    assert tables.shown_path("BLA/1.jpg") == "BLA/1.jpg"


@pytest.mark.parametrize(
    "name", ["config.json", "results.json", "predictions.csv", "metrics.jsonl"]
)
def test_a_missing_file_is_one_sentence(run, name):
    (run / name).unlink()
    with pytest.raises(DataError, match=rf"expected .*{re.escape(name)}.*: finish"):
        write_report(run)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.json", "[1]"),
        ("config.json", "{"),
        ("predictions.csv", "path,label\na,b\n"),
        ("predictions.csv", "path,label,predicted\na,b\n"),
        ("embedding.csv", "a,b\n"),
    ],
)
def test_a_damaged_file_is_one_sentence(run, name, text):
    (run / name).write_text(text)
    with pytest.raises(DataError, match=re.escape(name)):
        write_report(run)


def test_a_run_of_nothing_gives_a_page(run):
    (run / "predictions.csv").write_text("path,label,predicted\n")
    (run / "embedding.csv").write_text("path,label,x,y\n")
    (run / "metrics.jsonl").write_text("")
    (run / "results.json").write_text("{}")
    (run / "config.json").write_text("{}")
    assert Page(write_report(run).read_text("utf-8")).open == []


def test_a_step_logged_twice_counts_once_and_torn_lines_are_counted():
    text = '{"step": 2, "a": 1}\n{"step": 1, "a": 5}\n{"step": 2, "a": 3}\n{"st\n'
    series, unreadable = read_series(text)
    assert series == [Series("a", [1.0, 2.0], [5.0, 3.0])]
    assert unreadable == 1


def test_a_value_that_is_not_finite_breaks_the_line():
    broken = Series("a", [0.0, 1.0, 2.0], [1.0, math.nan, 3.0])
    (path,) = re.findall(
        r'class="line" d="([^"]*)"',
        figures.line_plot(broken, steps=(0.0, 2.0), height=110, ticks=3),
    )
    assert path.count("M") == 2
    assert "nan" not in path


@pytest.mark.parametrize("value", [0.0, 3.0, 1e-9, 1e12, math.nan, -2.0])
def test_one_value_can_be_drawn(value):
    drawing = figures.line_plot(
        Series("a", [5.0], [value]), steps=(5.0, 5.0), height=110, ticks=3
    )
    assert "nan" not in drawing
    assert "inf" not in drawing


def test_long_series_keep_their_extremes():
    values = [0.0] * 10_000
    values[7777] = 9.0
    kept = figures.thin([float(step) for step in range(10_000)], values)
    assert len(kept) <= figures.MOST_POINTS
    assert (7777.0, 9.0) in kept


def test_ticks_are_round_and_inside():
    assert figures.nice_ticks(0.0, 1.0, 4) == [0.0, 0.5, 1.0]
    for low, high in [(0.0, 20000.0), (-3.2, 7.7), (1e-6, 3e-6)]:
        ticks = figures.nice_ticks(low, high, 5)
        assert 2 <= len(ticks) <= 6
        assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)


def test_labels_end_apart():
    spots = figures.keep_apart([(100.0, 100.0)] * 6, [30.0] * 6)
    for i, (x, y) in enumerate(spots):
        for other_x, other_y in spots[i + 1 :]:
            apart = abs(x - other_x) >= 29.9, abs(y - other_y) >= figures.LINE - 0.1
            assert any(apart)


def test_map_of_one_dot_can_be_drawn():
    drawing = figures.feature_map([Point("BLA", 3.0, 4.0)], ["ABE", "BLA"])
    assert drawing.count("<path") == 1
    assert ">BLA</text>" in drawing


def test_scores_are_named_after_what_they_are_of():
    scores = {"accuracy": 1.0, "macro_f1": 1.0}
    both = {**scores, "probe": {"linear": scores}}
    assert tables.measured({**both, "method": "swav"}).startswith("Linear probe")
    assert "own classifier" in tables.measured({**both, "method": "supervised"})
    assert "20-nearest" in tables.measured({**both, "predictor": "knn_20"})


def test_command_reports_each_run_without_jax(run, tmp_path):
    code = (
        "import sys; from bmjax.report.__main__ import main; code = main();"
        "assert 'jax' not in sys.modules and 'flax' not in sys.modules; sys.exit(code)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "none"), str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("bmjax: expected a run folder")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout.strip() == str(run / "report.html")
