"""Part by part, each in a process of its own; what is done is not done again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmjax.benchmark.accelerator import __main__ as command
from bmjax.benchmark.accelerator import launch
from bmjax.benchmark.accelerator.launch import read_record, run_part
from bmjax.benchmark.accelerator.plan import Part, all_parts, choose
from bmjax.errors import ConfigError
from bmjax.files import write_json

ROOT = Path(__file__).parents[3]


@pytest.fixture
def ran(monkeypatch):
    """Names of the parts that were run, in the place of running them."""
    names = []

    def stub(part, folder, *, scale, more, seconds):
        names.append(part.name)
        record = {
            "options": part.options,
            "scale": scale,
            "time": "",
            "platform": "cpu",
            "device_kind": "cpu",
            "devices": 1,
            "seconds": 1.0,
            "figures": {"platform": "cpu", "device_kind": "cpu", "devices": 1},
        }
        if part.name == "resume":
            record = {"failed": "it broke"}
        write_json(folder / "parts" / f"{part.name}.json", record)
        return record

    monkeypatch.setattr(command, "run_part", stub)
    monkeypatch.setattr(command.signal, "signal", lambda *a: None)
    return names


def test_the_same_command_runs_only_what_has_no_figures(ran, tmp_path):
    arguments = [f"--out={tmp_path}", "--parts=predictions,resume"]
    assert command.main(arguments) == 0
    assert sorted(ran) == ["machine", "predictions", "resume"]
    del ran[:]
    assert command.main(arguments) == 0
    assert ran == ["machine", "resume"]
    kept = json.loads((tmp_path / "accelerator.json").read_text())
    assert kept["parts"].keys() == {"predictions", "resume"}
    assert "| resume | failed: it broke |" in (tmp_path / "accelerator.md").read_text()


def test_a_folder_belongs_to_one_kind_of_device_and_scale(ran, tmp_path, capsys):
    arguments = [f"--out={tmp_path}", "--parts=resume"]
    command.main(arguments)
    machine = (tmp_path / "parts" / "machine.json").read_text()
    assert command.main([*arguments, "--scale=paper"]) == 2
    said = capsys.readouterr().err
    assert "holds figures of scale 'small', this is 'paper'; give another" in said
    assert (tmp_path / "parts" / "machine.json").read_text() == machine


def test_nothing_is_begun_when_the_time_is_used_up(ran, tmp_path):
    assert command.main([f"--out={tmp_path}", "--minutes=0.01"]) == 0
    assert ran == ["machine"]


def test_parts_are_chosen_by_patterns_and_keep_their_order():
    chosen = choose(all_parts(), "step-swav-*,golden-losses")
    assert [part.name for part in chosen][:2] == ["golden-losses", "step-swav-bfloat16"]
    with pytest.raises(ConfigError, match=r"--parts='gold' names no part"):
        choose(all_parts(), "gold,step-*")


def test_names_of_parts_are_unique():
    names = [part.name for part in all_parts()]
    assert len(set(names)) == len(names)


def test_what_becomes_of_a_crash_and_of_a_part_without_end(tmp_path):
    run = {"scale": "small", "more": {}}
    record = run_part(Part("broken", "unknown"), tmp_path, seconds=60.0, **run)
    assert record["failed"] == "KeyError: 'unknown' (exit code 1)"
    assert read_record(tmp_path, "broken") == record
    record = run_part(Part("slow", "machine"), tmp_path, seconds=0.01, **run)
    assert record["failed"] == "it was ended after 0 s"


def test_last_words_are_the_errors_and_not_jaxs_note_about_its_frames(tmp_path):
    note = "For simplicity, JAX has removed its internal frames from the traceback"
    log = tmp_path / "part.log"
    log.write_text(f"Traceback\nTypeError: it broke\n{'-' * 20}\n{note} of it.\n\n")
    assert launch._last_words(log, 1) == "TypeError: it broke (exit code 1)"


@pytest.mark.slow
def test_a_small_first_hour_from_end_to_end(tmp_path):
    parts = "collectives,step-linear-bfloat16"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bmjax.benchmark.accelerator",
            f"--out={tmp_path}",
            f"--parts={parts}",
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "accelerator.json").read_text())["parts"]
    assert {name for name, each in kept.items() if "figures" in each} == set(
        parts.split(",")
    )
    step = kept["step-linear-bfloat16"]["figures"]
    assert step["dtype"] == "bfloat16"
    assert step["images_per_second"] > 0
    assert step["cached_from_cache"]
    page = (tmp_path / "accelerator.md").read_text()
    assert "## All-reduces" in page
    assert "| golden-losses | not run |" in page
