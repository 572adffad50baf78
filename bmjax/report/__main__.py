"""`python -m bmjax.report`: pages of finished runs, and of any system's predictions."""

import argparse
from pathlib import Path

from bmjax.console.command import leave, run_command, say_error
from bmjax.console.notes import print_lines, print_note
from bmjax.errors import DONE, BmjaxError
from bmjax.files import user_path


def main(arguments: list[str] | None = None) -> int:
    """Write each run's report.html, or one page that compares; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not (options.runs or options.tables):
        parser.error("expected a run folder, or --from-predictions with a table")
    if options.out is None:
        if options.tables or options.pool:
            parser.error(
                "--from-predictions and --pool-folds go with --out, the folder of the "
                "page"
            )
        return run_command(lambda: _report_each(options.runs, options.images))
    return run_command(lambda: _compare(options))


def _compare(options: argparse.Namespace) -> int:
    from bmjax.report.comparison_page import write_comparison

    page = write_comparison(
        [user_path("RUN", run) for run in options.runs],
        [user_path("--from-predictions", table) for table in options.tables],
        out=options.out,
        images=options.images,
        pool=options.pool,
        note=print_note,
    )
    print_lines(str(page))
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.report",
        description="Without --out: make RUN/report.html again from the files of each "
        "finished run. With --out: one page, DIR/index.html, that sets the runs and "
        "tables of predictions side by side.",
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the page that compares"
    )
    parser.add_argument(
        "--from-predictions",
        nargs="+",
        default=[],
        type=Path,
        metavar="CSV",
        dest="tables",
        help="tables of any system: path,label,predicted and, where known, a "
        "probability p_CLASS for each class",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="data folder with the cells, where it is not the runs' own",
    )
    parser.add_argument(
        "--pool-folds",
        action="store_true",
        dest="pool",
        help="evaluate runs that differ in their fold alone as one system, on the "
        "images of all folds; all folds must be there",
    )
    return parser


def _report_each(runs: list[Path], images: Path | None) -> int:
    """A run that cannot be reported is named on standard error; the others go on."""
    from bmjax.report import write_report

    exit_code = DONE
    for run in runs:
        try:
            page = write_report(user_path("RUN", run), images=images, note=print_note)
            print_lines(str(page))
        except BmjaxError as error:
            exit_code = exit_code or say_error(error)
    return exit_code


if __name__ == "__main__":
    leave(main())
