"""Work goes on when nobody reads its output any more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WORK = (
    "import sys\n"
    "from bmjax.console.best_effort import best_effort_output\n"
    "from bmjax.console.command import leave, run_command\n"
    "def work():\n"
    "    for line in range(20_000):\n"
    "        print(line)\n"
    "    open(sys.argv[1], 'w').write('done')\n"
    "with best_effort_output():\n"
    "    code = run_command(work)\n"
    "leave(code)\n"
)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("| head -n 1", "standard output cannot be written (Broken pipe)"),
        ("2>&1 | head -n 1", ""),
        ("> /dev/full", "standard output cannot be written (No space left"),
        ("> /dev/full 2> /dev/full", ""),
        (">&-", ""),
        (">&- 2>&-", ""),
    ],
)
def test_work_is_done_with_its_own_exit_code_whatever_becomes_of_the_output(
    end, said, tmp_path
):
    program, result, code = (tmp_path / name for name in ("work.py", "result", "code"))
    program.write_text(WORK)
    command = f"({sys.executable} {program} {result}; echo $? >{code}) {end}"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert result.read_text() == "done"
    assert code.read_text() == "0\n"
    assert "Traceback" not in done.stderr
    assert done.stderr.count("the run goes on without it") == bool(said)
    assert said in done.stderr


def test_the_streams_are_given_back(capsys):
    from bmjax.console.best_effort import best_effort_output

    before = sys.stdout, sys.stderr
    with best_effort_output():
        assert sys.stdout is not before[0]
        print("inside")
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "inside\n"
