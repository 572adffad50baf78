"""Differences over folds, and what is said of them."""

import pytest

from bmjax.evals.over_runs import paired_over_folds
from experiments import paper_claims


def stored(**systems):
    """Runs of systems, each a macro F1 of the linear readout by fold and seed."""
    return {
        "runs": {
            f"{name}-{seed}-fold-{fold}": {
                "system": name,
                "seed": seed,
                "fold": fold,
                "n_train": 80,
                "n_test": 20,
                "minutes": 3.0,
                "readouts": {"linear": {"macro_f1": value}},
            }
            for name, values in systems.items()
            for (fold, seed), value in values.items()
        }
    }


def test_a_difference_averages_seeds_and_takes_the_runs_that_both_have():
    one = {(0, 0): 0.5, (0, 1): 0.7, (1, 0): 0.6, (2, 0): 0.9}
    other = {(0, 0): 0.4, (0, 1): 0.4, (1, 0): 0.3, (1, 1): 0.0}
    found = paper_claims.fold_difference(
        stored(a=one, b=other), ("a", "linear"), ("b", "linear"), "macro_f1"
    )
    assert found == paired_over_folds([0.6, 0.6], [0.4, 0.3], test_over_train=0.25)
    assert found.difference == pytest.approx(0.25)


def test_one_fold_has_no_difference():
    found = paper_claims.fold_difference(
        stored(a={(0, 0): 0.5}, b={(0, 0): 0.4}),
        ("a", "linear"),
        ("b", "linear"),
        "macro_f1",
    )
    assert found is None


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ([0.61, 0.62, 0.63], "holds"),
        ([0.41, 0.42, 0.43], "the contrary holds"),
        ([0.30, 0.52, 0.74], "not decided"),
    ],
)
def test_a_claim_is_decided_by_its_interval_alone(first, words):
    found = paired_over_folds(first, [0.50, 0.51, 0.52])
    assert paper_claims.claim_verdict(found) == words


def test_every_claim_is_of_systems_and_readouts_that_are_made():
    for claim in paper_claims.CLAIMS:
        for system, readout in {claim.first, claim.second} - {paper_claims.PIXELS}:
            assert system in paper_claims.SYSTEMS
            assert readout in paper_claims._READOUTS


def test_the_page_says_a_dash_where_no_run_is_finished():
    some = stored(
        vit_swav={(fold, 0): 0.7 + 0.01 * fold for fold in range(3)},
        resnet_swav={(fold, 0): 0.5 for fold in range(3)},
    )
    for run in some["runs"].values():
        of_all = dict.fromkeys((*paper_claims._METRICS, *paper_claims._GROUPS), 0.5)
        run["readouts"]["linear"] = of_all | run["readouts"]["linear"]
        run["curve"] = {"5": 0.4, "20": 0.5, "all": 0.6}
    counts = {"A": 50, "B": 20, "C": 10}
    pixels = {str(fold): of_all | {"macro_f1": 0.6} for fold in range(3)}
    page = paper_claims.claims_page(some | {"train_counts": counts, "pixels": pixels})
    over_pixels = [line for line in page.splitlines() if "+0.110" in line]
    assert len(over_pixels) == 1
    assert "ridge regression on pixels" in over_pixels[0]
    claims = [line for line in page.splitlines() if "+0.210" in line]
    assert len(claims) == 1
    assert "holds" in claims[0]
    others = [line for line in page.splitlines() if "Table 4" in line]
    assert others
    assert all("holds" not in line for line in others)
