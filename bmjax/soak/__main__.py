"""Does a run that is disturbed again and again end as one that was not?

    python -m bmjax.soak [--runs=K] [--seed=S] [--minutes=M] [--config=NAME]

trains a small run on synthetic cells undisturbed, and then K runs that are killed,
asked to stop, left without disk space and robbed of parts of their newest checkpoint,
at times and in an order that the seed draws. After each of these the same command is
started again. Every run has to end with the undisturbed digest and results. Every fifth
run has another number of devices and of processes at each start: its parameters have to
agree within 1e-5.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bmjax.console.command import leave, run_command
from bmjax.console.notes import print_lines
from bmjax.console.text_table import markdown
from bmjax.errors import DEFECT, DONE, ConfigError
from bmjax.soak.trial import Done, TrialFailed, Undisturbed, run_trial, start_run

_STEPS, _EVERY = 40, 2  # of each run, and from save to save; ours: some seconds
_CELLS = 230  # images; two in the rarest class
_EACH_FIFTH = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 1 where a run ended otherwise."""
    options = _parser().parse_args(arguments)
    return run_command(lambda: _soak(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.soak",
        description=__doc__.partition("\n\n")[0],
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--runs", type=int, default=5, metavar="K", help="to disturb (default: 5)")
    add("--seed", type=int, default=0, metavar="S", help="of the first (default: 0)")
    add(
        "--minutes",
        type=float,
        default=0.0,
        metavar="M",
        help="after which no other run is begun (default: there is no limit)",
    )
    add(
        "--config",
        default="supervised:smoke",
        metavar="NAME",
        help="of the runs (default: %(default)s)",
    )
    return parser


def _soak(options: argparse.Namespace) -> int:
    if options.runs < 1:
        raise ConfigError(f"--runs={options.runs} disturbs nothing; give 1 or more")
    begun = time.monotonic()
    done: list[Done] = []
    scratch = Path(tempfile.mkdtemp(prefix="bmjax-soak-"))
    try:
        like = _undisturbed(options.config, scratch)
        for number in range(options.runs):
            minutes = (time.monotonic() - begun) / 60
            if number and options.minutes and minutes > options.minutes:
                print_lines(f"{number} runs in {minutes:.0f} minutes")
                break
            done += _one(like, scratch, options.seed + number, options.config)
    except TrialFailed as error:
        print_lines(f"bmjax: {error}; what there is of it lies in {str(scratch)!r}")
        return DEFECT
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch)
    print_lines("", *_table(done))
    return DONE


def _undisturbed(config: str, scratch: Path) -> Undisturbed:
    """Draw the cells, and run once without measuring, to compile, and once with."""
    from bmjax.data.synthetic import synthesize

    command = [
        f"--config={config}",
        f"--config.data.root={synthesize(scratch / 'cells', images=_CELLS, seed=0)}",
        f"--config.train.duration={_STEPS} steps",
        f"--config.checkpoint.every={_EVERY} steps",
        "--config.mesh.devices=1",
    ]
    seconds = 0.0
    for name in ("compiled", "undisturbed"):
        started = time.monotonic()
        code = start_run(command, scratch / name).first.wait()
        seconds = time.monotonic() - started
        if code != DONE:
            said = (scratch / f"{name}.log").read_text().splitlines()
            raise ConfigError(
                f"--config={config} ends with exit code {code} undisturbed "
                f"({said[-1] if said else 'without a word'}); give another one"
            )
    saves = list(range(_EVERY, _STEPS + 1, _EVERY))
    print_lines(f"undisturbed: {seconds:.1f} s, {len(saves)} saves")
    return Undisturbed(command, saves, scratch / "undisturbed", seconds)


def _one(like: Undisturbed, scratch: Path, seed: int, config: str) -> list[Done]:
    """Disturb one run; say what was done, and on a failure how to repeat it."""
    workdir = scratch / f"run-{seed}"
    done: list[Done] = []
    any_devices = seed % _EACH_FIFTH == _EACH_FIFTH - 1
    try:
        run_trial(like, workdir, random.Random(seed), done, any_devices=any_devices)
    except TrialFailed as error:
        raise TrialFailed(
            f"{error}, in the run of seed {seed} ({_in_words(done)}); to repeat it: "
            f"python -m bmjax.soak --runs=1 --seed={seed} --config={config}"
        ) from None
    print_lines(f"seed {seed}: {_in_words(done)}: ended as it should")
    shutil.rmtree(workdir)
    return done


def _in_words(done: Sequence[Done]) -> str:
    return "; ".join(each.words for each in done) or "nothing yet"


def _table(done: Sequence[Done]) -> list[str]:
    """How often each disturbance was drawn, and came before the run's end."""
    drawn = Counter(each.name for each in done)
    struck = Counter(each.name for each in done if each.struck)
    rows = [[name, str(drawn[name]), str(struck[name])] for name in sorted(drawn)]
    total = ["all", str(drawn.total()), str(struck.total())]
    return markdown([["disturbance", "drawn", "in time"], *rows, total])


if __name__ == "__main__":
    leave(main())
