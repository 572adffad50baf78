"""Tables of text: columns stand straight, and nothing of a cell is lost."""

from bmjax.console.text_table import aligned, markdown

ROWS = [("class", "n", "name"), ("BLA", "1,000", "blast"), ("NGSX", "2", "")]


def test_columns_stand_straight_and_lines_end_with_text():
    assert aligned(ROWS, left=(0, 2)) == [
        "class      n  name",
        "BLA    1,000  blast",
        "NGSX       2",
    ]
    assert aligned(ROWS)[1] == "BLA    1,000  blast"
    assert aligned([]) == []


def test_markdown_has_a_head_a_rule_and_escaped_cells():
    lines = markdown([("a|b", "n"), ("c", "10")])
    assert lines == ["| a\\|b |   n |", "| ---- | --: |", "| c    |  10 |"]
