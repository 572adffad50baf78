"""Validation along the way: it changes no training, and the choice rests on it alone.

Runs of a toy network. A kill is an exception beside a save, which leaves on disk what a
killed process leaves. Where the evaluation is not what is tested, it is left out.
"""

import json
import shutil

import jax
import numpy as np
import pytest

import bmjax
import bmjax.run.build
import bmjax.run.train
import bmjax.run.validation
from bmjax.data.open_images import read_catalog
from bmjax.data.splits.make_split import make_split
from bmjax.data.splits.validation_part import hold_out_validation
from bmjax.data.synthetic import synthesize
from bmjax.evals.calibration_file import VALIDATION_PART, read_calibration
from bmjax.files import write_json
from bmjax.main import main
from bmjax.training import checkpoint
from bmjax.training.trained_network import about_source
from tests.helpers.toy_network import toy_network

CUT = ("--config.data.validation_share=0.2", "--config.train.duration=5 steps")
JUDGED = (*CUT, "--config.validation.every=2 steps")
METRIC = "knn_20/macro_f1"
BEST = (*JUDGED, f"--config.checkpoint.best={METRIC}")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return synthesize(tmp_path_factory.mktemp("cells") / "all", images=230, seed=0)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    def network(name, *, num_classes, head, embedding_dim, **_):
        del name
        return toy_network(
            num_classes=num_classes, head=head, embedding_dim=embedding_dim
        )

    monkeypatch.setattr(bmjax.run.build, "make_network", network)


def command(workdir, cells, *more, config="supervised"):
    return [
        f"--config={config}:smoke",
        f"--workdir={workdir}",
        f"--config.data.root={cells}",
        "--config.mesh.devices=1",
        *more,
    ]


def only_the_choice(run, chosen, workdir, **_):
    """In the place of `evaluate_run`: which state would be evaluated, and why."""
    found = {
        "params_sha256": checkpoint.digest(chosen.state.params),
        "validation": {"chosen": chosen.facts},
        "predictor": "none",
        **{name: 0.0 for name in ("accuracy", "macro_f1")},
        "intervals": {"accuracy": None, "macro_f1": None},
    }
    write_json(workdir / "results.json", found)
    return workdir / "report.html", found


@pytest.fixture
def unevaluated(monkeypatch):
    monkeypatch.setattr(bmjax.run.train, "evaluate_run", only_the_choice)


def results(workdir):
    return json.loads((workdir / "results.json").read_text())


def validation_lines(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [line for line in found if any("validation/" in name for name in line)]


@pytest.fixture(scope="module")
def judged(tmp_path_factory, cells):
    """One run with validations and a choice, not evaluated, made when first asked for.

    It is made within a test that leaves out the evaluation.
    """
    done = []

    def run():
        if not done:
            workdir = tmp_path_factory.mktemp("judged") / "run"
            assert main(command(workdir, cells, *BEST)) == 0
            done.append(workdir)
        return done[0]

    return run


@pytest.mark.slow
def test_the_best_step_is_evaluated_and_it_is_said_on_what_it_was_chosen(
    tmp_path, cells
):
    workdir = tmp_path / "run"
    assert main(command(workdir, cells, *BEST)) == 0
    found, lines = results(workdir), validation_lines(workdir)
    assert [line["step"] for line in lines] == [0, 2, 4, 5]
    by_step = {line["step"]: line[f"validation/{METRIC}"] for line in lines}
    del by_step[0]  # no candidate
    chosen = found["validation"]["chosen"]
    assert chosen["step"] == max(by_step, key=by_step.get)
    assert chosen["value"] == max(by_step.values())
    assert (chosen["last_step"], chosen["last_value"]) == (5, by_step[5])
    assert (chosen["candidates"], found["steps"]) == (3, 5)
    assert chosen["images"] == sum(found["validation"]["counts"].values()) == 24
    assert found["validation"]["predictors"]["knn_20"]["macro_f1"] == chosen["value"]
    # The network of that step, here and for whoever loads the run.
    saved = checkpoint.read(
        workdir / "checkpoints",
        chosen["step"],
        jax.sharding.SingleDeviceSharding(jax.devices()[0]),
    )
    assert checkpoint.digest(saved["params"]) == found["params_sha256"]
    page = (workdir / "report.html").read_text()
    assert f"Step {chosen['step']} of 5 was chosen by validation macro F1" in page
    assert "3 candidates on 24 validation images" in page
    # A classifier has images now that it did not learn.
    assert found["calibration"]["temperature"]["validation_images"] == 24
    assert found["n_train"] + 24 + found["n_test"] == 230
    kept = read_calibration(workdir)
    assert (len(kept.labels), kept.held_out) == (24, VALIDATION_PART)
    assert kept.temperature == found["calibration"]["temperature"]["value"]
    counted = np.bincount(kept.labels, minlength=len(kept.classes))
    assert dict(zip(kept.classes, counted.tolist(), strict=True)) == {
        name: found["validation"]["counts"].get(name, 0) for name in kept.classes
    }


@pytest.mark.slow
def test_whoever_loads_the_run_gets_the_chosen_step(judged, unevaluated, tmp_path):
    workdir, other = judged(), tmp_path / "other"
    assert (
        about_source(workdir)["step"]
        == results(workdir)["validation"]["chosen"]["step"]
    )
    other.mkdir()
    for name, steps in (("first", (1.0, 0.0)), ("second", (0.0, 1.0))):
        folder = other / name
        history = [{"step": n, METRIC: x} for n, x in zip((2, 4), steps, strict=True)]
        meta = {"data_fingerprint": "", "validation": history}
        for step in (2, 4):
            checkpoint.save(folder / "checkpoints", step, {"a": np.ones(1)}, meta=meta)
        config = json.loads((workdir / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config))
    assert about_source(other / "first")["step"] == 2
    assert about_source(other / "second")["step"] == 4


@pytest.mark.slow
def test_validation_changes_no_parameter(judged, unevaluated, tmp_path, cells):
    plain, watched = tmp_path / "plain", tmp_path / "watched"
    assert main(command(plain, cells, *CUT)) == 0
    assert main(command(watched, cells, *JUDGED)) == 0
    assert results(plain)["params_sha256"] == results(watched)["params_sha256"]
    assert results(watched)["validation"]["chosen"] is None
    assert validation_lines(watched) == validation_lines(judged())
    assert not validation_lines(plain)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    ("step", "before"),
    [
        pytest.param(4, True, marks=pytest.mark.slow),
        *(pytest.param(step, False, marks=pytest.mark.slow) for step in (0, 2)),
    ],
)
def test_a_killed_run_validates_and_chooses_as_one_that_was_not(
    step, before, judged, unevaluated, tmp_path, cells, monkeypatch
):
    """Killed at a step, before or after its checkpoint was written."""
    workdir = tmp_path / "run"
    save, validate = checkpoint.save, bmjax.run.validation.Validation.validate

    def save_and_end(folder, at, *arguments, **more):
        if at == step and before:
            raise Killed
        save(folder, at, *arguments, **more)
        if at == step:
            raise Killed

    def validate_and_end(self, at, state):
        validate(self, at, state)
        raise Killed

    with monkeypatch.context() as patched:
        if step:
            patched.setattr(checkpoint, "save", save_and_end)
        else:
            patched.setattr(
                bmjax.run.validation.Validation, "validate", validate_and_end
            )
        with pytest.raises(Killed):
            main(command(workdir, cells, *BEST))
    assert main(command(workdir, cells, *BEST)) == 0
    assert validation_lines(workdir) == validation_lines(judged())
    expected, found = results(judged()), results(workdir)
    assert found["validation"] == expected["validation"]
    assert found["params_sha256"] == expected["params_sha256"]


