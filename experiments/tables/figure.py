"""Figure 2: the map of SwAV's features that its run has made, drawn as a file."""

import json
from collections.abc import Sequence

from bmjax.errors import DONE, DataError
from bmjax.files import write_whole
from bmjax.report.maps import map_file
from experiments.tables.measured import read_finished
from experiments.tables.pages import stem
from experiments.tables.plans import Job, Plan, remarks_on


def write_figure(plan: Plan, jobs: Sequence[Job], *, as_json: bool) -> int:
    """Draw the map of each finished run into the workdir; return an exit code.

    Raises:
        DataError: a run is not finished, or made no map.
    """
    drawn = []
    for job in jobs:
        run = read_finished(job).files
        if not run.points:
            raise DataError(
                f"the run in {str(job.workdir)!r} has no embedding.csv; move the "
                "folder away and run it again"
            )
        tsne = run.config["tsne"]
        caption = " ".join(
            [
                f"t-SNE of SwAV's frozen features ({run.results['network']}), "
                f"{len(run.points):,} of {len(run.predictions.paths):,} test images, "
                "classes in proportion and ten images of each at least where there are "
                f"so many; perplexity {tsne['perplexity']:g}, started from the two "
                f"first principal components, seed {job.seed}.",
                *remarks_on(plan),
                "The paper does not give the settings of its Figure 2, nor which "
                "images it shows. Near in the map is near among the features; sizes of "
                "groups and distances between them mean little.",
            ]
        )
        name = stem(plan) + (f"-{job.workdir.name}" if len(jobs) > 1 else "")
        svg = plan.workdir / f"{name}.svg"
        write_whole(svg, map_file(run.points, run.predictions.classes, caption))
        files = [str(svg), str(job.workdir / "embedding.csv")]
        drawn.append({"run": job.workdir.name, "caption": caption, "files": files})
    if as_json:
        print(json.dumps({"figure": "figure2", "drawn": drawn}, indent=1))
    else:
        for entry in drawn:
            print(entry["caption"], *entry["files"], sep="\n")
    return DONE
