"""RESULTS.md from what is stored: the published metrics and each experiment's own.

    python -m experiments.results [--check]

An experiment is a folder named by its date, with a README.md (question, command,
verdict) and its metrics: figures.json or a table's .json, from which the table is made
again, or RESULT.md, whose first table is taken as it stands. `--check` writes nothing
and exits with 3 where RESULTS.md is not what it would write.
"""

import argparse
import importlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bmjax.console.command import run_command
from bmjax.errors import DataError
from bmjax.files import write_whole

HERE = Path(__file__).parent
_DATED = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]-*"
_HEAD = """\
# Results

Written by `python -m experiments.results` from the metrics that are stored here; do not
edit it. What the experiments do not show stands in their own pages.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write RESULTS.md, or check it; return an exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.results",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args(arguments)
    return run_command(lambda: _write(HERE / "RESULTS.md", check=options.check))


def _write(path: Path, *, check: bool) -> None:
    made = results_page()
    if not check:
        write_whole(path, made)
        print(path)
    elif path.exists() and path.read_text() == made:
        print(f"{path} is what the stored metrics give")
    else:
        raise DataError(
            f"{path} is not what the stored metrics give; run "
            "python -m experiments.results"
        )


def results_page() -> str:
    """The whole page.

    Raises:
        DataError: an experiment lacks its question, command, verdict or metrics.
    """
    parts = [_HEAD, *map(_published, ("table2", "table3", "table4"))]
    parts += [_experiment(folder) for folder in sorted(HERE.glob(_DATED))]
    return "\n".join(parts)


def _published(name: str) -> str:
    from bmjax.report.table_formats import markdown_table
    from experiments.tables.pages import worked_out
    from experiments.tables.paper import published_table

    document = published_table(name)
    return _section(
        f"The paper's {document['title']}",
        "What do the published metrics say once averages without the rarest classes, "
        "intervals and the images behind each ranking are worked out?",
        f"python -m experiments.{name} --published",
        markdown_table(worked_out(document)),
        " ".join(entry["sentence"] for entry in document["decided_by"][:1])
        + _weighing(document),
    )


def _weighing(document: dict) -> str:
    """The order by accuracy, where it is another than by macro F1."""
    orders = {}
    for average in ("macro_f1", "accuracy"):
        entries = [e for e in document["decided_by"] if e["average"] == average]
        orders[average] = entries[0] if entries else None
    by_f1, by_accuracy = orders.values()
    if not (by_f1 and by_accuracy) or by_f1["leader"] == by_accuracy["leader"]:
        return ""
    return " " + by_accuracy["sentence"]


def _experiment(folder: Path) -> str:
    readme = folder / "README.md"
    if not readme.exists():
        raise DataError(f"{folder} has no README.md with question, command and verdict")
    text = readme.read_text()
    title = text.partition("\n")[0].removeprefix("# ")
    command = re.search(r"`(python [^`]+)`", _paragraph(readme, text, "Command"))
    if not command:
        raise DataError(f"{readme} names no `python ...` command")
    return _section(
        f"{folder.name[:10]}: [{title}]({folder.name}/README.md)",
        _paragraph(readme, text, "Question"),
        " ".join(command[1].split()),
        _figures(folder),
        _verdict(readme, text),
    )


def _figures(folder: Path) -> str:
    """The experiment's first table."""
    tables = sorted(folder.glob("table*.json"))
    if tables:
        from bmjax.report.table_formats import markdown_table
        from experiments.tables.pages import worked_out

        documents = [json.loads(path.read_text()) for path in tables]
        return "\n\n".join(
            markdown_table(worked_out(document)) for document in documents
        )
    stored, page = folder / "figures.json", folder / "RESULT.md"
    if stored.exists():
        from experiments.small_runs import result_page

        name = folder.name[11:].replace("-", "_")
        module = importlib.import_module(f"experiments.{name}")
        experiment = getattr(module, name.upper())
        text = result_page(experiment, json.loads(stored.read_text()))
    elif page.exists():
        text = page.read_text()
    else:
        raise DataError(f"{folder} holds neither figures.json nor RESULT.md")
    table = re.search(r"(?m)^\|.*\n(?:\|.*\n)+", text)
    if not table:
        raise DataError(f"{folder} holds no table")
    return table[0].rstrip()


def _paragraph(path: Path, text: str, name: str) -> str:
    match = re.search(rf"\*\*{name}\.\*\*(.*?)\n\n", text + "\n\n", re.DOTALL)
    if not match:
        raise DataError(f"{path} has no paragraph **{name}.**")
    return " ".join(match[1].split())


def _verdict(path: Path, text: str) -> str:
    """The first sentence of each point of the verdict, or of its one paragraph."""
    match = re.search(r"\*\*Verdict\.\*\*(.*?)(?=\n\n\*\*|\Z)", text, re.DOTALL)
    if not match:
        raise DataError(f"{path} has no paragraph **Verdict.**")
    points = re.split(r"\n\* ", match[1].strip().removeprefix("* "))
    plain = [" ".join(point.replace("**", "").split()) for point in points]
    return " ".join(re.split(r"(?<=[.!?]) ", point)[0] for point in plain)


def _section(title: str, question: str, command: str, table: str, verdict: str) -> str:
    return (
        f"## {title}\n\n**Question.** {question}\n\n**Command.** `{command}`\n\n"
        f"{table}\n\n**Verdict.** {verdict}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
