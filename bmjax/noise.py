"""`python -m bmjax.noise RUN ... --out=DIR`: how many labels are wrong, and which."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmjax.console.command import leave, run_command
from bmjax.console.notes import print_lines, print_note
from bmjax.errors import DONE, ConfigError
from bmjax.files import plain_cell, user_path, write_csv, write_json, writing

if TYPE_CHECKING:
    from bmjax.evals.confident_learning import LabelNoise, Suspects
    from bmjax.report.noise_page import DoubtedLabel
    from bmjax.run.out_of_fold import OutOfFold

_DESCRIPTION = """\
Which labels of a data set are likely wrong, and how many of each class? The RUNs are
the folds of one data set: every image is judged by the one run that was not trained on
it, and confident learning (Northcutt et al. 2021) estimates from these probabilities
how many images of each class are truly of another, and ranks them.

DIR gets suspects.csv (path, label, suggested, probability, rank: as many of each class
as are estimated to be wrong), noise.json and index.html, a page with the estimates, on
which the suspects are looked at and settled. A list of suspects is a list to look at.
The page saves labels.csv, with what was settled, for the next run:
--config.data.labels=labels.csv.

Exit codes: 0 done; 2 usage, or runs that are not the folds of one data set; 3 images,
or a run that is not finished; 5 a damaged configuration; 75 SIGTERM; 130 Ctrl-C."""


_CREDIBLE = 0.25  # share of wrong labels above which the networks are doubted; ours


def main(arguments: list[str] | None = None) -> int:
    """Estimate the noise of a data set's labels; return the exit code."""
    options = _parser().parse_args(arguments)
    return run_command(lambda: _noise(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.noise",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="workdirs, one for each fold")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    add("--data", type=Path, metavar="FOLDER", help="where the images are now")
    add(
        "--pictures",
        type=int,
        metavar="N",
        help="suspects of a class on the page; default: all",
    )
    add("--threads", type=int, default=0, metavar="N", help="default: one per core")
    return parser


def _noise(options: argparse.Namespace) -> int:
    _check(options)
    from bmjax.data.label_corrections import corrected_rows
    from bmjax.evals.confident_learning import estimate_noise, rank_suspects
    from bmjax.report.noise_page import write_noise_page
    from bmjax.report.review_pages import remove_pages
    from bmjax.report.systems import names_apart
    from bmjax.run.out_of_fold import copied_images, gather_folds

    folder = user_path("--data", options.data) if options.data else None
    found = gather_folds(options.runs, folder)
    copies = copied_images(found, threads=options.threads)
    noise = estimate_noise(found.labels, found.probabilities)
    suspects = rank_suspects(found.labels, found.probabilities, noise.wrong)
    stored = describe_noise(found, noise, copies, names_apart(options.runs))
    for sentence in stored["notes"]:
        print_note(sentence)
    doubted = _doubted(found, suspects)
    with writing("--out", options.out):
        options.out.mkdir(parents=True, exist_ok=True)
        remove_pages(options.out / "index.html")
    write_json(options.out / "noise.json", stored)
    write_csv(
        options.out / "suspects.csv",
        ("path", "label", "suggested", "probability", "rank"),
        (_suspect_row(one, found.catalog.classes) for one in doubted),
    )
    page, *_ = write_noise_page(
        options.out / "index.html",
        stored,
        doubted,
        found.catalog.root,
        earlier=corrected_rows(found.catalog),
        pictures=options.pictures,
    )
    print_lines(
        f"{stored['wrong']:,} of {stored['images']:,} labels are likely wrong "
        f"({stored['wrong'] / stored['images']:.1%})",
        str(page),
    )
    return DONE


def describe_noise(
    found: "OutOfFold", noise: "LabelNoise", copies: list[list[int]], names: list[str]
) -> dict[str, Any]:
    """The content of noise.json.

    Args:
        found: the images and who judges them.
        noise: its estimate.
        copies: `run.out_of_fold.copied_images` of them.
        names: of the runs.
    """
    catalog, classes = found.catalog, found.catalog.classes
    judged = [catalog.paths[position] for position in found.positions]
    counted = noise.joint * len(judged)
    agreement = float((found.probabilities.argmax(axis=1) == found.labels).mean())
    named = [
        [
            {
                "path": judged[row],
                "label": classes[found.labels[row]],
                "run": names[found.judges[row]],
            }
            for row in rows
        ]
        for rows in copies
    ]
    return {
        "method": "confident learning (Northcutt et al. 2021)",
        "ranked_by": "probability of the label less the highest of another class",
        "data_fingerprint": catalog.fingerprint,
        "images": len(judged),
        "wrong": int(noise.wrong.sum()),
        "agreement": agreement,
        "runs": [
            {"name": name, "images": images}
            for name, images in zip(names, found.tested, strict=True)
        ],
        "classes": [
            {
                "class": name,
                "images": int(noise.images[number]),
                "threshold": float(threshold) if noise.images[number] else None,
                "wrong": int(noise.wrong[number]),
                "truly": {
                    other: round(float(counted[number, column]), 2)
                    for column, other in enumerate(classes)
                    if column != number and counted[number, column]
                },
            }
            for number, (name, threshold) in enumerate(
                zip(classes, noise.thresholds, strict=True)
            )
        ],
        "confident": noise.confident.tolist(),
        "joint": noise.joint.tolist(),
        "noise": noise.noise.tolist(),
        "copies": named,
        "notes": _notes(noise, classes, named, agreement),
    }


def _notes(
    noise: "LabelNoise",
    classes: tuple[str, ...],
    copies: list[list[dict[str, str]]],
    agreement: float,
) -> list[str]:
    """Sentences on what the estimate rests on."""
    from bmjax.data.matek import RARE

    notes = []
    if noise.wrong.sum() > _CREDIBLE * noise.images.sum():
        notes.append(
            f"The networks agree with only {agreement:.1%} of the labels: so many "
            "suspects are more likely errors of the networks than of the labels; train "
            "them longer before you look."
        )
    if apart := [c for c in copies if len({one["run"] for one in c}) > 1]:
        notes.append(
            f"{len(apart):,} image(s) have copies in other folds, byte for byte, first "
            f"{_two(apart[0], 'run')}: the run that judges "
            "one copy was trained on another, and takes its label for right."
        )
    if unlike := [c for c in copies if len({one["label"] for one in c}) > 1]:
        notes.append(
            f"{len(unlike):,} image(s) are there under several labels, byte for byte, "
            f"first {_two(unlike[0], 'label')}: at most one "
            "of the labels is right."
        )
    few = [
        name
        for name, images in zip(classes, noise.images, strict=True)
        if 0 < images < RARE
    ]
    if few:
        notes.append(
            f"{', '.join(few)} have fewer than {RARE} images each: what is said of "
            "their labels rests on a few."
        )
    if empty := [
        name for name, images in zip(classes, noise.images, strict=True) if not images
    ]:
        notes.append(f"{', '.join(empty)} have no image: nothing is said of them.")
    return notes


def _two(copies: list[dict[str, str]], key: str) -> str:
    """Two copies that differ in a key."""
    first = copies[0]
    other = next(one for one in copies if one[key] != first[key])
    return f"{first['path']!r} and {other['path']!r}"


def _doubted(found: "OutOfFold", suspects: "Suspects") -> "list[DoubtedLabel]":
    """What the page shows of each suspect."""
    from bmjax.report.noise_page import DoubtedLabel

    catalog = found.catalog
    folders = catalog.labels if catalog.filed is None else catalog.filed
    return [
        DoubtedLabel(
            path=catalog.paths[found.positions[row]],
            label=int(found.labels[row]),
            filed=int(folders[found.positions[row]]),
            proposed=int(proposed),
            probabilities=found.probabilities[row],
            rank=int(rank),
        )
        for row, proposed, rank in zip(
            suspects.rows, suspects.suggested, suspects.ranks, strict=True
        )
    ]


def _suspect_row(one: "DoubtedLabel", classes: tuple[str, ...]) -> tuple[str, ...]:
    names = (one.path, classes[one.label], classes[one.proposed])
    probability = float(one.probabilities[one.proposed])
    return (*map(plain_cell, names), f"{probability:.6g}", str(one.rank))


def _check(options: argparse.Namespace) -> None:
    """Raise ConfigError for what cannot be, before any work."""
    from bmjax.run.results_folder import check_given_once, check_results_folder

    if options.pictures is not None and options.pictures < 0:
        raise ConfigError(f"--pictures={options.pictures}; give 0 or more")
    options.runs = [user_path("RUN", run) for run in options.runs]
    options.out = user_path("--out", options.out)
    for run in options.runs:
        if not run.is_dir():
            raise ConfigError(f"{str(run)!r} is no folder; give the workdirs of runs")
    check_given_once(options.runs)
    check_results_folder(options.out)


if __name__ == "__main__":
    leave(main())
