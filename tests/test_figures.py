"""Every figure of README.md and docs/ is in docs/figures.csv, and is what is stored.

A row's source is a stored result below experiments/, or one of these words, which say
what its key is:

* published: the paper, data sheet or license that has the figure;
* setting: `FILE: TEXT`, where the file has the text;
* tested: `FILE::TEST`, which holds the program or the document to the figure;
* arithmetic: a sum for each number in braces.
"""

import json
import re
from pathlib import Path

import pytest

from tests.helpers.figures import (
    Row,
    agrees,
    covered,
    figures_in,
    places,
    read_rows,
    stored_value,
    worked_out,
)

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    ["README.md", *(f"docs/{f.name}" for f in (ROOT / "docs").glob("*.md"))]
)
ROWS = read_rows(ROOT / "docs" / "figures.csv")
STORED = [row for row in ROWS if row.source.startswith("experiments/")]
PUBLISHED = "experiments/tables/published/"


def text_of(row: Row) -> str:
    return (ROOT / row.document).read_text()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_figure_of_a_document_has_a_source(document):
    text = (ROOT / document).read_text()
    rows = [row for row in ROWS if row.document == document]
    spoken_for = [
        span for row in rows for p in places(row.shown, text) for span in covered(p)
    ]
    missing = [
        f"line {text.count(chr(10), 0, begin) + 1}: ...{text[begin - 40 : end + 20]}..."
        for begin, end in figures_in(text)
        if not any(a <= begin and end <= b for a, b in spoken_for)
    ]
    assert not missing


def test_every_row_stands_in_its_document_once():
    found = {row: len(places(row.shown, text_of(row))) for row in ROWS}
    assert not {row: times for row, times in found.items() if times != 1}
    assert len(set(ROWS)) == len(ROWS)
    assert {row.document for row in ROWS} <= set(DOCUMENTS)


def test_every_row_speaks_for_a_figure_or_has_a_number_in_braces():
    for row in ROWS:
        (place,) = places(row.shown, text_of(row))
        inside = [
            (begin, end)
            for begin, end in figures_in(text_of(row))
            if place.start() <= begin and end <= place.end()
        ]
        assert inside or place.re.groups, row


def numbers_and_keys(row: Row) -> list[tuple[str, str]]:
    """A row's numbers in braces, each with its key."""
    (place,) = places(row.shown, text_of(row))
    assert place.re.groups, f"{row} has no number in braces"
    return list(zip(place.groups(), row.key.split("; "), strict=True))


def test_figures_are_the_stored_ones():
    wrong = []
    for row in STORED:
        if row.source.endswith(".md"):
            (stored,) = places(row.key, (ROOT / row.source).read_text())
            numbers = re.findall(r"\d[\d,]*(?:\.\d+)?", stored[0])
            values = [float(number.replace(",", "")) for number in numbers]
            shown = places(row.shown, text_of(row))[0].groups()
            assert shown, row
            wrong += [
                (row, one) for one in shown if not any(agrees(one, v) for v in values)
            ]
        else:
            found = [
                (shown, stored_value(ROOT / row.source, key))
                for shown, key in numbers_and_keys(row)
            ]
            wrong += [(row, *pair) for pair in found if not agrees(*pair)]
    assert not wrong


def test_figures_by_arithmetic_are_what_it_gives():
    wrong = [
        (row, shown, worked_out(key))
        for row in ROWS
        if row.source == "arithmetic"
        for shown, key in numbers_and_keys(row)
        if not agrees(shown, worked_out(key))
    ]
    assert not wrong


def test_every_setting_and_test_that_a_row_names_is_there():
    for row in ROWS:
        if row.source == "setting":
            file, text = row.key.split(": ", 1)
            assert places(text, (ROOT / file).read_text()), row
        elif row.source == "tested":
            file, test = row.key.split("::")
            assert f"def {test}(" in (ROOT / file).read_text(), row
        elif row.source == "published":
            assert row.key, row
        else:
            assert row in STORED or row.source == "arithmetic", row


def folder_of(row: Row) -> Path:
    return (ROOT / row.source).parent


