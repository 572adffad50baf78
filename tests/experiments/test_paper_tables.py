"""Tables as text: every cell in every form, and nothing that breaks it."""

from bmjax.report.table_formats import (
    Table,
    latex_table,
    markdown_table,
    text_table,
)
from bmjax.report.words import NONE
from experiments.tables.pages import LINE, in_lines, side_by_side
from experiments.tables.paper import as_printed, published_table

TABLE = Table(
    "Caption: 95 % & more",
    (("Group", 2), ("Other_one", 1)),
    ("Class", "avg", "std", "avg"),
    (("A|B", "0.10", "0.20 ± 0.01", "\N{EN DASH}"), ("C", "1", "2", "3")),
    frozenset([1]),
)


def test_every_form_holds_every_cell():
    for row in TABLE.rows:
        for cell in row:
            assert cell in text_table(TABLE)
    rows = [line.split("|") for line in markdown_table(TABLE).splitlines()[2:]]
    assert "A\\|B" in markdown_table(TABLE)
    assert [cell.strip() for cell in rows[-1]] == ["", "C", "1", "2", "3", ""]
    assert "Group: avg" in markdown_table(TABLE)


def test_latex_escapes_and_draws_the_groups():
    made = latex_table(TABLE)
    assert r"Caption: 95 \% \& more" in made
    assert r"\multicolumn{2}{c}{Group} & \multicolumn{1}{c}{Other\_one} \\" in made
    assert r"0.20 $\pm$ 0.01 & -- \\" in made
    assert made.count(r"\begin{") == made.count(r"\end{") == 2


def test_the_published_tables_keep_the_papers_order_and_layout():
    (table2,) = as_printed("table2")
    assert table2.rows[0] == ("Abnormal eosinophils", "0.04", "0.33")
    assert table2.rows[-1] == ("Avg", "0.55", "0.62")
    precision, recall = as_printed("table3")
    assert [title for title, _ in precision.groups][-1] == "ResNeXt50 + Mixup"
    assert recall.rows[8][0] == "Smudge cells"
    assert recall.rows[8][3] == "0.8639"
    (table4,) = as_printed("table4")
    assert [title for title, _ in table4.groups] == ["Precision", "Recall", "F1-score"]
    assert table4.rows[-1][1:4] == ("0.51", "0.78", "0.75")
    assert {len(t.rows) for t in (table2, precision, recall, table4)} == {22}


def test_the_csv_has_every_metric_unrounded():
    document = published_table("table4")
    rows = [dict(zip(LINE, line, strict=True)) for line in in_lines(document)]
    assert len(rows) == 3 * (7 + 21 * 3)
    (swav,) = (r for r in rows if (r["system"], r["metric"]) == ("swav", "macro_f1"))
    assert swav["value"] == document["systems"]["swav"]["macro_f1"]
    assert swav["low"] < swav["value"] < swav["high"]


def test_averages_over_other_classes_are_not_compared():
    paper = published_table("table4")
    swav = paper["systems"]["swav"]

    def differences(**changes):
        ours = {**swav, **changes}
        measured = {"title": "Ours: all", "systems": {"swav": ours}}
        averages = side_by_side(measured, paper)[-2]
        place = averages.columns.index("difference")
        return {row[0]: row[place] for row in averages.rows}

    assert set(differences().values()) == {"+0.000"}
    fewer = differences(per_class=swav["per_class"][:-1], classes=swav["classes"][:-1])
    assert set(fewer.values()) == {NONE}
    rarer = differences(rare=["ABE"])
    assert rarer["macro F1"] == "+0.000"
    assert rarer["macro F1 without rare classes"] == NONE
