"""What the commands over several runs check of their sources and of --out."""

import os
from collections.abc import Sequence
from pathlib import Path

from bmjax.errors import ConfigError
from bmjax.report.comparison_page import refuse_other_page


def check_given_once(sources: Sequence[Path]) -> None:
    """Raise ConfigError where two of the sources are one file or folder."""
    places = [os.path.realpath(source) for source in sources]
    for source, place in zip(sources, places, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"{str(source)!r} is given twice; leave one of them out")


def check_results_folder(out: Path) -> None:
    """Raise ConfigError where --out is a file, a run, or holds another's index.html."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out={str(out)!r} is a file; give a folder")
    if (out / "config.json").exists():
        raise ConfigError(f"--out={str(out)!r} is a run's own folder; give another")
    refuse_other_page(out / "index.html")
