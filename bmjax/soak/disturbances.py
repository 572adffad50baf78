"""What is done to a run, drawn from a generator: signals, faults and damage."""

import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bmjax.errors import CHECKPOINT, INTERRUPTED, STOPPED
from bmjax.training.manifest import manifest_path, manifest_steps, whole_manifest


class Disturbance(NamedTuple):
    """One thing that is done to a run.

    Attributes:
        name: in the table.
        codes: that the process may end with. All may end with 0 too: the run was done
            before the disturbance came.
        number: of the signal that is sent; 0: none.
        share: of the undisturbed run's seconds, until the signal.
        fault: what BMJAX_FAULT asks the process for.
        damage: done to the newest checkpoint afterwards: damage(folder, random) says
            what it did, or "" where there is no second whole one to fall back on.
    """

    name: str
    codes: tuple[int, ...]
    number: int = 0
    share: float = 0.0
    fault: str = ""
    damage: Callable[[Path, random.Random], str] | None = None


# A process that has only just begun dies of the signal.
_SIGNALS = {
    "kill": (signal.SIGKILL, (-signal.SIGKILL,)),
    "SIGTERM": (signal.SIGTERM, (STOPPED, -signal.SIGTERM)),
    "SIGHUP": (signal.SIGHUP, (STOPPED, -signal.SIGHUP)),
    "Ctrl-C": (signal.SIGINT, (INTERRUPTED, -signal.SIGINT)),
}
_SAVE = ("begun", "staged", "renamed", "saved")  # points of a save


_SAVING = 0.3  # of the undisturbed run's time, by when it has saved
_LATEST = 0.8  # of the undisturbed run's time: a run that goes on takes less


def draw(chance: random.Random, *, saves: list[int]) -> Disturbance:
    """Draw a disturbance; `saves` are the steps at which the run has yet to save."""
    kinds = [_signal, _signal, _damage, _full_disk]
    if saves:
        kinds += [_kill_in_save]
    return chance.choice(kinds)(chance, saves)


def _signal(chance: random.Random, saves: list[int]) -> Disturbance:
    del saves
    name = chance.choice(list(_SIGNALS))
    number, codes = _SIGNALS[name]
    return Disturbance(name, codes, number, _LATEST * chance.random())


def _kill_in_save(chance: random.Random, saves: list[int]) -> Disturbance:
    fault = f"checkpoint.{chance.choice(_SAVE)}@{chance.choice(saves)}:kill"
    return Disturbance("kill within a save", (-signal.SIGKILL,), fault=fault)


def _full_disk(chance: random.Random, saves: list[int]) -> Disturbance:
    points = [f"checkpoint.{point}@{step}" for point in _SAVE[:-1] for step in saves]
    fault = f"{chance.choice([*points, 'features.writing'])}:full"
    return Disturbance("full disk", (CHECKPOINT,), fault=fault)


def _damage(chance: random.Random, saves: list[int]) -> Disturbance:
    del saves
    name = chance.choice(list(_DAMAGES))
    number, codes = _SIGNALS["kill"]
    return Disturbance(
        f"kill, then {name}",
        codes,
        number,
        chance.uniform(_SAVING, _LATEST),
        damage=_DAMAGES[name],
    )


def _newest(folder: Path) -> int | None:
    """The newest step, where another whole one is there to fall back on."""
    steps = manifest_steps(folder)
    whole = [step for step in steps if whole_manifest(folder, step)]
    return steps[-1] if len(whole) > 1 else None


def _of_a_file(
    alter: Callable[[Path, random.Random], str],
) -> Callable[[Path, random.Random], str]:
    """Damage to one file of the newest checkpoint, its manifest among them."""

    def damage(folder: Path, chance: random.Random) -> str:
        step = _newest(folder)
        if step is None:
            return ""
        inside = (folder / str(step)).rglob("*")
        files = sorted(path for path in inside if path.is_file())
        path = chance.choice([*files, manifest_path(folder, step)])
        return f"{path.relative_to(folder)} {alter(path, chance)}"

    return damage


def _flip(path: Path, chance: random.Random) -> str:
    content = bytearray(path.read_bytes())
    if content:
        place = chance.randrange(len(content))
        content[place] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
    return "has a flipped bit"


def _cut(path: Path, chance: random.Random) -> str:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content) + 1)])
    return "is cut"


def _remove(path: Path, chance: random.Random) -> str:
    del chance
    path.unlink()
    return "is gone"


def _remove_manifest(folder: Path, chance: random.Random) -> str:
    del chance
    step = _newest(folder)
    if step is None:
        return ""
    manifest_path(folder, step).unlink()
    return f"{step}.json is gone"


def _remove_arrays(folder: Path, chance: random.Random) -> str:
    del chance
    step = _newest(folder)
    if step is None:
        return ""
    shutil.rmtree(folder / str(step))
    return f"{step}/ is gone"


_DAMAGES = {
    "a bit flipped": _of_a_file(_flip),
    "a file cut": _of_a_file(_cut),
    "a file removed": _of_a_file(_remove),
    "the manifest removed": _remove_manifest,
    "the arrays removed": _remove_arrays,
}
