"""The map of SwAV's features, drawn from its finished run."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bmjax.errors import DONE, DataError
from bmjax.files import write_csv, write_whole
from experiments.tables.plans import Job, Plan, remarks_on

IMAGES = 5000  # ours: what a page shows legibly
PERPLEXITY = 30.0  # scikit-learn's


def write_figure(plan: Plan, jobs: Sequence[Job], *, as_json: bool) -> int:
    """Draw the map of each finished run into the workdir; return an exit code.

    Raises:
        DataError: a run is not finished, or its features do not fit its predictions.
    """
    from experiments.tables.pages import stem

    drawn = []
    for job in jobs:
        name = stem(plan) + (f"-{job.workdir.name}" if len(jobs) > 1 else "")
        drawn.append(_draw(plan, job, plan.workdir / name))
    if as_json:
        print(json.dumps({"figure": "figure2", "drawn": drawn}, indent=1))
    else:
        for entry in drawn:
            print(entry["caption"], *entry["files"], sep="\n")
    return DONE


def _draw(plan: Plan, job: Job, base: Path) -> dict:
    from bmjax.evals.tsne import embed_2d
    from bmjax.report.scatter_map import scatter
    from experiments.tables.measured import read_finished

    run = read_finished(job)
    paths, classes, labels = run.files.predictions[:3]
    features = _features(job.workdir / "features" / "test.npy", len(paths))
    rows, places = embed_2d(
        features, labels, images=IMAGES, perplexity=PERPLEXITY, seed=job.seed
    )
    shown = [(paths[row], classes[labels[row]]) for row in rows]
    caption = " ".join(
        [
            f"t-SNE of SwAV's frozen features ({run.files.results['network']}), "
            f"{len(rows):,} of {len(paths):,} test images, classes in proportion and "
            "ten images of each at least where there are so many; perplexity "
            f"{PERPLEXITY:g}, started from the two first principal components, seed "
            f"{job.seed}.",
            *remarks_on(plan),
            "The paper does not give the settings of its Figure 2, nor which images it "
            "shows. Near in the map is near among the features; sizes of groups and "
            "distances between them mean little.",
        ]
    )
    write_csv(
        base.with_suffix(".csv"),
        ("path", "label", "x", "y"),
        [
            (path, label, f"{x:.4f}", f"{y:.4f}")
            for (path, label), (x, y) in zip(shown, places, strict=True)
        ],
    )
    svg = base.with_suffix(".svg")
    write_whole(svg, scatter(places, [label for _, label in shown], classes, caption))
    files = [str(svg), str(base.with_suffix(".csv"))]
    return {"run": job.workdir.name, "caption": caption, "files": files}


def _features(path: Path, images: int) -> np.ndarray:
    try:
        features = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be used: {error}") from None
    if len(features) != images or not np.isfinite(features).all():
        raise DataError(
            f"{str(path)!r} holds {len(features):,} rows for {images:,} test images, "
            "or what is no number; move the run's folder away and run it again"
        )
    return features
