"""The lineage of each class, from the table of the release or a user's own."""

from collections.abc import Sequence
from pathlib import Path

from bmjax.data.user_tables import read_user_table
from bmjax.errors import ConfigError
from bmjax.evals.lineage import release_lineage
from bmjax.files import user_path

RELEASE = "matek"  # classes of Matek et al. 2021, as `bmjax/evals/lineage.py` has them
KEY = "config.model.lineages"


def check_lineages(table: str, head: str) -> None:
    """Raise ConfigError where the table cannot be, before the classes are known.

    Args:
        table: config.model.lineages.
        head: config.model.head.
    """
    if not table:
        return
    if head != "classifier":
        raise ConfigError(
            f"{KEY} = {table!r} is of a classifier, and config.model.head = {head!r} "
            'is none; leave it empty, or use config.model.head = "classifier"'
        )
    if table != RELEASE and not user_path(KEY, table).is_file():
        raise ConfigError(
            f"{KEY} = {table!r} is no file; give a CSV of class,lineage, or {RELEASE} "
            "for the classes of the release"
        )


def class_lineages(classes: Sequence[str], table: str) -> tuple[str, ...]:
    """The name of each class's lineage.

    Args:
        classes: names.
        table: "matek", or a CSV with a header `class,lineage`; it may hold more classes
            than there are, and names are taken in any case of letters.

    Raises:
        ConfigError: a class is missing in the table, or has no lineage or two.
        DataError: the file cannot be read or is no such table.
    """
    if table == RELEASE:
        known = {name: release_lineage(name) for name in classes}
    else:
        known = _read(user_path(KEY, table))
        known = {name: known.get(name.casefold(), "") for name in classes}
    if absent := [name for name, lineage in known.items() if not lineage]:
        raise ConfigError(
            f"{KEY} = {table!r} gives no lineage to {len(absent)} of the "
            f"{len(classes)} classes, first {absent[0]!r}; give a CSV of class,lineage "
            "with all of them"
        )
    return tuple(known.values())


def numbered(lineages: Sequence[str]) -> tuple[int, ...]:
    """A number for each class's lineage, in the order in which lineages come first.

    Classes grouped alike have the same numbers, whatever their groups are called.
    """
    order = {name: number for number, name in enumerate(dict.fromkeys(lineages))}
    return tuple(order[name] for name in lineages)


def _read(path: Path) -> dict[str, str]:
    table = read_user_table(path, ("class", "lineage"))
    places = [table.header.index(name) for name in ("class", "lineage")]
    found: dict[str, str] = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        name, lineage = (row[place].strip() for place in places)
        if found.setdefault(name.casefold(), lineage) != lineage:
            raise ConfigError(
                f"{KEY} = {str(path)!r}, line {line}, gives {name!r} the lineage "
                f"{lineage!r}, and a line before it another; keep one of them"
            )
    return found
