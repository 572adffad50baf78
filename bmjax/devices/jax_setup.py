"""How jax is started: devices on a CPU, and the cache of compiled programs."""

import contextlib
import ctypes
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from bmjax.console.notes import print_note
from bmjax.errors import check_known

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "numpy",
    "scikit-learn",
    "opencv-python-headless",
)

# Of products of float32 numbers: jax's own choice, or by the names that jax knows.
PRECISIONS = ("default", "tensorfloat32", "float32")

_HIT = "/jax/compilation_cache/cache_hits"


# glibc's malloc.h. The order counts: no arenas but one, whose memory can be kept.
_KEEP_MEMORY = (
    (-8, 1),  # M_ARENA_MAX
    (-4, 0),  # M_MMAP_MAX: no large piece gets a mapping of its own
    (-1, -1),  # M_TRIM_THRESHOLD: never
)


def start_jax(*, devices: int, precision: str = "default") -> None:
    """Set jax up before its first use.

    Where there is no accelerator, `devices` of them are made out of the CPU, so that
    the four-device program can be run anywhere. Compiled programs are kept in
    $XDG_CACHE_HOME/bmjax (~/.cache/bmjax): a second start takes them from there.

    Args:
        devices: to make out of the CPU.
        precision: of products of float32 numbers, one of `PRECISIONS`. A CPU multiplies
            in float32 whatever it is.

    Raises:
        ConfigError: a precision that is not known.
    """
    check_known("config.train.precision", precision, PRECISIONS)
    if not _accelerator_expected():
        _keep_memory()
    import jax

    if devices > 1:
        # Where jax runs already, as in a notebook, its devices are what they are.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", devices)
    if precision != "default":
        jax.config.update("jax_default_matmul_precision", precision)
    if not jax.config.jax_compilation_cache_dir and (folder := _program_cache()):
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@contextlib.contextmanager
def noted_cache_hits() -> Iterator[list[str]]:
    """A list that gets an entry for every program taken from the cache in here."""
    import jax

    found: list[str] = []

    def note(event: str, **details: object) -> None:
        if event == _HIT:
            found.append(event)

    jax.monitoring.register_event_listener(note)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_listener(note)


def _program_cache() -> Path | None:
    """The folder of compiled programs; None, with a note, where there can be none."""
    place: Path | str = "the home folder"
    try:
        place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = place / "bmjax"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # no home: RuntimeError
        print_note(
            f"compiled programs are not kept, since {str(place)!r} cannot be written "
            f"({error}); set XDG_CACHE_HOME to a folder that can"
        )
        return None
    return folder


def _accelerator_expected() -> bool:
    """Whether jax has a plugin for other devices than the CPU, and may use it.

    Asked before jax is imported: memory that is kept has to be so from the start.
    """
    named = os.environ.get("JAX_PLATFORMS", "")
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    return named != "cpu" and bool(plugins)


def _keep_memory() -> None:
    """Have the C library keep freed memory for the next step.

    On CPU a step's temporaries are one piece of memory, some hundred megabytes, which
    would go back to the system after every step and be fetched again, page by page: a
    tenth to a sixth of a ResNet-50's step. On an accelerator nothing is gained by it,
    and threads that decode could wait for the one arena. Only glibc has these settings;
    elsewhere nothing happens. They hold for threads that start later.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for parameter, value in _KEEP_MEMORY:
        mallopt(parameter, value)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found
