"""Three detectors of unknown cells on real cells, each class held out in turn.

    python -m experiments.unknown_cells --data=FOLDER --odd=FOLDER --workdir=DIR

For each of a few classes a small supervised network is trained without it, on fold 0 of
5; the detectors are fitted on its training features. Known are its test cells; unknown
are the cells of the class, and of another source: ART and BLA, which come from another
microscope and stain than all other cells at hand, and which no network was trained on.
Cells whose picture is garbled are told apart from both. Writes scores.json and
RESULT.md into experiments/2026-11-26-unknown-cells (or --out=FOLDER).
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import bmjax
from bmjax.data.open_images import read_catalog
from bmjax.data.splits.make_split import make_split
from bmjax.evals.linear_probe import Linear, feature_weights
from bmjax.evals.unknown_cells import (
    auroc,
    false_positive_rate,
    fit_mahalanobis,
    fit_nearest,
    fit_vim,
    mahalanobis_scores,
    nearest_scores,
    vim_scores,
)
from bmjax.files import write_json, write_whole
from bmjax.main import main as train
from bmjax.npz_file import read_npz

_LEFT_OUT = ("EOS", "NGB")  # unlike all others, and much like NGS
_OTHER_SOURCE = ("ART", "BLA")
_KINDS = ("held-out class", "other source", "garbled")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG")
_SETTINGS = ("--config=supervised:small", "--config.data.split=kfold")
_FOLDER = Path(__file__).parent / "2026-11-26-unknown-cells"
_Scores = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Train what is missing, judge the detectors, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--data", "--odd", "--workdir"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--out", type=Path, default=_FOLDER)
    options, more = parser.parse_known_args()
    figures = {}
    for name in _LEFT_OUT:
        run = options.workdir / name
        excluded = (*_OTHER_SOURCE, name)
        command = [
            *_SETTINGS,
            f"--config.data.exclude={','.join(excluded)}",
            f"--config.data.root={options.data}",
            f"--workdir={run}",
            *more,
        ]
        if code := train(command):
            raise SystemExit(code)
        figures[name] = judged(
            run,
            _labels(options.data, excluded),
            unknown_cells(options.data, options.odd, name),
        )
    options.out.mkdir(exist_ok=True)
    write_json(options.out / "scores.json", figures)
    write_whole(options.out / "RESULT.md", page(figures, more))


def unknown_cells(data: Path, odd: Path, name: str) -> dict[str, list[Path]]:
    """Paths of unknown cells, by what is unknown of them."""
    return {
        "held-out class": _images(data / name),
        "other source": [path for one in _OTHER_SOURCE for path in _images(data / one)],
        "garbled": [
            path for path in _images(odd / "matek_garbled") if name not in path.parts
        ],
    }


def judged(
    run: Path, labels: np.ndarray, unknown: dict[str, list[Path]]
) -> dict[str, dict]:
    """AUROC and false-positive rate at 95 % of each detector on each kind of cells."""
    encoder = bmjax.load(run)
    known = np.load(run / "features" / "test.npy")
    features = {kind: encoder.features(paths) for kind, paths in unknown.items()}
    found: dict[str, dict] = {}
    for detector, scores in detectors(run, labels).items():
        of_known = scores(known)
        found[detector] = {
            kind: {
                "known": len(known),
                "unknown": len(rows),
                "auroc": auroc(of_known, scores(rows)),
                "fpr_at_95": false_positive_rate(of_known, scores(rows)),
            }
            for kind, rows in features.items()
        }
    return found


def detectors(run: Path, labels: np.ndarray) -> dict[str, _Scores]:
    """The three, fitted on a run's training features."""
    features = np.load(run / "features" / "train.npy")
    linear = Linear(**read_npz(run / "features" / "linear.npz", Linear._fields))
    kernel = feature_weights(linear)
    fitted = fit_mahalanobis(features, labels)
    kept = fit_nearest(features, labels)
    vim = fit_vim(features, kernel, linear.bias - linear.mean @ kernel)
    return {
        "Mahalanobis": lambda rows: mahalanobis_scores(fitted, rows),
        "nearest": lambda rows: nearest_scores(kept, rows),
        "ViM": lambda rows: vim_scores(vim, rows),
    }


def page(figures: dict[str, dict], more: list[str]) -> str:
    """RESULT.md: a row for each held-out class and detector."""
    rows = [
        (
            name,
            detector,
            *(
                f"{kinds[kind]['auroc']:.3f} / {kinds[kind]['fpr_at_95']:.2f}"
                for kind in _KINDS
            ),
        )
        for name, detectors in figures.items()
        for detector, kinds in detectors.items()
    ]
    means = [
        (
            "mean",
            detector,
            *(
                f"{_mean(figures, detector, kind, 'auroc'):.3f} / "
                f"{_mean(figures, detector, kind, 'fpr_at_95'):.2f}"
                for kind in _KINDS
            ),
        )
        for detector in next(iter(figures.values()))
    ]
    lines = [
        "| class left out | detector | " + " | ".join(_KINDS) + " |",
        "|---|---|" + "---|" * len(_KINDS),
        *("| " + " | ".join(row) + " |" for row in [*rows, *means]),
    ]
    return (
        f"""# Cells that a network has not seen, on real cells

`python -m experiments.unknown_cells ... {" ".join(more)}`

Each figure is AUROC / share of unknown cells that pass where 95 % of the known test
cells do. An AUROC of 0.5 is chance; a share of 0.95 means that nothing is seen. Each
row is of one small network, trained on some thousand cells of one source: no figure
holds for another network. Other source: ART and BLA, which are of other classes too, so
that the figure is not of the source alone. Garbled are 7 to 8 cells.

A class that looks like one that is known may not be seen at all, whatever the detector.
A run keeps the Mahalanobis detector, since it saw the other source best and needs no
classifier; it is for foreign cases and no means to find a class that was left out.

"""
        + "\n".join(lines)
        + "\n"
    )


def _mean(figures: dict[str, dict], detector: str, kind: str, key: str) -> float:
    return float(np.mean([one[detector][kind][key] for one in figures.values()]))


def _labels(data: Path, excluded: tuple[str, ...]) -> np.ndarray:
    """Of the training part, as the run has split it."""
    catalog = read_catalog(data, exclude=excluded)
    return catalog.labels[make_split(catalog, name="kfold", fold=0, seed=0).train]


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES)


if __name__ == "__main__":
    main()
