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
