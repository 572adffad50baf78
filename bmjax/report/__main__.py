"""`python -m bmjax.report RUN...`: make the report of each run folder again."""

import argparse
import sys
from pathlib import Path

from bmjax.errors import DONE, BmjaxError
from bmjax.report import write_report


def main(arguments: list[str] | None = None) -> int:
    """Write each run's report.html; return 0, or the first failure's exit code.

    A run that cannot be reported is named on standard error and the others go on.
    """
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.report",
        description="Make RUN/report.html again from the files of each finished run.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    exit_code = DONE
    for run in parser.parse_args(arguments).runs:
        try:
            print(write_report(run))
        except BmjaxError as error:
            print(f"bmjax: {error}", file=sys.stderr)
            exit_code = exit_code or error.exit_code
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
