"""Laws of folds that are evaluated as one system."""

import json

import pytest

from bmjax.errors import DataError
from bmjax.evals.predictions import read_predictions
from bmjax.report import write_comparison
from bmjax.report.pooled_folds import common_name, fold_rows, pool_folds
from bmjax.report.systems import read_systems
from tests.helpers.report_pages import (
    Page,
    make_predictions,
    make_run,
    write_predictions,
)


@pytest.fixture
def folds(tmp_path):
    """Five folds of each of two systems, whose images are dealt out."""
    made = []
    for shift, name in enumerate(("swav", "other")):
        rows = make_predictions(shift=shift)
        for fold in range(5):
            run = make_run(tmp_path / f"{name}-{fold}")
            write_predictions(run / "predictions.csv", rows[fold::5])
            data = {"split": "kfold", "fold": fold}
            config = {"seed": 0, "data": data, "method": {"name": name}}
            (run / "config.json").write_text(json.dumps(config))
            made.append(run)
    return made


def test_folds_hold_each_image_once(folds):
    swav, other = pool_folds(read_systems(folds, []))
    assert (swav.name, other.name) == ("swav", "other")
    paths = [
        p for run in folds[:5] for p in read_predictions(run / "predictions.csv")[0]
    ]
    assert sorted(swav.predictions.paths) == sorted(paths)
    assert len(swav.folds) == 5


def test_a_missing_fold_is_named(folds, tmp_path):
    with pytest.raises(DataError, match="fold 3 is missing"):
        write_comparison([*folds[:3], *folds[4:]], out=tmp_path / "out", pool=True)
    assert not (tmp_path / "out").exists()


def test_a_fold_given_twice_is_named(folds):
    (folds[1] / "config.json").write_text((folds[0] / "config.json").read_text())
    with pytest.raises(DataError, match="swav-0 and swav-1 are both fold 0"):
        pool_folds(read_systems(folds, []))


def test_runs_of_one_split_stay_apart(tmp_path):
    runs = [make_run(tmp_path / name) for name in ("a", "b")]
    assert [one.name for one in pool_folds(read_systems(runs, []))] == ["a", "b"]


def test_the_spread_of_folds_has_one_degree_less(folds):
    (swav, _) = pool_folds(read_systems(folds, []))
    rows = dict(fold_rows(swav))
    accuracy = [float(rows[f"Fold {fold}"][0]) for fold in range(5)]
    mean = sum(accuracy) / 5
    spread = (sum((value - mean) ** 2 for value in accuracy) / 4) ** 0.5
    assert float(rows["Mean"][0]) == pytest.approx(mean, abs=1e-3)
    assert float(rows["Standard deviation"][0]) == pytest.approx(spread, abs=1e-3)


def test_folds_are_compared_in_pairs_and_over_folds(folds, tmp_path):
    page = write_comparison(folds, out=tmp_path / "out", pool=True).read_text("utf-8")
    assert "Nadeau and Bengio" in page
    assert Page(page).rows("folds-1")[-2:] == ["Mean", "Standard deviation"]
    assert len(Page(page).rows("pairs")) == 1


@pytest.mark.parametrize(
    ("names", "together"),
    [
        (["kfold-0", "kfold-4"], "kfold"),
        (["swav-fold0", "swav-fold4"], "swav"),
        (["swav_0", "swav_4"], "swav"),
        (["fold-0", "fold-4"], "fold-0 to fold-4"),
    ],
)
def test_folds_are_called_what_their_names_share(names, together):
    assert common_name(names) == together
