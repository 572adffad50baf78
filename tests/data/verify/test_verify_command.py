"""The command: summary, report to keep, exit code; names do no harm in either."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bmjax.data import __main__ as command
from bmjax.data.images.folder import read_folder
from bmjax.data.verify import FINDING_KINDS, Weight, summarize_report, to_json, verify
from tests.helpers import drawn_files as drawn


@pytest.fixture
def cells(tmp_path):
    root = tmp_path / "cells"
    for seed, name in enumerate(("one", "two")):
        (root / name).mkdir(parents=True)
        (root / name / "x.jpg").write_bytes(drawn.jpeg(drawn.cell(seed)))
    return root


def run(*arguments):
    return command.main(["verify", *map(str, arguments)])


def test_a_clean_folder_says_so_and_exits_0(cells, capsys):
    assert run(cells) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "clean: 2 files"
    assert err == ""  # no bar where there is no terminal


def test_problems_are_counted_in_the_last_line_and_exit_3(cells, capsys):
    (cells / "one" / "y.jpg").write_bytes(b"")
    (cells / "notes.txt").write_text("a note is no problem")
    assert run(cells) == 3
    assert capsys.readouterr().out.splitlines()[-1] == "1 problem in 4 files"


def test_problems_come_worst_first(cells, capsys):
    data = drawn.jpeg(drawn.cell(5))
    (cells / "one" / "long.jpg").write_bytes(data + b"tail")
    for name in "abcd":
        (cells / "one" / f"{name}.jpg").write_bytes(b"")
    (cells / "one" / "cut.jpg").write_bytes(data[:-2])
    run(cells)
    lines = capsys.readouterr().out.splitlines()
    order = [line.split()[0] for line in lines if line[:2] == "  " and line[2] != " "]
    assert order == ["empty", "truncated", "trailing_bytes"]
    assert "      ... and 1 more" in lines


def test_the_report_to_keep_agrees_with_the_summary(cells, tmp_path, capsys):
    (cells / "one" / "y.jpg").write_bytes(b"")
    (cells / "two" / "z.jpg").write_bytes((cells / "two" / "x.jpg").read_bytes())
    assert run(cells, "--json", tmp_path / "report.json") == 3
    kept = json.loads((tmp_path / "report.json").read_text())
    assert kept["problems"] == 3
    assert not kept["clean"]
    assert kept["fingerprint"] == read_folder(cells).fingerprint
    assert kept["classes"]["one"] == {"images": 2, "expected": None, "difference": None}
    assert kept["total"]["images"] == kept["images"] == 4
    assert set(kept["kinds"]) == set(FINDING_KINDS)
    assert kept["kinds"]["empty"]["items"] == [{"path": "one/y.jpg", "detail": ""}]
    assert kept["kinds"]["same_bytes"]["items"] == [
        {
            "path": "two/x.jpg",
            "detail": "and two/z.jpg",
            "files": 2,
            "paths": ["two/x.jpg", "two/z.jpg"],
        }
    ]
    assert str(tmp_path) not in (tmp_path / "report.json").read_text()


def test_a_report_is_the_same_when_made_again(cells):
    assert to_json(verify(cells)) == to_json(verify(cells))


def test_the_report_is_never_written_into_the_folder(cells, capsys):
    assert run(cells, "--json", cells / "report.json") == 2
    assert "nothing is written there" in capsys.readouterr().err
    assert sorted(path.name for path in cells.iterdir()) == ["one", "two"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "nowhere/report.json"], "cannot be written"),
        (["--workers", "0"], "take 1 or more"),
        (["--accept", "empti"], "did you mean 'empty'"),
    ],
)
def test_arguments_that_cannot_be_right_exit_2_at_once(cells, capsys, arguments, said):
    assert run(cells, *arguments) == 2
    assert said in capsys.readouterr().err


def test_a_missing_folder_exits_3(tmp_path, capsys):
    assert run(tmp_path / "nowhere") == 3
    assert capsys.readouterr().err.startswith("bmjax: root = ")


def test_help_names_every_kind_with_its_weight(capsys):
    with pytest.raises(SystemExit) as stop:
        run("--help")
    assert stop.value.code == 0
    told = capsys.readouterr().out
    titles = {
        Weight.PROBLEM: "problems, everywhere:",
        Weight.SUSPICION: "suspicions, which count as problems:",
        Weight.FOREIGN: "problems in the release, notes in your own data",
        Weight.NOTE: "\nnotes:",
    }
    starts = sorted(told.index(title) for title in titles.values())
    for weight, title in titles.items():
        start = told.index(title)
        end = min((other for other in starts if other > start), default=len(told))
        wanted = {name for name, kind in FINDING_KINDS.items() if kind.weight is weight}
        assert wanted <= set(told[start:end].split())


HOSTILE = (
    "new\nline\r",
    "<script>alert(1)<",
    "\"quoted\" ''`$(id)`",
    "\x1b[31mred\x07",
    "back\u202eward",
    os.fsdecode(b"byte \xff"),
    "back\\slash",
)


def test_hostile_names_are_shown_as_escapes_and_nothing_else(cells, tmp_path):
    for name in HOSTILE:
        (cells / "one" / f"{name}.jpg").write_bytes(b"")
    text, kept = summarize_report(verify(cells)), to_json(verify(cells))
    for shown in (text, kept):
        assert all(character.isprintable() or character == "\n" for character in shown)
        shown.encode("utf-8")  # no byte that is none
    assert not set(kept) & set("<>&")
    listed = {item["path"] for item in json.loads(kept)["kinds"]["empty"]["items"]}
    assert listed == {
        "one/new\\nline\\r.jpg",
        "one/<script>alert(1)<.jpg",
        "one/\"quoted\" ''`$(id)`.jpg",
        "one/\\x1b[31mred\\x07.jpg",
        "one/back\\u202eward.jpg",
        "one/byte \\xff.jpg",
        "one/back\\\\slash.jpg",
    }


def test_a_terminal_without_unicode_is_no_obstacle(cells):
    (cells / "one" / "größe.jpg").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "bmjax.data", "verify", str(cells)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert "gr\\xf6\\xdfe.jpg" in done.stdout
    assert done.stderr == ""


def test_the_decoders_complaints_do_not_reach_the_terminal(cells, capfd):
    data = drawn.jpeg(drawn.cell(5))
    (cells / "one" / "y.jpg").write_bytes(
        data[:-2] + b"more than there should be\xff\xd9"
    )
    assert run(cells) == 3
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="children are seen in /proc")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_stopped_it_says_so_and_leaves_nobody_behind(cells, tmp_path, sent, code):
    for number in range(6000):
        os.link(cells / "one" / "x.jpg", cells / "one" / f"{number}.jpg")
    kept = tmp_path / "report.json"
    command = [sys.executable, "-m", "bmjax.data", "verify", str(cells)]
    process = subprocess.Popen(
        [*command, "--workers=2", f"--json={kept}"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not children.read_text():
        time.sleep(0.05)
    process.send_signal(sent)
    # Standard error ends when the last process that holds it has gone.
    said = process.communicate(timeout=60)[1]
    assert said == "bmjax: stopped; no report was written\n"
    assert process.returncode == code
    assert not kept.exists()


def test_a_report_that_cannot_be_written_loses_no_summary(cells, tmp_path, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bmjax.data.verify.verify_command.write_whole", full)
        assert run(cells, "--json", tmp_path / "report.json") == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "clean: 2 files"
    assert "No space left on device" in err
