"""Tables of predictions: what is read, and what is refused in one sentence."""

import csv

import numpy as np
import pytest

from bmjax.errors import DATA, DataError
from bmjax.evals.predictions import (
    SUM_TOLERANCE,
    concatenate,
    join,
    read_predictions,
    spell_as,
    write_predictions,
    writing_predictions,
)

HEADER = ["path", "label", "predicted", "p_BLA", "p_LYT"]
ROWS = [
    ["a.png", "BLA", "BLA", "0.9", "0.1"],
    ["b.png", "LYT", "BLA", "0.6", "0.4"],
    ["c.png", "LYT", "LYT", "0.25", "0.75"],
]


@pytest.fixture
def write(tmp_path):
    def write_table(rows=ROWS, header=HEADER, name="predictions.csv"):
        path = tmp_path / name
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([header, *rows] if header else rows)
        return path

    return write_table


def with_value(row, column, value):
    rows = [list(one) for one in ROWS]
    rows[row][column] = value
    return rows


def test_a_table_is_read_as_it_stands(write):
    found = read_predictions(write())
    assert found.paths == ("a.png", "b.png", "c.png")
    assert found.classes == ("BLA", "LYT")
    assert found.labels.tolist() == [0, 1, 1]
    assert found.predicted.tolist() == [0, 0, 1]
    assert found.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities[2], [0.25, 0.75])
    assert found.notes == ()


def test_a_mark_before_the_text_and_names_that_are_no_utf8_are_read(write):
    path = write()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"a.png", b"\xe9.png"))
    assert read_predictions(path).paths[0] == "\udce9.png"


def test_without_probabilities_the_classes_are_those_that_occur(write):
    path = write([row[:3] for row in ROWS], HEADER[:3])
    found = read_predictions(path)
    assert found.probabilities is None
    assert found.classes == ("BLA", "LYT")


def test_another_choice_than_the_most_probable_is_kept_and_noted(write):
    found = read_predictions(write(with_value(0, 2, "LYT")))
    assert found.predicted[0] == 1
    assert "1 of 3 rows" in found.notes[0]


def test_columns_that_are_not_used_are_noted(write):
    found = read_predictions(write([[*row, "x"] for row in ROWS], [*HEADER, "slide"]))
    assert found.notes == ("Columns that were not used: slide.",)


def test_rounded_probabilities_are_within_the_tolerance(write):
    near = 0.1 + 0.9 * SUM_TOLERANCE
    assert read_predictions(write(with_value(0, 4, f"{near:.6f}"))).labels.size == 3


THREE = ["path", "label", "predicted", "p_A", "p_B", "p_C"]


def of_three(*probabilities):
    return [[f"{i}.png", "A", "A", *row] for i, row in enumerate(probabilities)]


@pytest.mark.parametrize(
    "row",
    [("0.33", "0.33", "0.33"), ("0.34", "0.34", "0.33"), ("0.50", "0.255", "0.245")],
)
def test_rounding_is_allowed_as_far_as_the_digits_explain_it(write, row):
    found = read_predictions(write(of_three(row), THREE))
    np.testing.assert_allclose(found.probabilities[0], np.float32(row))


def test_rounding_that_shows_is_noted_and_nothing_is_changed(write):
    rows = of_three(("0.33", "0.33", "0.33"), ("1", "0", "0.00"))
    (note,) = read_predictions(write(rows, THREE)).notes
    assert "rounded to 2 decimal(s): in 1 of 2 rows" in note


@pytest.mark.parametrize(
    "row",
    [
        ("0.35", "0.34", "0.34"),  # more than half a unit for each class
        ("0.33", "0.33", "0.32"),
        ("0.000", "0.499", "0.504"),  # a zero is no rounded negative number
        ("1", "1", "0"),  # without decimals nothing was rounded
        ("0.9900", "0.0000", "0.0000"),
    ],
)
def test_what_rounding_does_not_explain_is_refused(write, row):
    with pytest.raises(DataError, match=r"line 2: the probabilities sum to"):
        read_predictions(write(of_three(row), THREE))


