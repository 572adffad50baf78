"""`python -m bmjax.count CASE --run=RUN --out=DIR`: a case's differential count."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmjax.console.apply_options import (
    add_image_options,
    apply_exit_code,
    check_image_options,
    complain,
)
from bmjax.console.command import leave, run_command
from bmjax.console.notes import print_lines, print_note
from bmjax.console.progress import show_progress
from bmjax.errors import ConfigError, DataError
from bmjax.evals.trust_defaults import DOUBTFUL_ERROR
from bmjax.files import (
    file_sha256,
    plain_cell,
    user_path,
    write_csv,
    write_json,
    writing,
)

if TYPE_CHECKING:
    from bmjax.count.case_cells import CaseCells
    from bmjax.count.countable import Countable
    from bmjax.count.review_table import Reviewed
    from bmjax.evals.calibration_file import Calibration
    from bmjax.evals.cell_trust import Trust

_DESCRIPTION = """\
Count the cells of one case: CASE is a folder of single-cell images, in one folder for
each smear or in none. Written are DIR/count.json, DIR/cells.csv and DIR/case.html, a
page on which the cells can be looked at and relabeled. It saves corrections.csv, which
--corrections reads: the count is then of the labels after the review.

Percentages are of the cells that count (--countable), with exact intervals. Beside
them are percentages that are corrected for the classifier's errors. Their intervals
allow for the sampling of cells, for the estimate of these errors and for a mix of
classes that is not that of training. Not a medical device.

Exit codes: 0 done; 2 usage, or a run without validation cells; 3 data: no image, images
that cannot be read (0 with --skip-bad), corrections of another case, nearly all cells
unlike the run's (counted with --count-foreign); 5 checkpoint; 75, 130 stopped."""
_FOREIGN_CASE = 90.0  # per cent of foreign cells from which nothing is counted; ours


