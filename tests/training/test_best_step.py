"""The best step: the highest metric, the earliest of equals, never the state before."""

import math

import pytest

from bmjax.errors import CheckpointError
from bmjax.training.best_step import best_record, candidates


def history(*values):
    return [{"step": 10 * n, "knn_20/macro_f1": x} for n, x in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ((0.9, 0.1, 0.3, 0.2), 20),
        ((0.0, 0.3, 0.3), 10),
        ((0.5, 0.0), 10),
        ((0.5,), 0),  # a run of no steps
        ((0.5, math.nan, 0.1, 0.3, math.nan), 30),
        ((0.5, math.nan, math.nan), 10),
    ],
)
def test_the_highest_and_of_equals_the_earliest(values, step):
    assert best_record(history(*values), "knn_20/macro_f1")["step"] == step


def test_nothing_judged_is_no_choice_and_an_unknown_metric_is_named():
    assert best_record([], "knn_20/macro_f1") is None
    assert len(candidates(history(0.1, 0.2, 0.3))) == 2
    with pytest.raises(CheckpointError, match=r"'logistic/accuracy' is not among"):
        best_record(history(0.1), "logistic/accuracy")