def test_decimal_commas_are_read_where_semicolons_separate(write, tmp_path):
    plain = read_predictions(write())
    path = tmp_path / "german.csv"
    lines = [";".join(HEADER), *(";".join(row).replace("0.", "0,") for row in ROWS)]
    path.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    german = read_predictions(path)._replace(source=plain.source)
    np.testing.assert_array_equal(german.probabilities, plain.probabilities)
    assert german.paths == plain.paths


def test_spaces_around_cells_and_names_do_not_matter(write):
    spaced = [[f" {cell} " for cell in row] for row in ROWS]
    found = read_predictions(write(spaced, [f" {name} " for name in HEADER]))
    assert found.classes == ("BLA", "LYT")
    assert found.labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "spell",
    ["./{}", "/data/cells/{}", "cells\\{}", " {}"],
)
def test_systems_whose_paths_are_spelled_otherwise_are_paired(write, spell):
    rows = [[f"BLA/{row[0]}", *row[1:]] for row in ROWS]
    first = read_predictions(write(rows))
    other = [[spell.format(row[0]), *row[1:]] for row in rows[::-1]]
    second = read_predictions(write(other, name="other.csv"))
    assert spell_as(first, second).paths == first.paths[::-1]
    pair = join(first, second)
    assert pair[0].paths == pair[1].paths
    np.testing.assert_array_equal(pair[0].probabilities, pair[1].probabilities)