FOLDERS = sorted(
    {
        folder_of(row)
        for row in STORED
        if row.source.count("/") > 1 and not row.source.startswith(PUBLISHED)
    }
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_stored_result_says_how_it_was_made(folder):
    """Command, machine, versions, and how far the figures spread."""
    page = (folder / "README.md").read_text()
    stored = "".join(file.read_text() for file in folder.glob("*.json"))
    shown = page + "".join(file.read_text() for file in folder.glob("RESULT*.md"))
    assert "**Command.** " in page
    assert re.search(r"CPU\s+cores?\b|\bH[12]00\b", page), "no machine"
    versions = re.search(r"\b(?:jax|numpy)\s\d+\.\d+\.\d+", page, re.IGNORECASE)
    assert versions or '"versions"' in stored, "no versions"
    assert re.search(r"±|interval|spread|deviation|\bseeds?\b|the same figures", shown)


def test_published_metrics_say_where_they_are_from():
    for row in STORED:
        if row.source.startswith(PUBLISHED):
            head = (ROOT / row.source).read_text().splitlines()[0]
            assert "source" in head.split(","), row


@pytest.mark.parametrize(
    "sentence",
    [
        "It reaches [0.84] accuracy.",
        "Of the cells [12] % are named, or [12]% of them, or [12] percent.",
        "A step takes [71] ms, or [3] minutes; in all [2] to [3] hours.",
        "At [3,455] images/s and [1,500] images of 250 pixels a second.",
        "It holds [88] MB of [16] GiB; [12] times as much.",
        "| name | [17.3] | [1.21] ([0.49]) |",
        "Equal to [4.4e-7] and to [1e-9].",
        "[Two] minutes on two cores, [half a] minute, [two] and a half hours.",
        "Gains [+0.132] ± [0.009], [0.065] to [0.146], [94.6] to [95.4] %.",
        "Python 3.11 to 3.13, PyTorch 2.13, jax 0.10.2 and CC BY 4.0 are versions.",
        "`0.5` in code, [a link](0.5/1.5), 171,374 images of 21 classes at 224 pixels.",
        "It draws 2,100 cells, 256 a batch, K = 1000, a second time at 12.",
    ],
)
def test_the_detector_finds_figures_and_nothing_else(sentence):
    text = re.sub(r"\[([\w.,+-]+(?: a)?)\](?!\()", r"\1", sentence)
    expected = re.findall(r"\[\+?([\w.,-]+(?: a)?)\](?!\()", sentence)
    assert [text[a:b] for a, b in figures_in(text)] == expected


def test_code_blocks_have_no_figures_and_lines_may_break_inside_a_figure():
    text = "before\n```\n0.5 s\n```\nafter 486\nimages/s"
    assert [text[a:b] for a, b in figures_in(text)] == ["486"]


def test_rows_are_found_across_lines_and_speak_for_what_is_in_braces():
    text = "SwAV has 0.844 ± 0.010\nafter 40 epochs, | a | 3 | 4 |"
    (place,) = places("has {0.844} ± 0.010 after", text)
    assert [text[a:b] for a, b in covered(place)] == ["0.844"]
    (place,) = places("| a | ... 4 |", text)
    assert [text[a:b] for a, b in covered(place)] == ["| a | 3 | 4 |"]


def test_a_figure_agrees_with_what_rounds_to_it():
    assert agrees("0.78", 0.775)
    assert agrees("0.78", 0.7849)
    assert not agrees("0.78", 0.7851)
    assert agrees("3,455", 3454.8)
    assert not agrees("3,456", 3454.8)
    assert agrees("4.4e-7", 4.43e-7)
    assert not agrees("4.4e-7", 4.5e-7)


def test_keys_lead_to_values_in_json_and_in_tables(tmp_path):
    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"rows": {"a-b": [{"x": [1, 3]}, {"x": [5, 6]}]}}))
    assert stored_value(path, "rows.a-b.1.x.0") == 5
    assert stored_value(path, "mean rows.a-b.*.x.0 x 100") == 300
    assert stored_value(path, "min max rows.a-b.*.x.*") == 3
    table = tmp_path / "figures.csv"
    table.write_text("system,class,f1\nswav,BAS,0.5\nswav,EOS,0.7\nother,BAS,0.1\n")
    assert stored_value(table, "f1 system=swav class=BAS") == 0.5
    assert stored_value(table, "max f1 system=swav") == 0.7
    assert stored_value(table, "f1 system!=swav") == 0.1
    assert worked_out("2 * 3 + 4 / 8") == 6.5
