"""Whether a command is one of several processes, and where these meet.

The settings say so (`config.mesh`), or a launcher: Slurm's srun and Open MPI's mpirun
by their environment variables, an indexed Job of Kubernetes for the number of the
process. jax is not asked: its own detection gives each process one device, and takes a
batch script for the first process of many.
"""

import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bmjax.errors import ConfigError

WAIT = 300  # seconds for which the processes wait for each other at the start
_RANKS = ("SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "JOB_COMPLETION_INDEX")
_PORTS = 61440, 4096  # first port and number of ports that a Slurm job draws from
_MPI_PORT = 61439
_EVERY = 0.5  # seconds between two tries to connect
_GPUS = Path("/proc/driver/nvidia/gpus")


class Cluster(NamedTuple):
    """The processes of a command, and which of them this one is.

    Attributes:
        coordinator: "HOST:PORT" of process 0.
        processes: how many there are, 2 or more.
        process: number of this one, from 0.
        devices: numbers of the visible accelerators that this process takes, where
            others of its machine see the same ones; None: all that it sees.
        named_by: who said so, for messages.
    """

    coordinator: str
    processes: int
    process: int
    devices: tuple[int, ...] | None = None
    named_by: str = "config.mesh"


def find_cluster(
    coordinator: str, processes: int, process: int, environment: Mapping[str, str]
) -> Cluster | None:
    """Return the cluster, or None for a command of one process.

    What is set beats what is detected.

    Args:
        coordinator: config.mesh.coordinator, "" where it is not set.
        processes: config.mesh.processes, 0 where it is not set.
        process: config.mesh.process, -1 where it is not set.
        environment: `os.environ`.

    Raises:
        ConfigError: a number that cannot be, or one that is missing.
    """
    found = _slurm(environment) or _open_mpi(environment)
    count = processes or (found.processes if found else 1)
    if count == 1:
        if coordinator and not processes:
            raise ConfigError(
                f"config.mesh.coordinator = {coordinator!r} is set, and no launcher "
                "says how many processes there are; add --config.mesh.processes=N and "
                "--config.mesh.process=I, I from 0"
            )
        return None
    named_by = "config.mesh" if processes else found.named_by
    if process < 0:
        process = _rank(environment, count)
    if process >= count:
        raise ConfigError(
            f"config.mesh.process = {process}, but there are {count} processes, "
            f"numbered from 0; give 0 to {count - 1}"
        )
    address = coordinator or (found.coordinator if found else "")
    if not address:
        raise ConfigError(
            f"{count} processes have to know where process 0 is; add "
            "--config.mesh.coordinator=HOST:PORT with the name of its machine and a "
            "free port"
        )
    _host_and_port(address)
    return Cluster(address, count, process, found.devices if found else None, named_by)


def check_reachable(
    cluster: Cluster,
    *,
    environment: Mapping[str, str] = os.environ,
    wait: float = WAIT,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Find out in a sentence what jax would wait for without a word.

    Process 0 looks whether the address is its own machine's and free, the others
    whether somebody listens there.

    Args:
        cluster: of this process.
        environment: for the proxies that stand in it.
        wait: seconds until process 0 has to listen.
        say: hears that this process waits.

    Raises:
        ConfigError: the address cannot be used.
    """
    host, port = _host_and_port(cluster.coordinator)
    where = f"config.mesh.coordinator = {cluster.coordinator!r}"
    if cluster.named_by != "config.mesh":
        where = f"the coordinator {cluster.coordinator!r} (by {cluster.named_by})"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"{where} names a machine that is not known here ({error}); give the name "
            "or address of process 0's machine as this one knows it"
        ) from None
    family, kind, _, _, address = found[0]
    if cluster.process == 0:
        _check_free(family, kind, address, where)
    else:
        _wait_until_heard(family, kind, address, where, environment, wait, say)


def _check_free(family: int, kind: int, address: tuple, where: str) -> None:
    try:
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise ConfigError(
            f"{where} is {address[0]} port {address[1]}, and process 0 on "
            f"{socket.gethostname()!r} cannot listen there ({error.strerror}); give "
            "this machine's own name, and a port that is free"
        ) from None


def _wait_until_heard(
    family: int,
    kind: int,
    address: tuple,
    where: str,
    environment: Mapping[str, str],
    wait: float,
    say: Callable[[str], None],
) -> None:
    end, told = time.monotonic() + wait, False
    while True:
        try:
            with socket.socket(family, kind) as tried:
                tried.settimeout(max(_EVERY, 5.0))
                tried.connect(address)
                return
        except OSError as error:
            why = error.strerror or str(error)
        if time.monotonic() >= end:
            break
        if not told:
            say(f"waiting for process 0 at {address[0]} port {address[1]}")
            told = True
        time.sleep(_EVERY)
    loopback = address[0].startswith("127.") or address[0] == "::1"
    proxies = [name for name in environment if name.lower().endswith("_proxy")]
    hint = "start process 0, and let its port through the firewall"
    if loopback:
        hint = (
            f"that is this machine itself ({socket.gethostname()!r}); if process 0 "
            "runs on another one, give that one's address"
        )
    elif proxies:
        hint += f", and unset {', '.join(sorted(proxies))} where they get in the way"
    raise ConfigError(
        f"{where} is {address[0]} port {address[1]}, where nobody listened for "
        f"{wait:.0f} seconds ({why}); {hint}"
    )


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ConfigError(
            f"config.mesh.coordinator = {address!r} is not HOST:PORT, as node1:12345"
        )
    return host.strip("[]"), int(port)


def _rank(environment: Mapping[str, str], count: int) -> int:
    for name in _RANKS:
        if environment.get(name, "").isdigit():
            return int(environment[name])
    raise ConfigError(
        f"config.mesh.processes = {count}, and nothing says which of them this is; add "
        f"--config.mesh.process=I, 0 to {count - 1}"
    )


def _slurm(environment: Mapping[str, str]) -> Cluster | None:
    """What srun says; None outside of it, also in the batch script that calls it.

    Only srun sets the variables of a step.
    """
    count = _number(environment, "SLURM_STEP_NUM_TASKS")
    nodes = environment.get("SLURM_STEP_NODELIST", "")
    job = _number(environment, "SLURM_JOB_ID")
    if count < 2 or not nodes or not job:
        return None
    step = _number(environment, "SLURM_STEP_ID")
    first, ports = _PORTS
    local = _first_count(environment.get("SLURM_STEP_TASKS_PER_NODE", ""))
    return Cluster(
        f"{first_node(nodes)}:{first + (job + step) % ports}",
        count,
        _number(environment, "SLURM_PROCID"),
        _own_devices(_number(environment, "SLURM_LOCALID"), local, environment),
        "Slurm",
    )


def _open_mpi(environment: Mapping[str, str]) -> Cluster | None:
    """What mpirun says; the address only where all processes are on one machine."""
    count = _number(environment, "OMPI_COMM_WORLD_SIZE")
    if count < 2:
        return None
    local = _number(environment, "OMPI_COMM_WORLD_LOCAL_SIZE")
    index = _number(environment, "OMPI_COMM_WORLD_LOCAL_RANK")
    return Cluster(
        f"localhost:{_MPI_PORT}" if local == count else "",
        count,
        _number(environment, "OMPI_COMM_WORLD_RANK"),
        _own_devices(index, local, environment),
        "Open MPI",
    )


def first_node(nodes: str) -> str:
    """The first name of a list as Slurm writes it: "n[01-03,7],m2" is "n01"."""
    match = re.match(r"([^,\[]*)(?:\[([^,\]-]*)[^\]]*\]([^,\[]*))?", nodes)
    return "".join(filter(None, match.groups())) if match else nodes


def _first_count(counts: str) -> int:
    """Tasks of the first machine in Slurm's "4(x2),3"; 1 where it says nothing."""
    match = re.match(r"\d+", counts)
    return int(match[0]) if match else 1


def _own_devices(
    index: int, local: int, environment: Mapping[str, str]
) -> tuple[int, ...] | None:
    """The accelerators of one of `local` processes that all see the same ones.

    A launcher that shows each process its own, as `srun --gpus-per-task`, leaves
    nothing to share out.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        count = len([name for name in visible.split(",") if name])
    else:
        count = len(list(_GPUS.iterdir())) if _GPUS.is_dir() else 0
    if local < 2 or count < local:
        return None
    share = count // local
    return tuple(range(index * share, (index + 1) * share))


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    return int(text) if text.isdigit() else 0