@pytest.mark.slow
def test_a_chosen_checkpoint_that_is_gone_is_never_replaced_in_silence(
    judged, unevaluated, tmp_path, cells, capsys
):
    workdir = tmp_path / "run"
    shutil.copytree(judged(), workdir)
    history = checkpoint.newest(workdir / "checkpoints")[1]["validation"]
    metrics = [name for name in history[0] if name != "step"]
    best = {
        name: max(history[1:], key=lambda record, name=name: record[name])["step"]
        for name in metrics
    }
    # A metric whose best step is not the last one; of another run if there is none.
    metric = next((name for name, step in best.items() if step != 5), None)
    assert metric, best
    shutil.rmtree(workdir / "checkpoints" / str(best[metric]), ignore_errors=True)
    asked = command(workdir, cells, *JUDGED, f"--config.checkpoint.best={metric}")
    capsys.readouterr()
    assert main(asked) == 5
    said = capsys.readouterr().err
    assert f"checkpoint {best[metric]} in" in said
    assert "--config.checkpoint.best=''" in said
    assert said.count("\n") == 1
    assert main(command(workdir, cells, *JUDGED)) == 0
    assert results(workdir)["validation"]["chosen"] is None


@pytest.mark.slow
def test_every_so_many_checkpoints_are_kept(unevaluated, tmp_path, cells):
    workdir = tmp_path / "run"
    more = (*CUT, "--config.checkpoint.every=4 steps", KEEP)
    assert main(command(workdir, cells, *more)) == 0
    kept = sorted(int(p.stem) for p in (workdir / "checkpoints").glob("*.json"))
    assert kept == [2, 4, 5]
    (workdir / "checkpoints" / "5.json").unlink()
    assert main(command(workdir, cells, *more)) == 0
    kept = sorted(int(p.stem) for p in (workdir / "checkpoints").glob("*.json"))
    assert kept == [2, 4, 5]


@pytest.mark.slow
def test_a_validation_image_that_cannot_be_read_is_named_before_the_first_step(
    tmp_path, cells, capsys
):
    copy = tmp_path / "cells"
    shutil.copytree(cells, copy)
    catalog = read_catalog(copy)
    whole = make_split(catalog, name="kfold", fold=0, seed=42)
    _, held = hold_out_validation(catalog, whole, share=0.2, name="kfold", seed=42)
    broken = copy / catalog.paths[held[3]]
    broken.write_bytes(b"no image")
    assert main(command(tmp_path / "run", copy, *JUDGED)) == 3
    said = capsys.readouterr()
    assert broken.name in said.err
    assert "supervised 1/5" not in said.out


@pytest.mark.slow
def test_weights_that_saw_validation_images_are_named(tmp_path, cells, capsys):
    before, workdir = tmp_path / "before", tmp_path / "run"
    assert main(command(before, cells)) == 0
    capsys.readouterr()
    more = (*JUDGED, f"--config.init_from={before}")
    assert main(command(workdir, cells, *more)) == 0
    assert "trained on 24 of the 24 validation images" in capsys.readouterr().out
    assert results(workdir)["validation"]["seen_before"] == 24
    assert "had been trained on 24 of" in (workdir / "report.html").read_text()


@pytest.mark.slow
def test_a_probe_takes_its_temperature_from_the_validation_part(tmp_path, cells):
    workdir = tmp_path / "run"
    assert main(command(workdir, cells, *CUT, config="swav")) == 0
    found = results(workdir)
    assert found["predictor"] == "linear"
    assert found["calibration"]["temperature"]["validation_images"] == 24
    assert not any("had not seen" in note for note in found["notes"])
    assert {"linear", "logistic", "knn_1", "knn_20"} == found["validation"][
        "predictors"
    ].keys()


KEEP = "--config.checkpoint.keep_every=2 steps"
