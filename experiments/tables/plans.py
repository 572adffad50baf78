"""The runs behind the paper's tables: which configuration, at which scale, on what."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bmjax.errors import ConfigError

SCALES = ("paper", "small", "demo")
IMPLEMENTATIONS = ("as_written", "as_run")
PRETRAIN_ON = ("train", "all")
# Ours: two CPU cores pretrain two such systems in minutes.
DEMO_IMAGES = 1050
_DEMO = (
    "--config.data.synthetic_images=0",
    "--config.data.size=48",
    "--config.model.convolutions=matmul",
    "--config.probe.epochs=30",
    "--config.tsne.images=300",
)


class PlannedSystem(NamedTuple):
    """One system of a table.

    Attributes:
        config: name of its file in configs/.
        variants: of that file, before those of the scale.
        labels: whether it learns from labels; one that does not comes in two kinds.
        demo: its further overrides on synthetic cells.
        small: its further overrides at the small scale.
    """

    config: str
    variants: tuple[str, ...]
    labels: bool
    demo: tuple[str, ...]
    small: tuple[str, ...] = ()


_SUPERVISED = (
    "--config.model.name=resnet_tiny",  # ten runs in minutes
    "--config.data.per_class=40",
    "--config.train.duration=5 epochs",
)
_SWAV = PlannedSystem(
    "swav",
    (),
    False,
    ("--config.train.duration=12 epochs", "--config.method.queue_from=3 epochs"),
)
TABLES = {  # table: its systems by the key that they are published under
    "table2": {
        "resnext50": PlannedSystem(
            "supervised",
            ("20epochs",),
            True,
            _SUPERVISED,
            ("--config.train.duration=20 epochs",),
        )
    },
    "table3": {
        "resnext50": PlannedSystem("supervised", (), True, _SUPERVISED),
        "resnext50_mixup": PlannedSystem("mixup", (), True, _SUPERVISED),
    },
    "table4": {
        "swav": _SWAV,
        "supcon": PlannedSystem(
            "supcon", (), True, ("--config.train.duration=12 epochs",)
        ),
    },
    "figure2": {"swav": _SWAV},
}
FIVE_FOLDS = ("table3",)  # the others are on one split, unless folds are given


class Plan(NamedTuple):
    """What a command was asked for.

    Attributes:
        table: "table2", "table3", "table4" or "figure2".
        data: folder of images; at the scale demo, where they are drawn.
        workdir: absolute; each run has a folder in it.
        scale: one of `SCALES`.
        folds: of the five; (): one 80/20 split.
        seeds: of training.
        kind: one of `IMPLEMENTATIONS`, for the supervised systems.
        pretrain_on: one of `PRETRAIN_ON`, for systems without labels.
        exclude: class folders to leave out.
        more: further arguments of every run.
    """

    table: str
    data: Path
    workdir: Path
    scale: str
    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    kind: str
    pretrain_on: str
    exclude: tuple[str, ...]
    more: tuple[str, ...]


class Job(NamedTuple):
    """One run: its place in the table, its folder and the arguments of bmjax.main."""

    system: str
    fold: int | None
    seed: int
    workdir: Path
    arguments: tuple[str, ...]


def jobs(plan: Plan) -> list[Job]:
    """The runs of a plan, seed by seed, fold by fold, system by system."""
    return [
        _job(plan, key, fold, seed)
        for seed in plan.seeds
        for fold in plan.folds or (None,)
        for key in TABLES[plan.table]
    ]


def _job(plan: Plan, key: str, fold: int | None, seed: int) -> Job:
    system = TABLES[plan.table][key]
    as_run = plan.kind == "as_run" and system.config in ("supervised", "mixup")
    if as_run and plan.scale != "paper":
        raise ConfigError(
            f"--kind=as_run is what the authors' code did at --scale=paper; at "
            f"--scale={plan.scale} use --kind=as_written"
        )
    scale = () if plan.scale == "paper" else (plan.scale,)
    variants = (*system.variants, *(("as_run",) if as_run else ()), *scale)
    name = [key, *system.variants, *(("as_run",) if as_run else ())]
    if not system.labels:
        name.append(f"pretrained_on_{plan.pretrain_on}")
    name += ["split" if fold is None else f"fold{fold}", f"seed{seed}"]
    workdir = plan.workdir / "-".join(name)
    arguments = [
        f"--config={system.config}{':' * bool(variants)}{','.join(variants)}",
        f"--workdir={workdir}",
        f"--config.data.root={plan.data}",
        f"--config.seed={seed}",
        *(
            ("--config.data.split=holdout",)
            if fold is None
            else ("--config.data.split=kfold", f"--config.data.fold={fold}")
        ),
    ]
    if plan.exclude:
        arguments.append(f"--config.data.exclude={','.join(plan.exclude)}")
    if not system.labels and plan.pretrain_on != "train":
        arguments.append(f"--config.data.pretrain_on={plan.pretrain_on}")
    if plan.scale == "small":
        arguments += system.small
    if plan.scale == "demo":
        arguments += [*_DEMO, *system.demo]
    return Job(key, fold, seed, workdir, (*arguments, *plan.more))


def numbers(text: str, option: str, below: int | None = None) -> tuple[int, ...]:
    """Read "0,1,4" or "0-4".

    Raises:
        ConfigError: no such numbers, one twice, or one out of range.
    """
    named: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdigit() and (last or first).isdigit()):
            raise ConfigError(
                f"{option} = {text!r} is no list of numbers; write it as 0,1,2 or 0-4"
            )
        named += range(int(first), int(last or first) + 1)
    if repeated := sorted({n for n in named if named.count(n) > 1}):
        raise ConfigError(f"{option} = {text!r} names {repeated[0]} twice")
    if below is not None and (beyond := [n for n in named if n >= below]):
        raise ConfigError(
            f"{option} = {text!r} names fold {beyond[0]}, and there are 0 to "
            f"{below - 1}"
        )
    if not named:
        raise ConfigError(f"{option} = {text!r} names no number")
    return tuple(named)


def remarks_on(plan: Plan) -> Sequence[str]:
    """What has to be said of all metrics of a plan."""
    notes = []
    if plan.scale == "demo":
        notes.append(
            "Synthetic cells and a small network: these metrics say that the code "
            "runs, and nothing about cells."
        )
    if plan.scale == "small":
        notes.append(
            "Scale small: a small network at 96 pixels, not the paper's; differences "
            "from the paper's metrics say nothing about its method."
        )
    if plan.scale == "paper" and plan.kind == "as_run":
        notes.append("As run: one of the four models that the authors' code trained.")
    if any(not system.labels for system in TABLES[plan.table].values()):
        seen = {
            "train": "SwAV was pretrained on the training part alone.",
            "all": "SwAV was pretrained on all images, those of the test part too, "
            "without labels (transductive).",
        }
        notes.append(seen[plan.pretrain_on])
    if plan.exclude:
        notes.append(f"Left out: {', '.join(plan.exclude)}.")
    return notes
