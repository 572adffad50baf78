"""The published figures: each column against the paper's own averages and sums."""

import numpy as np
import pytest

from bmjax.data.matek import CLASSES
from experiments.tables import published
from experiments.tables.paper import published_table

SYSTEMS = ("swav", "supcon")
SUPERVISED = ("resnext50", "resnext50_mixup")


def test_table_1_is_the_release_class_by_class():
    assert published.images().sum() == 171_374
    assert published.images().tolist() == [cell.images for cell in CLASSES]


@pytest.mark.parametrize("name", ["table2", "table4"])
def test_each_column_has_the_papers_average_to_two_decimals(name):
    columns = [key for key in published.rows(name)[0] if key not in ("class", "source")]
    assert len(columns) == {"table2": 2, "table4": 9}[name]
    for key in columns:
        # Rows and average are each rounded to 0.005.
        assert published.column(name, key).mean() == pytest.approx(
            published.average(name, key), abs=0.0101
        )


@pytest.mark.parametrize("figure", ["precision", "recall"])
@pytest.mark.parametrize("kind", ["mean", "sd"])
def test_each_column_of_table_3_has_the_papers_average_to_four_decimals(figure, kind):
    for system, digits in (("baseline", 2), *((name, 4) for name in SUPERVISED)):
        mean = published.column("table3", f"{system}_{kind}", metric=figure).mean()
        said = published.average("table3", f"{system}_{kind}", metric=figure)
        assert round(mean, digits) == pytest.approx(said, abs=1e-9)


def test_the_baseline_is_the_same_in_all_three_tables():
    for figure in ("precision", "recall"):
        np.testing.assert_array_equal(
            published.column("table3", "baseline_mean", metric=figure),
            published.column("table4", f"baseline_{figure}"),
        )
    f1 = published.column("table2", "baseline_f1")
    np.testing.assert_array_equal(f1, published.column("table4", "baseline_f1"))
    precision, recall = (
        published.column("table4", f"baseline_{figure}")
        for figure in ("precision", "recall")
    )
    worked_out = 2 * precision * recall / (precision + recall)
    np.testing.assert_allclose(f1, worked_out, atol=0.0051)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("figure", ["precision", "recall", "f1"])
def test_table_4_is_the_notebooks_rounded(system, figure):
    full = published.column("notebook_table4", figure, system=system)
    printed = published.column("table4", f"{system}_{figure}")
    np.testing.assert_allclose(printed, full, atol=0.0051)


@pytest.mark.parametrize(("system", "right"), [("swav", 29_395), ("supcon", 29_750)])
def test_the_notebooks_counts_make_up_the_whole_test_part(system, right):
    entries = published_table("table4")["systems"][system]["per_class"]
    # Every test image is called something: worked out class by class, it still sums up.
    for key, total in (
        ("support", 34_281),
        ("predicted", 34_281),
        ("correct", right),
    ):
        assert sum(entry[key] for entry in entries) == total
    for key in ("precision", "recall", "f1"):
        said = published.column("notebook_table4", key, system=system)
        counted = [entry[key] for entry in entries]
        np.testing.assert_allclose(counted, said, atol=5.1e-5)
    images = [entry["support"] for entry in entries]
    assert images == np.ceil(0.2 * published.images()).astype(int).tolist()


def test_the_five_folds_f1_is_the_notebooks():
    for system, whole, without in zip(
        SUPERVISED, (0.7016, 0.6981), (0.7233, 0.7263), strict=True
    ):
        f1 = published.column("notebook_table3_f1", "f1_mean", system=system)
        assert f1.mean() == pytest.approx(whole, abs=5e-5)
        assert f1[1:].mean() == pytest.approx(without, abs=5e-5)


def test_every_row_says_where_it_comes_from():
    names = ("table1", "table2", "table3", "table4", "overall")
    for name in (*names, "notebook_table4", "notebook_table3_f1"):
        for row in published.rows(name):
            assert row["source"].startswith(("paper: ", "authors' code: "))
