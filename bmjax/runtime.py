"""How jax is started: devices on a CPU, and the cache of compiled programs."""

import contextlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path

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

_HIT = "/jax/compilation_cache/cache_hits"


def start_jax(*, devices: int) -> None:
    """Set jax up before its first use.

    Where there is no accelerator, `devices` of them are made out of the CPU, so that
    the four-device program can be run anywhere. Compiled programs are kept in
    $XDG_CACHE_HOME/bmjax (~/.cache/bmjax): a second start takes them from there.
    """
    import jax

    if devices > 1:
        # Where jax runs already, as in a notebook, its devices are what they are.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", devices)
    if not jax.config.jax_compilation_cache_dir:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(home) / "bmjax"))
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


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found