FAULTS = {
    "probabilities that do not sum to 1": (
        with_value(1, 4, "0.5"),
        HEADER,
        "line 3: the probabilities sum to 1.1, in 1 row",
    ),
    "a probability above 1": (
        with_value(1, 4, "1.4"),
        HEADER,
        "line 3: p_LYT is '1.4'; a probability is a number from 0 to 1",
    ),
    "a negative probability": (with_value(0, 3, "-0.1"), HEADER, "line 2: p_BLA"),
    "NaN": (with_value(2, 3, "nan"), HEADER, "line 4: p_BLA is 'nan'"),
    "infinity": (with_value(2, 3, "inf"), HEADER, "line 4: p_BLA is 'inf'"),
    "text for a number": (with_value(2, 3, "high"), HEADER, "p_BLA is 'high'"),
    "no text for a number": (with_value(2, 3, ""), HEADER, "line 4: p_BLA is ''"),
    "a label without a column": (
        with_value(1, 1, "MON"),
        HEADER,
        "line 3: label is 'MON', which has no column p_MON",
    ),
    "a prediction without a column": (
        with_value(1, 2, "MON"),
        HEADER,
        "line 3: predicted is 'MON'",
    ),
    "an empty class": (with_value(1, 1, ""), HEADER, "line 3: label is empty"),
    "a column of an empty class": (ROWS, [*HEADER[:4], "p_"], "without a class"),
    "an empty path": (with_value(0, 0, ""), HEADER, "line 2: path is empty"),
    "a path twice": (
        with_value(2, 0, "a.png"),
        HEADER,
        "line 4: a.png is on line 2 already",
    ),
    "a short row": ([ROWS[0], ROWS[1][:4]], HEADER, "line 3: 4 values for 5 columns"),
    "a long row": ([[*ROWS[0], "1"]], HEADER, "line 2: 6 values for 5 columns"),
    "no rows": ([], HEADER, "has no rows"),
    "no label": ([row[:1] for row in ROWS], ["path"], "no column label, predicted"),
    "a column twice": (ROWS, [*HEADER[:4], "p_BLA"], "two columns named p_BLA"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_one_sentence_with_its_place(fault, write):
    rows, header, sentence = FAULTS[fault]
    path = write(rows, header)
    with pytest.raises(DataError) as error:
        read_predictions(path)
    assert sentence in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == DATA


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv cannot be read"):
        read_predictions(tmp_path / "none.csv")


def test_a_quote_that_is_never_closed_is_no_table(write):
    path = write()
    path.write_text(path.read_text() + '"d.png,BLA')
    with pytest.raises(DataError, match="not a CSV table"):
        read_predictions(path)


def test_joined_systems_are_the_same_images_and_classes(write):
    first = read_predictions(write())
    header = ["path", "label", "predicted", "p_LYT", "p_MON", "p_BLA"]
    rows = [
        ["c.png", "LYT", "MON", "0.2", "0.7", "0.1"],
        ["a.png", "BLA", "BLA", "0.2", "0.1", "0.7"],
        ["b.png", "LYT", "LYT", "0.6", "0.1", "0.3"],
    ]
    one, other = join(first, read_predictions(write(rows, header, "other.csv")))
    assert one.paths == other.paths == first.paths
    assert one.classes == other.classes == ("BLA", "LYT", "MON")
    assert other.labels.tolist() == one.labels.tolist() == [0, 1, 1]
    assert other.predicted.tolist() == [0, 1, 2]
    np.testing.assert_allclose(other.probabilities[2], [0.1, 0.2, 0.7], atol=1e-6)
    np.testing.assert_allclose(one.probabilities[:, 2], 0)


def test_a_system_that_lacks_images_is_not_compared(write):
    whole, part = read_predictions(write()), read_predictions(write(ROWS[:1], name="b"))
    for pair in ((whole, part), (part, whole)):
        with pytest.raises(
            DataError, match=r"b lacks 2 images .* b\.png, c\.png; it has a\.png"
        ):
            join(*pair)


def test_systems_of_other_labels_are_not_compared(write):
    first = read_predictions(write())
    other = read_predictions(write(with_value(0, 1, "LYT"), name="b.csv"))
    with pytest.raises(DataError, match=r"1 image differ.*a\.png is BLA and LYT"):
        join(first, other)


def folds(write, count=3):
    return {
        number: read_predictions(write(ROWS[number : number + 1], name=f"{number}.csv"))
        for number in range(count)
    }


def test_folds_are_one_in_their_order(write):
    parts = folds(write)
    whole = concatenate(dict(reversed(parts.items())), expected=3)
    assert whole.paths == ("a.png", "b.png", "c.png")
    assert whole.predicted.tolist() == [0, 0, 1]
    assert whole.probabilities.shape == (3, 2)


def test_a_missing_fold_is_named(write):
    parts = folds(write)
    del parts[1]
    with pytest.raises(DataError, match="fold 1 of 3 is missing"):
        concatenate(parts, expected=3)


def test_no_fold_is_no_system():
    with pytest.raises(DataError, match="no fold"):
        concatenate({})


def test_an_image_in_two_folds_is_named(write):
    parts = folds(write)
    parts[2] = read_predictions(write(ROWS[:1], name="again.csv"))
    with pytest.raises(DataError, match=r"a\.png is in .*0\.csv and in .*again\.csv"):
        concatenate(parts)


def test_folds_of_other_classes_are_refused(write):
    parts = folds(write, 2)
    header = [*HEADER[:4], "p_MON"]
    parts[2] = read_predictions(write([["d", "BLA", "MON", "0", "1"]], header, "2.csv"))
    with pytest.raises(DataError, match="other classes: only one has LYT, MON"):
        concatenate(parts)


def test_folds_with_and_without_probabilities_are_refused(write):
    parts = folds(write, 2)
    rows = [["d", "BLA", "LYT"]]
    parts[2] = read_predictions(write(rows, HEADER[:3], "2.csv"))
    with pytest.raises(DataError, match="only one of"):
        concatenate(parts)


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "made.csv"
    paths, labels = ["=A/1.png", "B/\udce9.png"], ["=A", "B"]
    shares = np.float32([[0.75, 0.25], [0.123456, 0.876544]])
    write_predictions(path, paths, labels, shares, ["=A", "B"])
    assert path.read_bytes().startswith(b"path,label,predicted,p_=A,p_B\n./=A/1.png,./")
    found = read_predictions(path)
    assert found.paths == tuple(paths)
    assert found.classes == ("=A", "B")
    assert found.labels.tolist() == found.predicted.tolist() == [0, 1]
    np.testing.assert_allclose(found.probabilities, shares, atol=1e-6)


def test_a_table_written_row_by_row_is_whole_or_not_there(tmp_path):
    path, share = tmp_path / "made.csv", np.float32([1, 0])
    with pytest.raises(KeyError), writing_predictions(path, ["A", "B"]) as writer:
        writer.add("a", {}["no label"], share)
    assert not list(tmp_path.iterdir())
    with writing_predictions(path, ["A", "B"]) as writer:
        assert writer.add("a", "", share) == "A"
        assert not path.exists()
    assert path.read_text() == "path,label,predicted,p_A,p_B\na,,A,1,0\n"
