"""The runs of a table as a Slurm job array."""

from collections.abc import Sequence

from experiments.tables.plans import Job
from experiments.tables.runs import command_line

_WARNED = 120  # seconds before the time limit at which a run is told to save; ours


def job_array(table: str, todo: Sequence[Job]) -> str:
    """A batch script with one task for each run, to be handed to sbatch.

    A run that is stopped saves and ends with exit code 75; handed in again, the script
    goes on with what is not done. The table is made by the same command with --no-run.
    """
    cases = [f"  {n}) exec {command_line(job)} ;;" for n, job in enumerate(todo)]
    return "\n".join(
        [
            "#!/bin/bash",
            f"#SBATCH --job-name={table}",
            f"#SBATCH --array=0-{len(todo) - 1}",
            "#SBATCH --gpus-per-task=1",
            "#SBATCH --cpus-per-task=8",
            "#SBATCH --time=24:00:00",
            "#SBATCH --requeue",
            f"#SBATCH --signal=B:TERM@{_WARNED}",
            f"# {len(todo)} runs of {table}. A run that meets the time limit saves and",
            "# ends with exit code 75: hand this script in again, and it goes on.",
            'case "$SLURM_ARRAY_TASK_ID" in',
            *cases,
            '  *) echo "no run has the number $SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;',
            "esac",
        ]
    )
