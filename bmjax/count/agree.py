"""`python -m bmjax.count.agree A B --out=DIR`: do two readers' counts agree?"""

import argparse
from pathlib import Path
from typing import Any

from bmjax.console.command import leave, run_command
from bmjax.console.notes import print_lines, print_note
from bmjax.errors import DONE, ConfigError, DataError
from bmjax.files import user_path, write_json, writing

_DESCRIPTION = """\
Do two readers, or a reader and a run, count alike? A and B are each

  a folder that bmjax count wrote, or a folder with one such folder for each case;
  a CSV of cells with the columns path and label: cells.csv, or corrections.csv;
  a CSV of counts with the columns case, class and n.

Cases are paired by their names. DIR gets index.html and agreement.json: for each class
the bias and the limits of agreement (Bland and Altman) and the line of Passing and
Bablok, with intervals, and where both read the same cells, Cohen's kappa. Differences
are B minus A.

Exit codes: 0 done; 2 usage; 3 data: a table or count that cannot be read, no case in
common."""


def main(arguments: list[str] | None = None) -> int:
    """Compare two readers; return the exit code."""
    options = _parser().parse_args(arguments)
    return run_command(lambda: _agree(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.count.agree",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("first", type=Path, metavar="A", help="counts of the first reader")
    add("second", type=Path, metavar="B", help="counts of the second reader")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add(
        "--names",
        nargs=2,
        metavar=("A", "B"),
        help="of the readers, to be shown (default: of their folders or files)",
    )
    add(
        "--countable",
        type=Path,
        metavar="FILE.csv",
        help="which classes of a CSV count, as for bmjax count",
    )
    add("--force", action="store_true", help="replace the files in DIR")
    return parser


def _agree(options: argparse.Namespace) -> int:
    _check(options)
    from bmjax.count.counts_agree import counts_agree
    from bmjax.count.two_readers import pair_readers, read_counts
    from bmjax.report.agreement_page import write_agreement
    from bmjax.report.systems import names_apart

    places = [user_path(name, getattr(options, key)) for name, key in _READERS]
    for (name, _), place in zip(_READERS, places, strict=True):
        if not place.exists():
            raise DataError(
                f"{name}={str(place)!r} is not there; give a folder or a CSV"
            )
    names = options.names or names_apart(places)
    side = pair_readers(*(read_counts(place, options.countable) for place in places))
    found = counts_agree(side, *names)
    if not found["cases"]:
        raise DataError(
            "no case has cells that count with both readers; count some of each case"
        )
    with writing("--out", options.out):
        options.out.mkdir(parents=True, exist_ok=True)
    page = write_agreement(options.out, found)
    write_json(options.out / "agreement.json", found)
    _show(found)
    print_lines(str(page))
    return DONE


_READERS = (("A", "first"), ("B", "second"))


def _check(options: argparse.Namespace) -> None:
    out = options.out = user_path("--out", options.out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out={str(out)!r} is a file; give a folder")
    if (out / "agreement.json").exists() and not options.force:
        raise ConfigError(
            f"--out={str(out)!r} holds a comparison already; give another folder, or "
            "--force"
        )
    if options.names and options.names[0] == options.names[1]:
        raise ConfigError(
            f"--names gives {options.names[0]!r} twice; give two names that differ"
        )


def _show(found: dict[str, Any]) -> None:
    """The table of classes, kappa and the notes."""
    from bmjax.console.text_table import aligned
    from bmjax.count.counts_agree import some_cases
    from bmjax.report.agreement_page import agreement_rows, same_cells_sentence

    print_lines(
        f"{some_cases(len(found['cases']))}, {found['second']} against {found['first']}"
    )
    print_lines("", *aligned(list(map(tuple, agreement_rows(found)))), "")
    if found["same_cells"]:
        print_lines(same_cells_sentence(found["same_cells"]))
    for note in found["notes"]:
        print_note(note)


if __name__ == "__main__":
    leave(main())
