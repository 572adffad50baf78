"""From a command line to a table: plans, errors, what is read of finished runs."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from bmjax.data.matek import CLASSES
from bmjax.files import write_csv, write_json
from bmjax.run.command_line import read_flags
from experiments.tables import runs
from experiments.tables.command import main
from experiments.tables.plans import Plan, jobs, numbers

NAMES = [cell.abbreviation for cell in CLASSES]
OWN = [*NAMES[1:5], "ZZZ"]  # another lab's: five classes, one of its own


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def command(capsys, data, tmp_path):
    def command(table, *arguments, workdir=tmp_path / "work"):
        more = [f"--data={data}", f"--workdir={workdir}", "--scale=small", *arguments]
        code = main(table, "about", more)
        return code, capsys.readouterr()

    return command


def plan(table, data, workdir, **changes):
    given = {
        "folds": (),
        "seeds": (0,),
        "kind": "as_written",
        "pretrain_on": "train",
        "exclude": (),
        "more": (),
        "scale": "small",
    }
    return Plan(table=table, data=data, workdir=workdir, **{**given, **changes})


def finish(job, *, classes=OWN, seed=0, lacking=(), **changes):
    """Make the files of a finished run, with predictions drawn by chance."""
    from bmjax.evals.classification import classification_metrics

    config, workdir = read_flags(job.arguments)
    workdir.mkdir(parents=True)
    there = [n for n, name in enumerate(classes) if name not in lacking]
    labels = np.random.default_rng(7).choice(there, 60)  # of all runs
    random = np.random.default_rng(seed)
    right = random.random(60) < 0.7
    predicted = np.where(right, labels, random.integers(0, len(classes), 60))
    rows = [
        (f"{classes[t]}/{n}.jpg", classes[t], classes[p], *np.eye(len(classes))[p])
        for n, (t, p) in enumerate(zip(labels, predicted, strict=True))
    ]
    header = ("path", "label", "predicted", *(f"p_{name}" for name in classes))
    write_csv(workdir / "predictions.csv", header, rows)
    found = classification_metrics(labels, predicted, classes)
    described = {
        "n_test": 60,
        "n_train": 240,
        "network": "resnet_tiny",
        "pretrained_on": config.data.pretrain_on,
        "data_fingerprint": "1" * 64,
    }
    write_json(workdir / "results.json", {**described, **found, **changes})
    write_json(workdir / "config.json", config.to_dict())
    (workdir / "metrics.jsonl").write_text("")
    (workdir / "report.html").write_text("")
    return found


def finish_all(table, data, workdir, **changes):
    asked = plan(table, data, workdir, **changes)
    runs.claim_for_plan(asked)
    return [finish(job, seed=n) for n, job in enumerate(jobs(asked))]


@pytest.mark.parametrize("table", ["table2", "table3", "table4"])
def test_published_is_text_or_json_and_runs_nothing(table, capsys):
    assert main(table, "about", ["--published"]) == 0
    said = capsys.readouterr().out
    for words in ("as published", "What decides the rankings", "Matek et al."):
        assert words in said
    assert main(table, "about", ["--published", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    for system in document["systems"].values():
        for key in ("macro_f1", "macro_f1_without_ABE", "macro_f1_without_rare"):
            assert 0 < system[key] < 1
        assert {"accuracy", "weighted_f1", "intervals", "per_class"} <= set(system)
    assert {"leader", "second", "images", "classes"} <= set(document["decided_by"][0])


def test_a_plan_names_each_run_and_runs_none(command, tmp_path):
    code, said = command("table3", "--plan", "--folds=0,2", "--devices=4")
    assert code == 0
    lines = said.out.splitlines()
    assert len(lines) == 4
    assert all(
        line.startswith("new   python -m bmjax.main --config=") for line in lines
    )
    assert all("--config.mesh.devices=4" in line for line in lines)
    assert not (tmp_path / "work").exists()


def test_the_two_kinds_of_pretraining_never_share_a_folder(data, tmp_path):
    kinds = {
        pretrain_on: jobs(plan("table4", data, tmp_path, pretrain_on=pretrain_on))
        for pretrain_on in ("train", "all")
    }
    swav = {key: found[0] for key, found in kinds.items()}
    assert "pretrained_on_train" in swav["train"].workdir.name
    assert "pretrained_on_all" in swav["all"].workdir.name
    assert "--config.data.pretrain_on=all" in swav["all"].arguments
    # SupCon learns from labels, so that there is one kind of it.
    assert kinds["train"][1] == kinds["all"][1]


def test_configurations_are_the_papers(data, tmp_path):
    def configs(table, **changes):
        asked = plan(table, data, tmp_path, scale="paper", **changes)
        return [read_flags(job.arguments)[0] for job in jobs(asked)]

    (table2,) = configs("table2")
    assert table2.train.duration == "20 epochs"
    assert table2.data.split == "holdout"
    table3 = configs("table3", folds=(0, 1, 2, 3, 4))
    assert len(table3) == 10
    assert {c.train.duration for c in table3} == {"100 epochs"}
    assert sorted(c.data.fold for c in table3) == sorted([0, 1, 2, 3, 4] * 2)
    as_run = configs("table3", folds=(0,), kind="as_run")
    assert {c.data.batch_size for c in as_run} == {64}
    table4 = configs("table4")
    assert [c.method.name for c in table4] == ["swav", "supcon"]
    assert {c.train.duration for c in table4} == {"200 epochs"}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--folds=5"], 2, "names fold 5, and there are 0 to 4"),
        (["--folds=a"], 2, "is no list of numbers"),
        (["--folds=0,0"], 2, "names 0 twice"),
        (["--data=/nowhere"], 3, "'/nowhere' is no folder"),
        (["--kind=as_run"], 2, "use --kind=as_written"),
        (["--no-run"], 3, "is not finished"),
        (["--config.data.sise=3"], 2, "did you mean config.data.size?"),
        (["--demo"], 2, "--demo is --scale=demo, not small"),
    ],
)
def test_a_mistake_is_one_sentence(command, arguments, code, sentence):
    found, said = command("table3", *arguments)
    assert found == code
    assert said.err.startswith("bmjax: ")
    assert said.err.count("\n") == 1
    assert sentence in said.err


def test_data_and_workdir_are_asked_for(capsys, tmp_path):
    assert main("table4", "about", [f"--workdir={tmp_path}"]) == 2
    assert "--data is missing" in capsys.readouterr().err
    assert main("table4", "about", ["--data=x"]) == 2
    assert "--workdir is missing" in capsys.readouterr().err


def test_a_workdir_of_something_else_is_refused(command, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "thesis.tex").write_text("mine")
    code, said = command("table4", "--no-run")
    assert (code, "holds other files" in said.err) == (2, True)
    (work / "thesis.tex").unlink()
    write_json(work / "experiment.json", {"scale": "paper", "exclude": []})
    code, said = command("table4", "--no-run")
    assert (code, "scale was 'paper', is 'small'" in said.err) == (2, True)


def test_another_labs_classes_are_listed_beside_the_papers(command, data, tmp_path):
    (found, _) = finish_all("table4", data, tmp_path / "work")
    code, said = command("table4", "--no-run")
    assert code == 0
    rows = {line.split("  ")[0]: line for line in said.out.splitlines()}
    assert "not in data" in rows["Plasma cells"]
    assert "ZZZ" in rows
    page = (tmp_path / "work" / "table4-pretrained_on_train.md").read_text()
    assert "SwAV was pretrained on the training part alone." in page
    whole = json.loads(
        (tmp_path / "work" / "table4-pretrained_on_train.json").read_text()
    )
    swav = whole["systems"]["swav"]
    for key in ("macro_f1", "accuracy", "weighted_f1"):
        assert swav[key] == pytest.approx(found[key], abs=1e-12)
    assert whole["published"]["systems"]["swav"]["macro_f1"] == pytest.approx(
        0.7316, abs=5e-5
    )
    assert set(whole["paired"][0]["metrics"]) >= {"accuracy", "macro_f1"}
    assert "McNemar" in page
    latex = (tmp_path / "work" / "table4-pretrained_on_train.tex").read_text()
    assert latex.count(r"\begin{table}") == 5


def test_figure_2_is_the_map_of_the_run(command, data, tmp_path):
    asked = plan("figure2", data, tmp_path / "work")
    runs.claim_for_plan(asked)
    (job,) = jobs(asked)
    finish(job)
    code, said = command("figure2", "--no-run")
    assert (code, "has no embedding.csv" in said.err) == (3, True)
    rows = [("BAS/1.jpg", "BAS", 0.5, 1.0), ("ZZZ/2.jpg", "ZZZ", -2.0, 3.0)]
    write_csv(job.workdir / "embedding.csv", ("path", "label", "x", "y"), rows)
    code, said = command("figure2", "--no-run", "--json")
    assert code == 0
    (drawn,) = json.loads(said.out)["drawn"]
    assert "2 of 60 test images" in drawn["caption"]
    text = Path(drawn["files"][0]).read_text()
    assert "Basophils" in text
    assert "ZZZ" in text


def test_five_folds_give_mean_and_sample_deviation(command, data, tmp_path):
    found = finish_all("table3", data, tmp_path / "work", folds=(0, 1, 2, 3, 4))
    code, said = command("table3", "--no-run", "--json")
    assert code == 0
    document = json.loads(said.out)
    (difference,) = (e for e in document["paired"] if e["average"] == "macro_f1")
    one, other = ([run["macro_f1"] for run in found[n::2]] for n in (0, 1))
    assert difference["difference"] == pytest.approx(np.mean(one) - np.mean(other))
    assert "Over the 5 folds" in difference["sentences"][0]
    for number, key in enumerate(("resnext50", "resnext50_mixup")):
        system = document["systems"][key]
        values = [run["macro_f1"] for run in found[number::2]]
        assert system["macro_f1"] == pytest.approx(np.mean(values))
        assert system["sd"]["macro_f1"] == pytest.approx(np.std(values, ddof=1))
        assert sum(entry["support"] for entry in system["per_class"]) == 300
        recalls = [run["per_class"][0]["recall"] for run in found[number::2]]
        entry = system["per_class"][0]
        assert entry["recall"] == pytest.approx(np.mean(recalls))
        assert entry["recall_sd"] == pytest.approx(np.std(recalls, ddof=1))


def test_seeds_are_averaged_within_a_fold_before_folds_are(command, data, tmp_path):
    changes = {"folds": (0, 1), "seeds": (0, 1, 2)}
    found = finish_all("table4", data, tmp_path / "work", **changes)
    code, said = command("table4", "--no-run", "--json", "--folds=0,1", "--seeds=0-2")
    assert code == 0
    swav = json.loads(said.out)["systems"]["swav"]
    values = np.array([run["macro_f1"] for run in found[::2]]).reshape(3, 2)
    assert swav["macro_f1"] == pytest.approx(values.mean())
    assert swav["sd"]["macro_f1"] == pytest.approx(values.mean(axis=0).std(ddof=1))


def test_a_class_absent_from_the_test_part_is_shown_as_absent(command, data, tmp_path):
    asked = plan("table4", data, tmp_path / "work")
    runs.claim_for_plan(asked)
    for job in jobs(asked):
        finish(job, lacking=("BLA",))
    code, said = command("table4", "--no-run")
    assert code == 0
    rows = [line for line in said.out.splitlines() if line.startswith("Blasts")]
    assert rows
    assert all("absent" in row for row in rows)
    (work,) = (tmp_path / "work").glob("*.csv")
    lines = list(csv.DictReader(work.open()))
    blasts = [r for r in lines if (r["kind"], r["class"]) == ("measured", "BLA")]
    assert {row["value"] for row in blasts} == {""}


def spoil(name):
    """One way each in which a finished run can be no use."""

    def edit(change):
        def spoiled(workdir):
            path = workdir / "results.json"
            results = json.loads(path.read_text())
            change(results)
            path.write_text(json.dumps(results))

        return spoiled

    def predictions(change):
        def spoiled(workdir):
            path = workdir / "predictions.csv"
            path.write_text(change(path.read_text()))

        return spoiled

    return {
        "accuracy": edit(lambda r: r.update(accuracy=1.0)),
        "no network": edit(lambda r: r.pop("network")),
        "count": edit(lambda r: r.update(n_test=61)),
        "images": edit(lambda r: r.update(data_fingerprint="2" * 64)),
        "kind": edit(lambda r: r.update(pretrained_on="all")),
        "twice": predictions(lambda text: text + text.splitlines()[-1] + "\n"),
        "unknown": predictions(lambda text: text.replace(",p_ZZZ", ",p_YYY")),
        "report": lambda workdir: (workdir / "report.html").unlink(),
    }[name]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("accuracy", "gives the accuracy as 1.000, but predictions.csv makes it"),
        ("no network", "cannot be used (it lacks network)"),
        ("count", "counts 61 test images, but predictions.csv holds 60"),
        ("images", "was run on other images"),
        ("kind", "was pretrained on 'all'"),
        ("twice", "is on line 61 already"),
        ("unknown", "p_ZZZ"),
        ("report", "is not finished"),
    ],
)
def test_a_run_that_is_no_use_is_named_and_no_table_is_written(
    command, data, tmp_path, fault, sentence
):
    finish_all("table4", data, tmp_path / "work")
    (swav,) = (tmp_path / "work").glob("swav*")
    spoil(fault)(swav)
    code, said = command("table4", "--no-run")
    assert code == 3
    assert said.err.count("\n") == 1
    assert sentence in said.err
    assert not list((tmp_path / "work").glob("table4*"))


def test_numbers_are_read_as_lists_and_ranges():
    assert numbers("0,2-4", "--folds", below=5) == (0, 2, 3, 4)


CHILD = """
import pathlib, signal, sys, time
got = []
signal.signal(signal.SIGTERM, lambda *_: got.append(1))
pathlib.Path(sys.argv[1]).touch()
while not got:
    time.sleep(0.01)
