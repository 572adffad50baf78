"""The review page: what it shows, in a real browser where there is one."""

import csv
import io
import json
import re

import numpy as np
import pytest

from bmjax.report import case_page
from bmjax.report.case_page import NOT_COUNTABLE, tenths, write_case
from experiments.browser import figures_of_count
from tests.helpers.browser import KEYS, SAVE, open_page, text_of
from tests.helpers.review_case import COUNTABLE, NAMES, count_case, make_cells

# Every cell is chosen by its button, and labeled by the list of all classes.
RELABEL = """
for (const [cell, label] of %s) {
  document.querySelector(`button.cell[data-cell="${cell}"]`).click();
  const all = document.getElementById("all");
  all.value = String(label);
  all.dispatchEvent(new Event("change", { bubbles: true }));
}
"""


def labels_of(cells):
    return np.array([cell.label for cell in cells])


def test_names_are_escaped_and_nothing_is_fetched(tmp_path):
    cells = make_cells(40)
    (page,) = write_case(tmp_path / "case.html", count_case(labels_of(cells)), cells)
    text = page.read_text("utf-8")
    assert "<i>" not in text
    assert "<note>" not in text
    assert "<run>" not in text
    assert text.count("</script>") == 2
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert write_case(page, count_case(labels_of(cells)), cells) == [page]
    assert page.read_text("utf-8") == text


def test_cells_that_matter_come_first_and_every_cell_is_on_one_page(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(case_page, "CELLS_ON_A_PAGE", 16)
    cells = make_cells(40)
    pages = write_case(tmp_path / "case.html", count_case(labels_of(cells)), cells)
    assert [page.name for page in pages] == ["case.html", "case-2.html", "case-3.html"]
    found = [
        int(number)
        for page in pages
        for number in re.findall(r'data-cell="(\d+)"', page.read_text("utf-8"))
    ]
    assert sorted(found) == list(range(40))
    of_one = [cells[i] for i in found if cells[i].predicted == 0]
    ranks = [(not cell.foreign, not cell.doubtful, -cell.gain) for cell in of_one]
    assert ranks == sorted(ranks)


@pytest.mark.slow
def test_the_browser_counts_as_python_does(tmp_path):
    cells = make_cells(150)
    (page,) = write_case(tmp_path / "case.html", count_case(labels_of(cells)), cells)
    random = np.random.default_rng(1)
    labels = labels_of(cells)
    before = figures_of_count(page.read_text("utf-8"))
    assert figures_of_count(open_page(page, tmp_path / "profile")) == before
    for round_, changes in enumerate((12, 120)):
        steps = [
            (int(random.integers(150)), int(random.integers(-1, len(NAMES))))
            for _ in range(changes)
        ]
        document = open_page(
            page, tmp_path / f"profile{round_}", RELABEL % json.dumps(steps)
        )
        after = labels.copy()
        for cell, label in steps:
            after[cell] = label
        again = tmp_path / f"again{round_}.html"
        relabeled = [
            cell._replace(label=int(label))
            for cell, label in zip(cells, after, strict=True)
        ]
        write_case(again, count_case(after), relabeled)
        assert figures_of_count(document) == figures_of_count(again.read_text("utf-8"))
        assert text_of(document, "changed") == str((after != labels).sum())


@pytest.mark.slow
def test_a_review_by_keys_is_kept_undone_and_saved(tmp_path):
    cells = make_cells(30)
    (page,) = write_case(tmp_path / "case.html", count_case(labels_of(cells)), cells)
    numbers = [
        int(n) for n in re.findall(r'data-cell="(\d+)"', page.read_text("utf-8"))
    ]
    profile = tmp_path / "profile"
    script = (
        KEYS
        + SAVE
        + """
who.value = "=Dr. A, B"; who.dispatchEvent(new Event("input"));
document.querySelector("button.cell").click();
press("2"); press("u"); press("Enter"); press("Enter"); press("z");
document.getElementById("save").click();
"""
    )
    document = open_page(page, profile, script)
    assert text_of(document, "reviewed") == "3"
    rows = list(csv.DictReader(io.StringIO(text_of(document, "saved"))))
    by_path = {row["path"]: row for row in rows}
    assert len(by_path) == 3
    first, second, third = (cells[i] for i in numbers[:3])
    likely = int(np.argsort(-first.probabilities, kind="stable")[1])
    assert by_path[first.path]["label"] == NAMES[likely]
    assert by_path[second.path]["label"] == "-"
    assert by_path[third.path]["label"] == NAMES[third.predicted]
    for cell in (first, second, third):
        row = by_path[cell.path]
        assert row["was"] == NAMES[cell.predicted]
        assert (row["who"], row["case"]) == ("./=Dr. A, B", "0fa3")
    # Opened again in the same browser, the page has what was done.
    again = open_page(page, profile)
    assert text_of(again, "reviewed") == "3"
    assert figures_of_count(again) == figures_of_count(document)
    changed = int(likely != first.predicted) + 1
    assert text_of(again, "changed") == str(changed)


def reviewed_again(cells):
    """The same cells after a first review of some."""
    first = {
        0: cells[0]._replace(label=NOT_COUNTABLE, reviewed=True, who="A", when="t0"),
        1: cells[1]._replace(reviewed=True, who="=B", when="t1"),
        2: cells[2]._replace(label=(cells[2].predicted + 1) % 4, reviewed=True),
    }
    return [first.get(number, cell) for number, cell in enumerate(cells)]


@pytest.mark.slow
def test_a_second_review_keeps_the_first(tmp_path):
    """Its table has the rows of both, and no cell is told as reviewed twice."""
    cells = reviewed_again(make_cells(30))
    (page,) = write_case(tmp_path / "case.html", count_case(labels_of(cells)), cells)
    before = page.read_text("utf-8")
    assert text_of(before, "reviewed") == "3"
    script = SAVE + RELABEL % "[[1, -1], [7, -1]]" + "document.all.save.click();"
    document = open_page(page, tmp_path / "profile", script)
    assert text_of(document, "reviewed") == "4"
    assert text_of(document, "changed") == "4"
    seen = re.findall(r'class="cell[^"]* seen[^"]*" data-cell="(\d+)"', document)
    assert sorted(map(int, seen)) == [0, 1, 2, 7]
    rows = csv.DictReader(io.StringIO(text_of(document, "saved")))
    saved = {row["path"]: (row["label"], row["who"], row["case"]) for row in rows}
    assert saved == {
        cells[0].path: ("-", "A", "0fa3"),
        cells[1].path: ("-", "", "0fa3"),
        cells[2].path: (NAMES[cells[2].label], "", "0fa3"),
        cells[7].path: ("-", "", "0fa3"),
    }


def test_a_browser_keeps_changes_of_these_labels_and_classes_alone(tmp_path):
    """What was done on another page would change the labels of this one."""

    def key(cells, case):
        (page,) = write_case(tmp_path / "case.html", case, cells)
        return re.search(r'"key":"([^"]+)"', page.read_text("utf-8"))[1]

    cells = make_cells(30)
    case = count_case(labels_of(cells))
    others = [
        key(cells, case._replace(digest="1")),
        key(cells, case._replace(names=(*case.names[1:], case.names[0]))),
        key(reviewed_again(cells), case),
    ]
    assert len({key(cells, case), *others}) == 4


def test_one_decimal_is_rounded_as_python_rounds():
    assert [tenths(v) for v in (6.25, 6.75, 0.15, None, float("inf"))] == [
        "6.2",
        "6.8",
        "0.1",
        "\N{EN DASH}",
        "∞",
    ]
    assert NOT_COUNTABLE not in COUNTABLE
