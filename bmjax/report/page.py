"""The report of a run as one HTML page that needs no network and no script."""

import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bmjax.data.labels import RARE
from bmjax.errors import DataError
from bmjax.files import write_whole
from bmjax.report import figures, tables
from bmjax.report.files import Run, Series, finite, read_run, section


class Panel(NamedTuple):
    """One drawn series: its title, its last value as text, its SVG."""

    title: str
    last: str
    wide: bool
    drawing: str


def write_report(workdir: Path) -> Path:
    """Write `workdir/report.html` from the files of the run; return its path.

    The same files give the same bytes. An older report is replaced in one move, so
    that a reader never sees half a page. Raises DataError where a file of the run is
    missing or damaged, or the page cannot be written.
    """
    page = render(read_run(workdir))
    report = workdir / "report.html"
    try:
        write_whole(report, page.encode("utf-8", errors="replace"))
    except OSError as error:
        raise DataError(
            f"expected to write {report}, but that failed ({error.strerror}): make "
            f"room or allow writing there"
        ) from error
    return report


def render(run: Run) -> str:
    """The page as text; every name in it is escaped."""
    import jinja2

    here = Path(__file__).parent
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.from_string((here / "page.html").read_text("utf-8"))
    return template.render(
        css=(here / "page.css").read_text("utf-8"), **page_contents(run)
    )


def page_contents(run: Run) -> dict[str, Any]:
    """What the template shows: rows, sentences, and drawings marked as safe."""
    results, config = run.results, run.config
    rows = tables.class_rows(results, run.classes)
    probe_head, probe_rows = tables.probe_table(results)
    return {
        "title": tables.run_title(results, config),
        "data": tables.run_data(results, config, len(run.classes)),
        "tiles": tables.tiles(results),
        "measured": tables.measured(results),
        "images": tables.count(results.get("n_test")),
        "warnings": _cautions(run) + tables.warnings(rows),
        "probe_head": probe_head,
        "probe_rows": probe_rows,
        "class_rows": rows,
        "few": RARE,
        "dash": tables.NONE,
        "classes": run.classes,
        "long_names": max(map(len, run.classes), default=0) > 4,
        "confusion": tables.confusion(run.predictions, run.classes),
        "common": tables.common_confusions(run.predictions),
        "mistakes": tables.confident_mistakes(run.predictions),
        "predictions": len(run.predictions),
        "panels": panels(run.series),
        "unreadable": run.unreadable,
        "map": _map(run),
        "facts": tables.facts(results, config),
        "versions": sorted(section(results, "versions").items()),
        "config": tables.config_rows(config),
    }


def panels(series: Sequence[Series]) -> list[Panel]:
    """A panel for each series: the loss first and larger, then train/*, then others.

    The loss has a line at ln K, the loss of a guess among K prototypes, where its
    ratio to ln K was logged; the ratio then needs no panel of its own.
    """
    from markupsafe import Markup

    by_name = {one.name: one for one in series if one.steps}
    level = _guess_level(by_name)
    if level:
        by_name.pop("train/loss_over_ln_k")
    if not by_name:
        return []
    first = min(one.steps[0] for one in by_name.values())
    last = max(one.steps[-1] for one in by_name.values())
    drawn = []
    for name in sorted(by_name, key=_panel_order):
        wide = name == "train/loss"
        drawing = figures.line_plot(
            by_name[name],
            steps=(first, last),
            height=260 if wide else 110,
            ticks=6 if wide else 3,
            reference=level if wide else None,
        )
        value = finite(by_name[name].values[-1])
        text = f"{tables.NONE} (not finite)" if value is None else figures.short(value)
        drawn.append(Panel(_series_title(name), text, wide, Markup(drawing)))
    return drawn


def _guess_level(by_name: dict[str, Series]) -> tuple[float, str] | None:
    """The level ln K and its name, from the loss and its ratio to ln K."""
    loss, ratio = by_name.get("train/loss"), by_name.get("train/loss_over_ln_k")
    if loss is None or ratio is None:
        return None
    ratios = dict(zip(ratio.steps, ratio.values, strict=True))
    pairs = zip(loss.steps, loss.values, strict=True)
    found = [
        value / ratios[step]
        for step, value in pairs
        if ratios.get(step) and finite(value / ratios[step]) is not None
    ]
    if not found:
        return None
    level = statistics.median(found)
    return level, f"ln K = {level:.3g}"


def _panel_order(name: str) -> tuple[bool, bool, str]:
    return name != "train/loss", not name.startswith("train/"), name


def _series_title(name: str) -> str:
    words = name.removeprefix("train/").replace("/", ", ").replace("_", " ")
    return words[:1].upper() + words[1:]


def _cautions(run: Run) -> list[str]:
    """Sentences on what a reader might take the scores for and they are not."""
    found = []
    data = section(run.config, "data")
    if data.get("synthetic_images") and not data.get("root"):
        found.append("The images are synthetic: no score says anything of real cells.")
    expected = finite(run.results.get("n_test"))
    if expected is not None and expected != len(run.predictions):
        found.append(
            f"results.json counts {expected:,.0f} test images, but predictions.csv "
            f"holds {len(run.predictions):,}: these files may be of different runs."
        )
    return found


def _map(run: Run) -> dict[str, Any] | None:
    """The map of the features with its legend, or None where the run has none."""
    if not run.points:
        return None
    from markupsafe import Markup

    shown = Counter(point.label for point in run.points)
    order = run.classes + sorted(set(shown) - set(run.classes))
    names = {row.abbreviation: row.name for row in tables.class_rows({}, order)}
    legend = [
        (figures.class_color(index), label, names[label], tables.count(shown[label]))
        for index, label in enumerate(order)
        if shown[label]
    ]
    drawing = Markup(figures.feature_map(run.points, order))
    return {"drawing": drawing, "legend": legend, "images": len(run.points)}
