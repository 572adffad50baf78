"""The count of a case: exact figures, sums and what is said of them."""

import numpy as np
import pytest

from bmjax.count.case_count import Validated, count_case
from bmjax.count.countable import read_countable
from bmjax.count.thresholds import (
    ABOVE,
    BELOW,
    THRESHOLDS,
    UNDECIDED,
    cells_to_decide,
    verdict,
)
from bmjax.data.matek import CLASSES
from bmjax.errors import DataError
from bmjax.evals.intervals import clopper_pearson
from bmjax.report.case_page import NOT_COUNTABLE

NAMES = tuple(cell.abbreviation for cell in CLASSES)
HEAD = "class,countable,lineage,ratio,cells\n"
TABLE = read_countable(None, NAMES)


def labels_of(**counts):
    return np.concatenate(
        [np.full(count, NAMES.index(name)) for name, count in counts.items()]
    )


def row_of(counted, name):
    return next(row for row in counted["classes"] if row["class"] == name)


def test_percentages_are_of_what_counts_with_exact_intervals():
    labels = labels_of(BLA=50, NGS=300, EBO=100, LYT=50, ART=70, NIF=30)
    labels = np.append(labels, [NOT_COUNTABLE] * 5)
    counted = count_case(labels, NAMES, TABLE, smears=2)
    assert (counted["cells"], counted["countable"]) == (605, 500)
    assert counted["marked_uncountable"] == 5
    # Ruemke's table: 10 % of 500 cells, 7.5 to 13.0 %.
    blasts = row_of(counted, "BLA")
    assert blasts["percent"] == 10
    assert [round(end, 1) for end in blasts["interval"]] == [7.5, 13.0]
    assert row_of(counted, "ART")["percent"] is None
    shares = [row["percent"] for row in counted["classes"] if row["countable"]]
    assert sum(shares) == pytest.approx(100)
    assert sum(row["percent"] for row in counted["lineages"]) == pytest.approx(100)
    assert not [note for note in counted["notes"] if "ICSH" in note]


def test_the_ratio_has_its_exact_conditional_interval():
    counted = count_case(labels_of(NGS=300, MON=10, EBO=100), NAMES, TABLE, smears=2)
    ratio = counted["me_ratio"]
    assert (ratio["myeloid"], ratio["erythroid"]) == (310, 100)
    assert ratio["ratio"] == pytest.approx(3.1)
    low, high = (float(p) for p in clopper_pearson(310, 410, level=0.95))
    assert ratio["interval"] == pytest.approx([low / (1 - low), high / (1 - high)])
    alone = count_case(labels_of(NGS=20), NAMES, TABLE, smears=1)["me_ratio"]
    assert (alone["ratio"], alone["interval"][1]) == (None, None)


def test_few_cells_and_one_smear_are_said():
    notes = " ".join(count_case(labels_of(NGS=499), NAMES, TABLE, smears=1)["notes"])
    assert "499 countable cells" in notes
    assert "One smear" in notes


def test_what_counts_is_corrected_where_validation_says_how():
    random = np.random.default_rng(0)
    true = random.choice([NAMES.index(n) for n in ("BLA", "NGS", "EBO", "ART")], 4000)
    wrong = random.random(4000) < 0.2
    named = np.where(wrong & (true == NAMES.index("BLA")), NAMES.index("NGS"), true)
    prior = np.bincount(true, minlength=len(NAMES)) / len(true)
    labels = labels_of(BLA=80, NGS=320, EBO=100)
    counted = count_case(
        labels,
        NAMES,
        TABLE,
        smears=2,
        probabilities=np.eye(len(NAMES))[labels],
        validated=Validated(true, named, prior),
    )
    blasts = row_of(counted, "BLA")
    low, high = blasts["corrected_interval"]
    assert low < 20 < high  # 80 of 100 blasts are named so
    assert blasts["percent"] < blasts["corrected"]
    # Classes without validation cells have no figure, and are named beside the one.
    assert row_of(counted, "PLM")["corrected"] is None
    assert counted["estimates"]["as_named"]["BLA"] == pytest.approx(16)
    assert counted["estimates"]["training_prior"]["BLA"] == pytest.approx(
        100 * prior[NAMES.index("BLA")] / (1 - prior[NAMES.index("ART")])
    )


