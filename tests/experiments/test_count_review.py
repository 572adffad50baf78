"""Cases that are made of real cells: what is drawn, laid out and shown."""

import pytest

from bmjax.errors import DataError
from experiments.count_review import cases_page, draw_case, lay_out

CELLS = [(f"{name}/{number}.png", name) for name in "AB" for number in range(5)]


def test_a_case_has_the_cells_that_it_should_and_none_twice():
    chosen = draw_case(CELLS, {"A": 3, "B": 5}, seed=0)
    assert len(set(chosen)) == 8
    assert sum(label == "A" for _, label in chosen) == 3
    assert draw_case(CELLS, {"A": 3, "B": 5}, seed=0) == chosen
    with pytest.raises(DataError, match="has 5 cells of A, 6 are wanted"):
        draw_case(CELLS, {"A": 6}, seed=0)
    assert len(draw_case(CELLS, {}, seed=0)) == len(CELLS)


def test_the_names_of_a_case_do_not_tell_the_class(tmp_path):
    for path, _ in CELLS:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(path.encode())
    truth = lay_out(CELLS, tmp_path, tmp_path / "case")
    assert {name.split("/")[0] for name in truth} == {"smear 1", "smear 2"}
    for (path, label), (name, true) in zip(CELLS, truth.items(), strict=True):
        assert (tmp_path / "case" / name).read_bytes() == path.encode()
        assert true == label
        assert label not in name.removesuffix(".png").split("/")[1]


def test_an_interval_without_the_true_share_is_marked():
    row = {
        "class": "A", "true": 20.0,
        "named": 10.0, "interval": [5.0, 15.0],
        "corrected": None, "corrected_interval": None,
        "reviewed": 19.0, "reviewed_interval": [15.0, 20.04],
    }  # fmt: skip
    case = {
        "case": "a", "cells": 10, "countable_true": 9, "reviewed": 3,
        "classes": [row], "verdicts": [],
    }  # fmt: skip
    text = cases_page([case])
    assert "| A | 20.0 | 10.0 | 5.0 to 15.0 * | - | - | 19.0 | 15.0 to 20.0 |" in text
    assert "Mean distance from the true share: named 10.0, reviewed 1.0 points." in text
