"""Laws of the page that compares: whole, honest, bounded, the same every time."""

import re
import subprocess
import sys

import pytest

from bmjax.errors import ConfigError, DataError
from bmjax.evals.assess import assess, compare
from bmjax.evals.predictions import read_predictions
from bmjax.report import words, write_comparison
from bmjax.report.__main__ import main
from bmjax.report.run_page import DRAWS
from bmjax.report.systems import names_apart
from tests.helpers.report_pages import (
    CLASSES,
    SEED,
    Page,
    make_predictions,
    make_run,
    write_predictions,
    write_rows,
)


def make_sources(folder):
    """Two runs, and a table of a system without probabilities."""
    runs = [make_run(folder / "swav"), make_run(folder / "other", shift=1)]
    rows = [("path", "label", "predicted"), *make_predictions(shift=2)]
    write_rows(folder / "theirs.csv", rows)
    return runs, [folder / "theirs.csv"]


@pytest.fixture
def sources(tmp_path):
    """Sources for a test to alter."""
    return make_sources(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Sources that no test alters, and the page that was made of them."""
    folder = tmp_path_factory.mktemp("compared")
    sources = make_sources(folder)
    return sources, write_comparison(*sources, out=folder / "out")


@pytest.fixture(scope="module")
def text(kept):
    return kept[1].read_text("utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_page_is_whole_and_fetches_nothing(text, page):
    assert page.open == []
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"link", "script", "iframe", "base", "object"})
    for _, attributes in page.tags:
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert {"href", "xlink:href"}.isdisjoint(attributes)
        assert not any(name.startswith("on") for name in attributes)
    policy = next(a for t, a in page.tags if a.get("http-equiv"))
    assert (policy["content"] or "").startswith("default-src 'none'")
    assert not re.search(r"@import|url\(|https?://", text)


def test_page_suits_phones_and_the_dark(text, page):
    metas = {a.get("name"): a.get("content") for t, a in page.tags if t == "meta"}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_each_name_is_one_heading(page):
    names = [text for tag, text in page.headings if tag == "h2"]
    assert [name for name in names if name in ("swav", "other", "theirs")] == [
        "swav",
        "other",
        "theirs",
    ]


def test_ids_are_unique(page):
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(ids)) == len(ids)


def test_tables_have_a_row_for_each_class(page):
    assert page.rows("side") == CLASSES
    for number in (1, 2, 3):
        assert page.rows(f"classes-{number}") == CLASSES
        assert sorted(page.rows(f"confusion-{number}")) == sorted(CLASSES)


def test_heads_have_a_scope(page):
    assert all(a.get("scope") for _, tag, a, _ in page.cells if tag == "th")


def test_intervals_are_those_of_assess(kept, page):
    predictions = read_predictions(kept[0][0][1] / "predictions.csv")
    entries = assess(predictions, draws=DRAWS, seed=SEED)["per_class"]
    cells = [text for _, text in page.in_table("side", "td")]
    for entry in entries:
        if entry["support"]:
            ends = words.interval_text(*entry["f1_interval"])
            expected = f"{words.score(entry['f1'])} {ends}"
            assert expected in cells


def test_differences_are_those_of_compare(kept, text, page):
    systems = [read_predictions(run / "predictions.csv") for run in kept[0][0]]
    found = compare(*systems, names=("swav", "other"), draws=DRAWS)
    if found["decided_by"]["leader"] == 1:
        found = compare(*systems[::-1], names=("other", "swav"), draws=DRAWS)
    figure = found["metrics"]["macro_f1"]
    low, high = map(words.difference, figure["interval"])
    expected = f"{words.difference(figure['difference'])} {low} to {high}"
    assert expected in [cell for _, cell in page.in_table("pairs", "td")]
    assert found["decided_by"]["sentence"].split(";")[0].split(" by ")[0] in text


def test_hostile_names_are_shown_as_text(text):
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=" in text


def test_the_same_files_give_the_same_bytes(kept, tmp_path):
    sources, written = kept
    notes = []
    again = write_comparison(*sources, out=tmp_path / "again", note=notes.append)
    assert again.read_bytes() == written.read_bytes()
    assert notes == []


def test_no_absolute_path_is_shown(kept, text):
    assert str(kept[1].parents[1]) not in text
    assert "/home" not in text


def test_other_images_are_not_compared_in_pairs(sources, tmp_path):
    runs, tables = sources
    write_rows(tables[0], [("path", "label", "predicted"), ("other.jpg", "BLA", "BLA")])
    notes = []
    page = write_comparison(runs, tables, out=tmp_path / "out", note=notes.append)
    text = page.read_text("utf-8")
    page = Page(text)
    assert "tested on different test images" in text
    (note,) = notes
    assert "theirs 1; 0 paths in common" in note
    assert "theirs 1; 0 paths in common" in text
    assert page.rows("pairs") == []
    assert page.rows("wrong") == []
    assert page.rows("classes-3")


def test_other_labels_of_the_same_images_are_refused(sources, tmp_path):
    rows = [(path, "EBO", called) for path, _, called in make_predictions()]
    write_rows(tmp_path / "theirs.csv", [("path", "label", "predicted"), *rows])
    with pytest.raises(DataError, match="differ in label"):
        write_comparison(*sources, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_classes_are_refused(sources, tmp_path):
    classes = ["BLA", "EBO"]
    write_predictions(tmp_path / "theirs.csv", [("a", "BLA", "BLA")], classes)
    with pytest.raises(DataError, match=r"(?s)only swav has .*ABE"):
        write_comparison(*sources, out=tmp_path / "out")
    write_rows(
        tmp_path / "theirs.csv", [("path", "label", "predicted"), ("a", "XYZ", "BLA")]
    )
    with pytest.raises(DataError, match="only theirs has XYZ"):
        write_comparison(*sources, out=tmp_path / "out")


def test_a_source_given_twice_is_refused(sources, tmp_path):
    runs, tables = sources
    with pytest.raises(ConfigError, match="given twice"):
        write_comparison(
            [*runs, tmp_path / "out" / ".." / "swav"], tables, out=tmp_path
        )


def test_names_are_the_shortest_ends_that_differ(tmp_path):
    sources = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    assert names_apart(sources) == ["a/run", "b/run"]
    assert names_apart([tmp_path / "a.csv"]) == ["a"]
    both = names_apart([tmp_path / "x.csv", tmp_path / "x"])
    assert len(set(both)) == 2


BAD_TABLES = {
    "not a sum of 1": "path,label,predicted,p_A,p_B\na,A,A,0.5,0.1\n",
    "not a number": "path,label,predicted,p_A,p_B\na,A,A,nan,1\n",
    "unknown class": "path,label,predicted,p_A,p_B\na,C,A,0.5,0.5\n",
    "path twice": "path,label,predicted\na,A,A\na,A,A\n",
    "empty class": "path,label,predicted\na,,A\n",
    "hostile unknown class": 'path,label,predicted,p_A\na,"=cmd\n<b>",A,1\n',
    "no rows": "path,label,predicted\n",
    "no table": "\0\0",
}


@pytest.mark.parametrize("fault", BAD_TABLES)
def test_a_bad_table_is_one_sentence_and_no_page(fault, tmp_path, capsys):
    table = tmp_path / "bad.csv"
    table.write_text(BAD_TABLES[fault])
    code = main(["--from-predictions", str(table), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert code == 3
    assert said.startswith("bmjax: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_unfinished_run_is_one_sentence_and_no_page(sources, tmp_path, capsys):
    (sources[0][1] / "results.json").unlink()
    code = main([*map(str, sources[0]), "--out", str(tmp_path / "out")])
    assert code == 3
    assert "finish the run" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_name_of_a_folder_is_text_and_not_markup(tmp_path):
    run = make_run(tmp_path / '<i>=cmd"\n')
    page = Page(write_comparison([run], out=tmp_path / "out").read_text("utf-8"))
    assert '<i>=cmd"\n' in [text for _, text in page.headings]
    assert "i" not in {tag for tag, a in page.tags if not a}


def test_a_folder_of_images_that_is_none_is_one_sentence(sources, tmp_path):
    with pytest.raises(DataError, match="expected a folder of images"):
        write_comparison(*sources, out=tmp_path / "out", images=tmp_path / "none")
    assert not (tmp_path / "out").exists()


def test_a_page_that_cannot_be_written_is_one_sentence(sources, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match="make room or allow writing"):
        write_comparison(*sources, out=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "a file"


def test_command_compares_without_jax(sources, tmp_path):
    code = (
        "import sys; from bmjax.report.__main__ import main; code = main();"
        "assert 'jax' not in sys.modules and 'flax' not in sys.modules; sys.exit(code)"
    )
    runs, tables = sources
    command = [
        sys.executable,
        "-c",
        code,
        *map(str, runs),
        "--out",
        str(tmp_path / "o"),
    ]
    command += ["--from-predictions", *map(str, tables)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(tmp_path / "o" / "index.html")


@pytest.mark.parametrize("command", [[], ["--from-predictions", "a.csv"]])
def test_a_command_that_lacks_something_is_a_usage_error(command):
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 2


def test_another_programs_page_is_not_replaced(sources, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("<html>mine</html>")
    with pytest.raises(ConfigError, match="is no page of bmjax"):
        write_comparison(*sources, out=out)
    assert (out / "index.html").read_text() == "<html>mine</html>"
    (out / "index.html").unlink()
    made = write_comparison(*sources, out=out).read_bytes()
    assert write_comparison(*sources, out=out).read_bytes() == made