def main(arguments: list[str] | None = None) -> int:
    """Count a case; return the exit code."""
    options = _parser().parse_args(arguments)
    return run_command(
        lambda: _count(options),
        stopped=f"stopped; {options.out} holds no whole count",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.count",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("case", type=Path, metavar="CASE", help="folder of the cells")
    add("--run", type=Path, required=True, metavar="RUN", help="workdir of a run")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add(
        "--corrections",
        type=Path,
        metavar="FILE.csv",
        help="labels after a review, as the page saved them",
    )
    add(
        "--countable",
        type=Path,
        metavar="FILE.csv",
        help="which classes count, and their lineages: class, countable, lineage, "
        "ratio, cells (default: the release's classes, bmjax/count/countable.csv)",
    )
    add(
        "--error",
        type=float,
        default=DOUBTFUL_ERROR,
        metavar="E",
        help="share of wrong names among the cells that are not marked as doubtful, "
        f"kept on validation cells (default: {DOUBTFUL_ERROR:g})",
    )
    add("--count-foreign", action="store_true", help="count a case unlike the run's")
    add_image_options(parser)
    add("--force", action="store_true", help="replace the files in DIR")
    return parser


def _count(options: argparse.Namespace) -> int:
    _check(options)
    from bmjax.count.countable import read_countable
    from bmjax.data.open_images import open_any_images

    images = open_any_images(user_path("CASE", options.case))
    run = user_path("--run", options.run)
    from bmjax.evals.calibration_file import FILE as CALIBRATION_FILE
    from bmjax.evals.calibration_file import read_calibration
    from bmjax.evals.detector_file import DETECTOR_FILE, read_detector
    from bmjax.evals.kept_file import check_made_by

    if not run.is_dir():
        raise ConfigError(f"--run={str(run)!r} is no folder; give the workdir of a run")
    calibration = read_calibration(run)
    detector = read_detector(run) if (run / DETECTOR_FILE).exists() else None
    table = read_countable(options.countable, calibration.classes)
    from bmjax.devices.jax_setup import start_jax

    start_jax(devices=options.devices)
    from bmjax.count.case_cells import read_cells
    from bmjax.encoder import load

    encoder = load(
        run,
        batch_size=options.batch_size,
        devices=options.devices,
        threads=options.threads,
    )
    check_made_by(run / CALIBRATION_FILE, calibration.digest, encoder.params_digest)
    if detector is not None:
        check_made_by(run / DETECTOR_FILE, detector.digest, encoder.params_digest)
    encoder.check_classifier()
    if encoder.classes != calibration.classes:
        raise ConfigError(
            f"the validation cells of {str(run)!r} are of other classes than its "
            "network; train it in another workdir"
        )
    print_lines(f"{len(images.paths):,} images; {encoder.description}")
    cells = read_cells(
        images,
        encoder,
        calibration,
        detector,
        complain=complain,
        progress=show_progress("images"),
    )
    notes = _foreign_notes(cells, force=options.count_foreign)
    review = _review(options.corrections, cells, calibration.classes)
    written = _write(options, table, cells, review, calibration, encoder, notes)
    _show(written)
    unread = cells.failed + images.other_formats
    return apply_exit_code(options, unread, images.notes)


def _check(options: argparse.Namespace) -> None:
    check_image_options(options)
    options.out = user_path("--out", options.out)
    if not 0 < options.error < 1:
        raise ConfigError(f"--error={options.error:g}; give a share between 0 and 1")
    if options.out.exists() and not options.out.is_dir():
        raise ConfigError(f"--out={str(options.out)!r} is a file; give a folder")
    if (options.out / "count.json").exists() and not options.force:
        raise ConfigError(
            f"--out={str(options.out)!r} holds a count already; give another folder, "
            "or --force"
        )


def _foreign_notes(cells: "CaseCells", *, force: bool) -> list[str]:
    """A note where many cells are unlike the run's; DataError where nearly all are."""
    from bmjax.evals.detector_file import foreign_cells

    if cells.distance is None:
        return ["Whether cells are unlike the run's is not known: it has no detector."]
    found = foreign_cells(int(cells.foreign.sum()), len(cells.paths))
    said = (
        f"{found['foreign']:,} of {found['cells']:,} cells ({found['percent']:.0f} %) "
        "are unlike those that the run learned from"
    )
    if found["suspect"] and found["percent"] >= _FOREIGN_CASE and not force:
        raise DataError(
            f"{said}, as of another stain, microscope or kind of image, so that their "
            "names mean nothing; use a run that was trained on such cells, or give "
            "--count-foreign"
        )
    if found["suspect"]:
        return [
            f"{said}, where {found['expected']:.0f} % are expected: another stain or "
            "microscope? Do not rely on this count."
        ]
    return []


def _review(
    path: Path | None, cells: "CaseCells", classes: tuple[str, ...]
) -> "Reviewed":
    from bmjax.count.review_table import no_review, read_review

    if path is None:
        return no_review(cells.predicted)
    return read_review(path, cells.paths, cells.predicted, classes, cells.digest)


def _write(
    options: argparse.Namespace,
    table: "Countable",
    cells: "CaseCells",
    review: "Reviewed",
    calibration: "Calibration",
    encoder: Any,
    foreign: list[str],
) -> dict[str, Any]:
    """Count, and write the three files; count.json comes last."""
    import numpy as np

    from bmjax.count.case_cells import MOST_ON_PAGES
    from bmjax.count.case_count import Validated, count_case
    from bmjax.count.case_report import page_cells, page_of_case
    from bmjax.count.smears_agree import smears_agree
    from bmjax.evals.calibration_file import calibrated
    from bmjax.evals.cell_trust import read_trust
    from bmjax.report.case_page import write_case

    classes = calibration.classes
    reviewed = int(review.reviewed.sum())
    shares = calibrated(calibration.probabilities, calibration)
    validated = None
    if not reviewed:
        named = shares.argmax(axis=1)
        validated = Validated(calibration.labels, named, calibration.train_shares)
    trust = read_trust(shares, calibration.labels, options.error)
    doubtful, sets = trust.apply(cells.probabilities)
    counted = count_case(
        review.labels,
        classes,
        table,
        smears=len(set(cells.smears)),
        probabilities=cells.probabilities,
        validated=validated,
    )
    counts = np.isin(review.labels, np.flatnonzero(table.counts))
    alike = smears_agree(
        review.labels[counts],
        [one for one, counts_ in zip(cells.smears, counts, strict=True) if counts_],
        classes,
    )
    agreement = _agreement(cells, review) if reviewed else {}
    notes = [
        *foreign,
        *counted["notes"],
        *_copies_note(cells.copies),
        *_notes(options.error, trust, alike, review),
    ]
    provenance = _provenance(options, table, cells, calibration, encoder)
    out = options.out
    _make_room(out)
    _write_cells(out / "cells.csv", cells, review, doubtful, sets, classes)
    pages = []
    if cells.pictures:
        page = page_of_case(
            f"Case {options.case.resolve().name}",
            counted,
            table,
            digest=cells.digest,
            notes=notes,
            corrected=_how_corrected(calibration) if counted["estimates"] else "",
            agreement=agreement.get("sentence", ""),
            provenance=list(provenance.items()),
        )
        shown = page_cells(cells, review, doubtful, len(classes))
        pages = write_case(out / "case.html", page, shown)
    else:
        notes.append(
            f"No page was written: it would hold {len(cells.paths):,} cells, and "
            f"{MOST_ON_PAGES:,} is the most."
        )
    content = counted | {
        "notes": notes,
        "case": cells.digest,
        "reviewed": reviewed,
        "agreement": agreement or None,
        "smears_agree": alike,
        "doubtful": {
            "cells": int(doubtful.sum()),
            "error": options.error,
            "threshold": trust.threshold,
        },
        "sets": {"level": trust.level, "in_every_set": trust.everywhere(classes)},
        "foreign": None if cells.distance is None else int(cells.foreign.sum()),
        "provenance": provenance,
        "pages": [page.name for page in pages],
    }
    write_json(out / "count.json", content)
    return content


def _make_room(out: Path) -> None:
    """Make the folder, without what an earlier count has left there."""
    from bmjax.report.review_pages import remove_pages

    with writing("--out", out):
        out.mkdir(parents=True, exist_ok=True)
        # Written last: with it a count is whole.
        (out / "count.json").unlink(missing_ok=True)
        remove_pages(out / "case.html")


def _copies_note(copies: int) -> list[str]:
    if not copies:
        return []
    return [
        f"Copies of other images, byte for byte: {copies:,}. They are counted as cells "
        "of their own."
    ]


def _notes(
    error: float, trust: "Trust", alike: dict[str, Any] | None, review: "Reviewed"
) -> list[str]:
    """Sentences on doubtful cells, on smears that differ, and on a review."""
    from bmjax.count.smears_agree import DIFFERENT

    notes = []
    if trust.threshold is None:
        notes.append(
            f"No probability keeps wrong names below {error:.0%} on the validation "
            "cells: every cell is doubtful."
        )
    if alike is not None and alike["p_value"] < DIFFERENT:
        notes.append(
            "The smears differ more than cells drawn from one pool would (p = "
            f"{alike['p_value']:.4f}, permutations): look at them apart."
        )
    if reviewed := int(review.reviewed.sum()):
        by = f" by {', '.join(review.readers)}" if review.readers else ""
        notes.append(
            f"{reviewed:,} of {len(review.labels):,} cells were reviewed{by}. The "
            "count is of the labels after that, and is not corrected by the validation "
            "cells."
        )
    return notes


def _provenance(
    options: argparse.Namespace,
    table: "Countable",
    cells: "CaseCells",
    calibration: "Calibration",
    encoder: Any,
) -> dict[str, str]:
    """What the count rests on: names and values."""
    import bmjax
    from bmjax.count.countable import DEFAULT_TABLE
    from bmjax.devices.jax_setup import versions
    from bmjax.report.words import shown_path

    def told(name: str, path: Path) -> str:
        """By content: a name may have another tomorrow."""
        return f"{name}, SHA-256 {file_sha256(path.expanduser())[:16]}"

    corrections = options.corrections
    return {
        "run": shown_path(str(options.run)),
        "network": encoder.description,
        "parameters (SHA-256)": calibration.digest,
        "validation cells": f"{len(calibration.labels):,}, {calibration.held_out}",
        "temperature": f"{calibration.temperature:.3g}",
        "data of the run": encoder.data_fingerprint,
        "countable classes": told(table.source, options.countable or DEFAULT_TABLE),
        "corrections": told(corrections.name, corrections) if corrections else "none",
        "digest of the case": cells.digest,
        "bmjax": bmjax.__version__,
        "versions": ", ".join(f"{name} {one}" for name, one in versions().items()),
    }


def _how_corrected(calibration: "Calibration") -> str:
    return (
        f"Corrected by the confusion of {len(calibration.labels):,} validation cells "
        f"({calibration.held_out}): mean and 95 % interval of the posterior of the "
        "shares. It is assumed that cells of a class look alike there and here."
    )


def _agreement(cells: "CaseCells", review: "Reviewed") -> dict[str, Any]:
    """Of the labels before and after a review, on the cells that were reviewed."""
    from bmjax.evals.confusion import confusion_matrix
    from bmjax.evals.method_agreement import kappa_of

    before = cells.predicted[review.reviewed]
    after = review.labels[review.reviewed]
    classes = cells.probabilities.shape[1]
    # What does not count is a class of its own.
    table = confusion_matrix(before, after % (classes + 1), classes + 1)
    kappa, interval, _ = kappa_of(table)
    said = ""
    if kappa is not None:
        said = f", Cohen's kappa {kappa:.2f}"
    if interval is not None:
        said += " ({:.2f} to {:.2f})".format(*interval)
    kept = int((before == after).sum())
    return {
        "cells": len(before),
        "kept": kept,
        "kappa": kappa,
        "kappa_interval": None if interval is None else list(interval),
        "sentence": (
            f"{kept:,} of {len(before):,} reviewed cells kept their predicted class"
            f"{said}. The doubtful ones are shown first, so that this is no estimate "
            "for the others."
        ),
    }


def _write_cells(
    path: Path,
    cells: "CaseCells",
    review: "Reviewed",
    doubtful: Any,
    sets: Any,
    classes: tuple[str, ...],
) -> None:
    header = (
        *("path", "smear", "predicted", "label", "reviewed", "who", "when"),
        *("distance", "doubtful", "set"),
        *(f"p_{name}" for name in classes),
    )
    rows = [
        (
            plain_cell(one),
            plain_cell(cells.smears[i]),
            plain_cell(classes[cells.predicted[i]]),
            "-" if review.labels[i] < 0 else plain_cell(classes[review.labels[i]]),
            int(review.reviewed[i]),
            plain_cell(review.who[i]),
            plain_cell(review.when[i]),
            "" if cells.distance is None else f"{cells.distance[i]:.1f}",
            int(doubtful[i]),
            plain_cell(" | ".join(classes[number] for number in sets[i].nonzero()[0])),
            *(f"{value:.6g}" for value in cells.probabilities[i]),
        )
        for i, one in enumerate(cells.paths)
    ]
    write_csv(path, header, rows)


def _show(content: dict[str, Any]) -> None:
    """The count as a table, its verdicts and its notes."""
    from bmjax.console.text_table import aligned

    def ends(pair: list[float] | None) -> str:
        return "" if pair is None else f"{pair[0]:.1f} to {pair[1]:.1f}"

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    rows = [("", "n", "%", "95 % interval", "corrected %", "95 % interval")]
    for kind, key in (("classes", "class"), ("lineages", "lineage")):
        rows += [
            (
                row[key],
                f"{row['n']:,}",
                number(row["percent"]),
                ends(row["interval"]),
                number(row["corrected"]),
                ends(row["corrected_interval"]),
            )
            for row in content[kind]
        ]
    print_lines("", *aligned(rows), "")
    ratio = content["me_ratio"]
    if ratio["ratio"] is not None:
        print_lines(f"myeloid to erythroid: {ratio['ratio']:.1f}")
    for row in content["verdicts"]:
        more, also = row["more_cells"], row["corrected_verdict"]
        print_lines(
            f"{row['cells']}, {row['percent']:g} %: {row['verdict']}"
            + (f" ({more:,} more cells may decide)" if more else "")
            + (f"; corrected: {also}" if also and also != row["verdict"] else "")
        )
    for note in content["notes"]:
        print_note(note)


if __name__ == "__main__":
    leave(main())
