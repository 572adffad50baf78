"""Corrections of a case, as the page saved them and a spreadsheet changed them."""

import numpy as np
import pytest

from bmjax.count.review_table import read_review
from bmjax.errors import DataError
from bmjax.report.case_page import NOT_COUNTABLE

PATHS = ("=smear/a.png", "smear 2/ü, b.png", "smear 2/c.png")
CLASSES = ("NGS", "+CD34", "BLA")
PREDICTED = np.array([0, 0, 2])


def read(path):
    return read_review(path, PATHS, PREDICTED, CLASSES, "case-1")


def test_what_a_spreadsheet_makes_of_the_table_means_the_same(tmp_path):
    """A mark, semicolons, other ends of lines, order, spaces, blank rows, NFD."""
    plain, edited = tmp_path / "plain.csv", tmp_path / "edited.csv"
    plain.write_text(
        "path,label,was,who,when,case\n"
        "./=smear/a.png,./+CD34,NGS,./=Dr. A,t0,case-1\n"
        '"smear 2/ü, b.png",-,NGS,Dr. B,t1,case-1\n',
        "utf-8",
    )
    edited.write_bytes(
        "Case;Path;WHO;Label;when;;\r\n"
        ";;;;;;\r\n"
        "case-1;smear 2\\u\u0308, b.png;Dr. B; - ;t1;;\r\n"
        "case-1;=smear/a.png;=Dr. A;+CD34 ;t0;;\r\n".encode("utf-8-sig")
    )
    first, second = read(plain), read(edited)
    assert first.labels.tolist() == [1, NOT_COUNTABLE, 2]
    assert first.reviewed.tolist() == [True, True, False]
    assert first.who == ("=Dr. A", "Dr. B", "")
    assert first.when == ("t0", "t1", "")
    assert sorted(first.readers) == ["=Dr. A", "Dr. B"]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("=smear/a.png,XXX,case-1", "label is 'XXX'"),
        ("nowhere.png,NGS,case-1", "no cell 'nowhere.png'"),
        ("=smear/a.png,NGS,case-2", "of the case 'case-2'"),
        ("=smear/a.png,NGS,case-1\n./=smear/a.png,BLA,case-1", "named twice"),
        ("=smear/a.png,,case-1", "label is ''"),
    ],
)
def test_a_row_that_fits_no_cell_is_refused_with_its_line(tmp_path, rows, sentence):
    table = tmp_path / "corrections.csv"
    table.write_text("path,label,case\n" + rows + "\n")
    with pytest.raises(DataError, match=sentence):
        read(table)
