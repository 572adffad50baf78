"""What the machine has and can do: memory, and the speed of a matrix product."""

import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh

from bmjax.devices.mesh import batch_sharded

# Rows and columns of the matrices (ours): large enough for the processor's best speed,
# small enough that a product takes a fraction of a second.
_CPU_SIZE, _ACCELERATOR_SIZE = 1024, 8192
_BURST = 8  # products under way on an accelerator, of some milliseconds each (ours)
_VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}  # widest first, as Linux has them
_CGROUPS = Path("/sys/fs/cgroup")


class Memory(NamedTuple):
    """How much memory there is to take."""

    size: int  # bytes that can still be taken
    what: str  # of what, for a sentence
    shared: bool  # by all devices of the mesh, as the CPU's are by its devices


def memory_left(mesh: Mesh) -> Memory | None:
    """Memory that a program on these devices can still take; None where none tells.

    On accelerators the least that is left on any of the devices, by their own
    statistics. On a CPU what the system calls available, or what is left below the
    limit of this process's control group where that is less.
    """
    if mesh.devices.flat[0].platform != "cpu":
        stats = [device.memory_stats() or {} for device in mesh.local_devices]
        if not all("bytes_limit" in each for each in stats):
            return None
        left = min(each["bytes_limit"] - each["bytes_in_use"] for each in stats)
        return Memory(left, "on each device", shared=False)
    left = host_memory_left()
    return None if left is None else Memory(left, "in this machine", shared=True)


def host_memory_left() -> int | None:
    """Bytes that this process can still take; None where nothing tells.

    What the system calls available, or what is left below the limit of this process's
    control group or of its own (ulimit -v) where that is less.
    """
    rooms = (_available(), _address_room(), *_cgroup_rooms())
    return min((size for size in rooms if size is not None), default=None)


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name and its widest vector instructions, as far as they are told.

    Args:
        cpuinfo: the file in which Linux describes its processors.
    """
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in lines)
    # The last processor described stands for all.
    told = {key.strip(): value.strip() for key, _, value in pairs}
    flags = told.get("flags", "").split()
    widest = [name for flag, name in _VECTORS.items() if flag in flags][:1]
    return ", ".join([told.get("model name", platform.machine()), *widest])


def peak_memory(mesh: Mesh) -> tuple[int, str]:
    """The most memory held so far, in bytes, and by whom: "device" or "process".

    The fullest device's own count where it keeps one, or else the resident memory of
    the whole process at its highest.
    """
    stats = [device.memory_stats() or {} for device in mesh.local_devices]
    if all("peak_bytes_in_use" in each for each in stats):
        return max(each["peak_bytes_in_use"] for each in stats), "device"
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return highest * unit, "process"


def make_matrix_product(mesh: Mesh, dtype: Any) -> tuple[Callable[[], Array], int]:
    """Return a compiled matrix product on all devices at once, and its operations.

    Each device multiplies its own square matrix with itself.
    """
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    size = _CPU_SIZE if on_cpu else _ACCELERATOR_SIZE
    dealt = batch_sharded(mesh)
    # Small random numbers: equal ones would cost an accelerator less power and let it
    # run faster than any data do, and a product of small ones overflows in no type.
    block = np.random.Generator(np.random.PCG64(0)).normal(0, 0.01, (_CPU_SIZE,) * 2)
    times = size // _CPU_SIZE
    matrices = jax.device_put(
        np.broadcast_to(
            np.tile(block.astype(np.float32), (times, times)), (mesh.size, size, size)
        ),
        dealt,
    ).astype(dtype)
    product = jax.jit(lambda a: a @ a, out_shardings=dealt).lower(matrices).compile()
    return lambda: product(matrices), 2 * mesh.size * size**3


def matrix_speed(
    product: Callable[[], Array], operations: int, *, seconds: float
) -> float:
    """Floating-point operations a second of a product repeated for some time."""
    product().block_until_ready()
    # Several are handed over at a time, so that a fast device never waits for the host.
    burst = 1 if next(iter(product().devices())).platform == "cpu" else _BURST
    rounds, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds or not rounds:
        made = [product() for _ in range(burst)]
        made[-1].block_until_ready()
        rounds += burst
    return rounds * operations / spent


def _available() -> int | None:
    """What the system says can be taken without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _address_room() -> int | None:
    """What is left below this process's limit of addresses; None without one."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return None
    return max(0, limit - pages * resource.getpagesize())


def _cgroup_rooms() -> list[int | None]:
    """What is left below the limit of each control group that this process is in."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    rooms: list[int | None] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, limit, usage = _CGROUPS, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root = _CGROUPS / "memory"
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = root / path.lstrip("/")
        # Inside a container the path may be that of the host, and only the root there.
        for place in dict.fromkeys([group, *group.parents, root]):
            if place == root or root in place.parents:
                rooms.append(_room(place, limit, usage))
    return rooms


def _room(group: Path, limit: str, usage: str) -> int | None:
    try:
        most = (group / limit).read_text().strip()
        if most == "max":
            return None
        used = int((group / usage).read_text())
        stat = dict(
            line.split() for line in (group / "memory.stat").read_text().splitlines()
        )
    except (OSError, ValueError):
        return None
    # Cached files count as used, but are given back when asked for.
    cached = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return max(0, int(most) - used + cached)
