"""What the tests of the report share: a page taken apart, and runs to report."""

import csv
import json
from html.parser import HTMLParser

HOSTILE = '<img src=x onerror="alert(1)">&\'\n'
CLASSES = ["ABE", "BLA", "EBO", HOSTILE]
SUPPORT = [0, 30, 40, 5]
SEED = 42
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """A page taken apart: its tags with attributes, and the text of its elements."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.table = ""
        self.cells: list[tuple[str, str, dict[str, str | None], str]] = []
        self.headings: list[tuple[str, str]] = []
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
        if tag in ("h1", "h2", "h3"):
            self.headings.append((tag, ""))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open) and "text" not in self.open:
            *where, text = self.cells[-1]
            self.cells[-1] = (*where, text + data)
        if {"h1", "h2", "h3"} & set(self.open):
            tag, text = self.headings[-1]
            self.headings[-1] = (tag, text + data)

    def in_table(self, name: str, tag: str) -> list[tuple[dict, str]]:
        return [cell[2:] for cell in self.cells if cell[:2] == (name, tag)]

    def rows(self, name: str) -> list[str]:
        return [t for a, t in self.in_table(name, "th") if a.get("scope") == "row"]


def write_rows(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def make_predictions(classes=CLASSES, support=SUPPORT, shift=0):
    """Rows (path, label, predicted), three in four of them right."""
    last = len(classes) - 1
    return [
        (
            f"{label}/{HOSTILE}{i}.jpg",
            label,
            label if i % 4 else classes[(i + shift) % last],
        )
        for label, number in zip(classes, support, strict=True)
        for i in range(number)
    ]


def write_predictions(path, predictions, classes=CLASSES):
    """A table with the probability 0.7 for the predicted class."""
    rest = 0.3 / (len(classes) - 1)
    head = ["path", "label", "predicted", *(f"p_{name}" for name in classes)]
    body = [
        (*row, *(0.7 if name == row[2] else rest for name in classes))
        for row in predictions
    ]
    write_rows(path, [head, *body])


def make_run(folder, shift=0):
    """The folder of a small finished run whose last class and files are hostile."""
    folder.mkdir()
    predictions = make_predictions(shift=shift)
    write_predictions(folder / "predictions.csv", predictions)
    points = [(row[0], row[1], i % 9, i % 7) for i, row in enumerate(predictions)]
    write_rows(folder / "embedding.csv", [["path", "label", "x", "y"], *points])
    right = sum(label == called for _, label, called in predictions)
    scores = {"accuracy": right / len(predictions), "macro_f1": 0.125}
    results = {
        "method": "swav",
        "network": "resnet18",
        "fold": 0,
        "n_train": 300,
        "n_test": len(predictions),
        **scores,
        "probe": {"linear": scores, "knn_20": {**scores, "accuracy": 0.4}},
        "seconds": 61.5,
        "train_counts": {"BLA": 1234},
        "versions": {HOSTILE: HOSTILE},
    }
    (folder / "results.json").write_text(json.dumps(results))
    config = {"seed": SEED, "data": {"root": "/home/someone/cells"}, HOSTILE: HOSTILE}
    (folder / "config.json").write_text(json.dumps(config))
    metrics = [
        {"step": step, "train/loss": 7.0 - step, "train/loss_over_ln_k": (7 - step) / 5}
        | {f"train/{HOSTILE}": 1.0}
        for step in range(3)
    ]
    lines = "\n".join(map(json.dumps, metrics))
    (folder / "metrics.jsonl").write_text(lines + "\n")
    return folder