time.sleep(0.2)
sys.exit(70 + len(got))
"""


def test_a_signal_reaches_the_run_once_and_its_exit_code_comes_back(
    tmp_path, monkeypatch
):
    (tmp_path / "waits.py").write_text(CHILD)
    (tmp_path / "fails.py").write_text("raise SystemExit(9)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ready = tmp_path / "ready"

    def stop():
        while not ready.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with runs._Child(None) as child:
        threading.Thread(target=stop).start()
        assert child.run(["waits", str(ready)]) == 71
        # What would come next is not begun.
        assert child.run(["fails"]) == 75
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_that_fails_ends_the_command_with_its_code(command, tmp_path):
    # The data folder is empty: the first run says so, and the others are not begun.
    code, _ = command("table4")
    assert code == 3
    made = [path.name for path in (tmp_path / "work").iterdir()]
    assert not [name for name in made if name.startswith("supcon")]


@pytest.mark.slow
def test_a_demo_runs_what_is_missing_and_then_only_shows_it(tmp_path):
    more = ["--config.train.duration=1 epoch", "--config.probe.epochs=2"]
    start = [sys.executable, "-m", "experiments.table2", "--demo"]
    start += [f"--workdir={tmp_path / 'work'}", *more]
    root = Path(__file__).parents[2]
    first, again = (
        subprocess.run(start, cwd=root, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert "nothing about cells" in first.stdout
    assert "done before" in again.stdout
    assert first.stdout.split("Table 2")[-1] == again.stdout.split("Table 2")[-1]
