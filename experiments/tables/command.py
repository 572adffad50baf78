"""The command behind `python -m experiments.table2`, `table3`, `table4`, `figure2`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bmjax.console.command import run_command
from bmjax.errors import DONE, ConfigError
from bmjax.parts.claims import SILENT
from experiments.tables.plans import (
    FIVE_FOLDS,
    IMPLEMENTATIONS,
    PRETRAIN_ON,
    SCALES,
    Job,
    Plan,
    jobs,
    numbers,
)

_EPILOG = """\
The same command goes on where it was stopped, finished runs are left alone, and tables
of one scale share a workdir and its runs. Started on several machines with one shared
workdir, it shares the runs out, and each ends with the same table. Arguments
--config.KEY=VALUE go to every run.
Exit codes: 0 done, 2 usage, 3 data, otherwise that of the run that failed (75 stopped
by SIGTERM, 130 by Ctrl-C).
"""


def main(table: str, description: str, arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    parser = _parser(table, description)
    options, more = parser.parse_known_args(arguments)
    if strange := [a for a in more if not a.startswith("--config.")]:
        parser.error(f"unrecognized arguments: {' '.join(strange)}")
    if options.published:
        from experiments.tables.pages import print_published

        return run_command(lambda: print_published(table, as_json=options.json))
    return run_command(lambda: _measured(_plan(table, options, more), options))


def _parser(table: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{table}",
        description=description,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    if table == "figure2":  # a picture: nothing of it is published as numbers
        parser.set_defaults(published=False)
    else:
        add("--published", action="store_true", help="show what is published, run none")
    add("--json", action="store_true", help="give the table as data, and nothing else")
    add("--data", type=Path, metavar="FOLDER", help="of [one folder/]CLASS/**/image")
    add("--workdir", type=Path, metavar="DIR", help="of the runs and the table")
    add(
        "--scale",
        choices=SCALES,
        default="paper",
        help="paper (default): its own configuration, wants GPUs; small: a small "
        "network at 96 pixels, for a CPU; demo: synthetic cells",
    )
    add("--demo", action="store_true", help="the same as --scale=demo; needs no data")
    folds = "0-4" if table in FIVE_FOLDS else "one 80/20 split"
    add("--folds", metavar="0,1,...", help=f"of five (default: {folds})")
    add("--seeds", default="0", metavar="0,1,...", help="of training (default: 0)")
    add("--devices", type=int, metavar="N", help="default: all there are")
    add("--exclude", default="", metavar="CLASS,...", help="classes to leave out")
    if table in ("table2", "table3"):
        add(
            "--kind",
            choices=IMPLEMENTATIONS,
            default="as_written",
            help="what the paper writes, or what the authors' code did",
        )
    else:
        add(
            "--pretrain-on",
            choices=PRETRAIN_ON,
            default="train",
            help="SwAV's images: the training part (default), or all, test images too",
        )
    add("--plan", action="store_true", help="print the commands of the runs, run none")
    add(
        "--format",
        choices=("lines", "slurm"),
        default="lines",
        help="of --plan; slurm: a job array of all runs, to be handed to sbatch",
    )
    add(
        "--silent",
        type=float,
        default=SILENT,
        metavar="SECONDS",
        help="without a sign of life until another worker's run is taken over "
        f"(default: {SILENT:g})",
    )
    add("--no-run", action="store_true", help="make the table of finished runs again")
    return parser


def _plan(table: str, options: argparse.Namespace, more: Sequence[str]) -> Plan:
    scale = "demo" if options.demo else options.scale
    if options.demo and options.scale not in ("paper", "demo"):
        raise ConfigError(f"--demo is --scale=demo, not {options.scale}; give one")
    if options.workdir is None and scale != "demo":
        raise ConfigError("--workdir is missing; give a folder for the runs")
    workdir = (options.workdir or Path("runs/paper-demo")).expanduser().absolute()
    if scale == "demo" and options.data:
        raise ConfigError("--demo draws its own cells; leave --data out")
    if scale != "demo" and not options.data:
        raise ConfigError(
            "--data is missing; give the folder of images, or use --demo, which needs "
            "none, or --published, which runs nothing"
        )
    data = options.data.expanduser().absolute() if options.data else workdir / "cells"
    folds = options.folds or ("0-4" if table in FIVE_FOLDS else "")
    devices = [f"--config.mesh.devices={options.devices}"] if options.devices else []
    return Plan(
        table=table,
        data=data,
        workdir=workdir,
        scale=scale,
        folds=numbers(folds, "--folds", below=5) if folds else (),
        seeds=numbers(options.seeds, "--seeds"),
        kind=getattr(options, "kind", "as_written"),
        pretrain_on=getattr(options, "pretrain_on", "train"),
        exclude=tuple(name for name in options.exclude.split(",") if name),
        more=(*devices, *more),
    )


def _measured(plan: Plan, options: argparse.Namespace) -> int:
    from experiments.tables.job_array import job_array
    from experiments.tables.runs import (
        claim_for_plan,
        command_line,
        hold_claim,
        run_missing,
        state,
    )

    if options.silent <= 0:
        raise ConfigError(f"--silent={options.silent:g}; give seconds above 0")
    if options.format != "lines" and not options.plan:
        raise ConfigError(f"--format={options.format} is of --plan; give both")

    todo = jobs(plan)
    if options.plan and options.format == "slurm":
        print(job_array(plan.table, todo))
        return DONE
    if options.plan:
        for job in todo:
            print(f"{state(job):5s} {command_line(job)}")
        return DONE
    claim_for_plan(plan, silent=options.silent)
    for job in todo:
        state(job)  # what is wrong with any of them is said before the first begins
    silent = options.silent
    if not options.no_run:
        code = run_missing(plan, todo, silent=silent, aside=options.json)
        if code:
            return code
    with hold_claim(plan.workdir, plan.table, silent=silent):
        return _write(plan, todo, options)


def _write(plan: Plan, todo: Sequence[Job], options: argparse.Namespace) -> int:
    from experiments.tables.pages import write_table

    if plan.table == "figure2":
        from experiments.tables.figure import write_figure

        return write_figure(plan, todo, as_json=options.json)
    return write_table(plan, todo, as_json=options.json)
