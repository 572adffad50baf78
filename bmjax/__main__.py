"""bmjax COMMAND ...: every command of bmjax; also python -m bmjax COMMAND."""

import difflib
import importlib
import sys
from collections.abc import Sequence

import bmjax
from bmjax.console.command import leave, run_command
from bmjax.errors import DONE, ConfigError

# Name: the module whose main(arguments) it is, and what it does.
_COMMANDS = {
    "train": ("bmjax.main", "train, evaluate and report a configuration, or resume it"),
    "data": ("bmjax.data.__main__", "verify, split, prepare or synthesize images"),
    "predict": ("bmjax.predict.__main__", "cell types of new images"),
    "count": ("bmjax.count.__main__", "the differential count of a case, with a page"),
    "agree": ("bmjax.count.agree", "how well two counts or readers agree"),
    "embed": ("bmjax.embed.__main__", "features of new images"),
    "report": ("bmjax.report.__main__", "the page of a run, or of several compared"),
    "few-labels": ("bmjax.few_labels", "accuracy against labeled images per class"),
    "noise": ("bmjax.noise", "labels that are likely wrong, from the runs of k folds"),
    "export": ("bmjax.export.__main__", "a run's network: weights, ONNX, StableHLO"),
    "benchmark": ("bmjax.benchmark.__main__", "time a configuration on this machine"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name = arguments[0] if arguments else ""
    if name in _COMMANDS:
        return importlib.import_module(_COMMANDS[name][0]).main(arguments[1:])
    return run_command(lambda: _other(name))


def _other(name: str) -> int:
    if name in ("-h", "--help", "help"):
        print("usage: bmjax COMMAND ...    (bmjax COMMAND --help tells more)\n")
        for command, (_, does) in _COMMANDS.items():
            print(f"  {command:<10} {does}")
        return DONE
    if name == "--version":
        print(f"bmjax {bmjax.__version__}")
        return DONE
    if not name:
        raise ConfigError(f"a command is missing; give one of {', '.join(_COMMANDS)}")
    near = difflib.get_close_matches(name, _COMMANDS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ConfigError(
        f"{name!r} is no command; {hint}give one of {', '.join(_COMMANDS)}"
    )


def run_and_exit() -> None:
    """The installed command: `main`, and the end of the process."""
    leave(main())


if __name__ == "__main__":
    run_and_exit()
