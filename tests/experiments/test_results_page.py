"""RESULTS.md is what its generator writes."""

import json

import pytest

from experiments import (
    cpu_speed,
    paper_claims,
    results,
    small_recipe,
    small_runs,
    stated_figures,
)
from experiments.five_systems import FIVE_SYSTEMS
from experiments.real_cells import REAL_CELLS


def test_results_md_is_what_the_stored_figures_give():
    assert (results.HERE / "RESULTS.md").read_text() == results.results_page()
    assert results.main(["--check"]) == 0


def test_every_stored_experiment_is_in_it():
    page = results.results_page()
    folders = [path for path in results.HERE.iterdir() if path.name[:4].isdigit()]
    assert folders
    for folder in folders:
        assert f"({folder.name}/README.md)" in page
    for part in ("**Question.**", "**Command.**", "**Verdict.**", "| --- "):
        assert page.count(part) >= len(folders)


@pytest.mark.parametrize("experiment", [REAL_CELLS, FIVE_SYSTEMS])
def test_stored_pages_and_drawings_are_what_the_stored_metrics_give(experiment):
    stored = json.loads((experiment.out / "figures.json").read_text())
    for name, text in small_runs.result_files(experiment, stored).items():
        assert (experiment.out / name).read_text() == text


def test_the_page_of_the_small_recipe_is_what_its_stored_runs_give():
    out = small_recipe.SMALL_RECIPE.out
    stored = json.loads((out / "runs.json").read_text())
    assert (out / "RESULT.md").read_text() == small_recipe.recipe_page(stored)
    for name, entry in stored["runs"].items():
        assert tuple(entry["arguments"]) == small_recipe.CANDIDATES[name].arguments


def test_the_page_of_the_papers_claims_is_what_its_stored_runs_give():
    out = paper_claims.PAPER_CLAIMS.out
    stored = json.loads((out / "runs.json").read_text())
    assert (out / "RESULT.md").read_text() == paper_claims.claims_page(stored)


def test_the_page_of_the_stated_figures_is_what_is_stored():
    out = stated_figures.OUT
    stored = json.loads((out / "stated.json").read_text())
    assert (out / "RESULT.md").read_text() == stated_figures.stated_page(stored)


def test_the_page_of_the_speed_on_processors_is_what_is_stored():
    out = cpu_speed._OUT
    stored = json.loads((out / "speed.json").read_text())
    assert (out / "RESULT.md").read_text() == cpu_speed.speed_page(stored)
    assert set(stored["comparisons"]) == set(cpu_speed.COMPARISONS)


def test_an_edited_page_is_told(tmp_path, monkeypatch, capsys):
    page = results.results_page()
    monkeypatch.setattr(results, "results_page", lambda: page)
    monkeypatch.setattr(results, "HERE", tmp_path)
    assert results.main([]) == 0
    assert results.main(["--check"]) == 0
    (tmp_path / "RESULTS.md").write_text(page.replace("0.7316", "0.7416"))
    assert results.main(["--check"]) == 3
    assert "is not what the stored metrics give" in capsys.readouterr().err
