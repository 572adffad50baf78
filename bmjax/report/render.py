"""From what a page shows to its text, and to its file."""

from pathlib import Path
from typing import Any

from bmjax.errors import DataError
from bmjax.files import write_whole


def file_of_report(name: str) -> str:
    """The text of a style sheet or script that lies beside the templates."""
    return (Path(__file__).parent / name).read_text("utf-8")


def render(template: str, contents: dict[str, Any]) -> str:
    """A page as text; every name in it is escaped."""
    import jinja2

    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = file_of_report("page.css")
    return environment.get_template(template).render(css=css, **contents)


def write_page(path: Path, page: str) -> Path:
    """Write a page in one move, so that a reader never sees half of it.

    Raises:
        DataError: it cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, page.encode("utf-8", errors="replace"))
    except OSError as error:
        raise DataError(
            f"expected to write {path}, but that failed ({error.strerror}): make room "
            "or allow writing there"
        ) from error
    return path