def validated_cells(**counts):
    """Validation cells that are all named rightly."""
    true = labels_of(**counts)
    prior = np.bincount(true, minlength=len(NAMES)) / len(true)
    return Validated(true, true, prior)


def test_cells_that_do_not_count_are_in_no_corrected_share():
    """Though too few validation cells are of their kind to correct for it."""
    validated = validated_cells(BLA=100, NGS=300, EBO=100, ART=3)
    plain = {"BLA": 80, "NGS": 320, "EBO": 100}
    found = [
        count_case(labels_of(**counts), NAMES, TABLE, smears=2, validated=validated)
        for counts in (plain, {**plain, "ART": 400})
    ]
    without, with_them = (row_of(counted, "BLA") for counted in found)
    assert without["corrected"] == pytest.approx(16, abs=1)
    assert with_them["corrected"] == without["corrected"]
    assert row_of(found[1], "NGS")["corrected"] == row_of(found[0], "NGS")["corrected"]
    assert "ART" not in row_of(found[1], "NGS")["corrected_with"]
    (note,) = (note for note in found[1]["notes"] if "named as such" in note)
    assert "do not count" in note


def test_a_handful_of_cells_is_not_corrected():
    """The prior of the shares would decide verdicts: of one cell, "below 50 %"."""
    validated = validated_cells(BLA=100, NGS=300, EBO=100)
    few, enough = (
        count_case(labels_of(EBO=n), NAMES, TABLE, smears=2, validated=validated)
        for n in (49, 50)
    )
    assert row_of(few, "EBO")["corrected"] is None
    assert {row["corrected_verdict"] for row in few["verdicts"]} == {None}
    assert any("not corrected" in note for note in few["notes"])
    assert row_of(enough, "EBO")["corrected"] is not None


def test_what_a_threshold_is_of_is_found_in_any_case(tmp_path):
    """A verdict that is missing for a capital letter would not be missed."""
    path = tmp_path / "countable.csv"
    path.write_text(HEAD + "BLA,yes,,Myeloid, Blasts \nNGS,yes,,MYELOID,\n")
    counted = count_case(
        np.array([0] * 30 + [1] * 70),
        ("BLA", "NGS"),
        read_countable(path, ("BLA", "NGS")),
        smears=2,
    )
    assert [row["percent"] for row in counted["verdicts"]] == [5, 10, 20]
    assert counted["me_ratio"]["myeloid"] == 100


def test_a_verdict_is_below_above_or_undecided():
    assert verdict(5.0, 8.0, 10.0) == BELOW
    assert verdict(20.0, 24.0, 20.0) == ABOVE
    assert verdict(16.0, 20.0, 20.0) == UNDECIDED
    counted = count_case(labels_of(BLA=95, NGS=405), NAMES, TABLE, smears=2)
    said = {
        row["percent"]: row for row in counted["verdicts"] if row["cells"] == "blasts"
    }
    assert [said[t]["verdict"] for t in (5, 10, 20)] == [ABOVE, ABOVE, UNDECIDED]
    more = said[20]["more_cells"]
    assert more > 1000
    total = 500 + more
    assert 100 * clopper_pearson(round(0.19 * total), total, level=0.95)[1] < 20
    assert cells_to_decide(100, 500, 20.0) is None  # at the threshold itself
    assert {rule.cells for rule in THRESHOLDS} <= set(TABLE.cells)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("class,countable\nBLA,yes\n", "has no column"),
        (HEAD + "BLA,maybe,,,\n", "give yes or no"),
        (HEAD + "BLA,yes,,x,\n", "ratio is 'x'"),
        (HEAD + "BLA,1,,,\nbla,1,,,\n", "named twice"),
        (HEAD + "BLA,yes,,,\n", "lacks 1 of the run's 2"),
        (
            "class,countable,lineage,ratio,cells\nBLA,no,,,\nZZ,no,,,\n",
            "counts no class",
        ),
    ],
)
def test_a_table_of_countable_classes_that_is_no_use_is_refused(
    tmp_path, text, sentence
):
    path = tmp_path / "countable.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_countable(path, ["BLA", "ZZ"])


def test_classes_are_found_by_either_name():
    by_name = read_countable(None, [cell.name for cell in CLASSES])
    assert by_name == TABLE
