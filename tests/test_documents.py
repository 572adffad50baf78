"""What the documents point to is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "DESIGN.md", ROOT / "CONTRIBUTING.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
PLACEHOLDERS = {"bmjax/methods/NAME.py", "configs/NAME.py"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [
        link
        for link in links
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_package_that_a_page_names_exists(page):
    named = re.findall(
        r"`((?:bmjax|configs|tests|experiments)/[\w./]+\.py)`", page.read_text()
    )
    missing = [n for n in named if n not in PLACEHOLDERS and not (ROOT / n).exists()]
    assert not missing


def test_the_readme_is_at_most_130_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def fault_rows():
    """Cells of each row of the page of faults that begins with a case's number."""
    lines = (ROOT / "docs" / "faults.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if re.fullmatch(r"[A-Z]?\d+", row[0]) and len(row) == 5]


def test_the_page_of_faults_has_every_case_once():
    cases = [row[0] for row in fault_rows()]
    assert len(set(cases)) == len(cases)
    expected = [*map(str, range(1, 88)), *(f"X{n}" for n in range(1, 39))]
    assert set(expected) <= set(cases)


def test_every_test_that_the_page_of_faults_names_exists():
    """By its file and its name; a case without one says so in plain words."""
    missing = []
    for number, *_, shown in fault_rows():
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", shown)
        if not named and shown != "not covered by a test":
            missing.append((number, shown))
        for file, test in named:
            path = ROOT / file
            if not path.exists() or f"def {test}(" not in path.read_text():
                missing.append((number, f"{file}::{test}"))
    assert not missing
