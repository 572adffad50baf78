"""Several processes that train one network: their connection and what they agree on.

jax adds up over all their devices. What it does not do is here: one process makes what
all need, all stop before the same step, and one that ends tells the others. Every
process calls these functions in the same order. In a command of one process each
returns at once.

The values pass through the key-value store of jax's coordination service, which jax
has no public name for (Orbax uses it too).
"""

import atexit
import contextlib
import itertools
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import jax

from bmjax.console.escape import on_one_line
from bmjax.devices.cluster import WAIT, Cluster
from bmjax.errors import (
    DEFECT,
    INTERRUPTED,
    PEER_GONE,
    STOPPED,
    BmjaxError,
    ConfigError,
    Stopped,
    first_line,
)

_LOOK = 1.0  # seconds after which a wait lets a signal through
_PAUSE = 0.05  # seconds between two questions
_ENDED = "bmjax/ended"
_ASKED, _STOP_AT = "bmjax/stop_asked", "bmjax/stop_at"
# The hosts are at most three steps apart: none begins a step before it has read the
# numbers of the second one before it, to which all devices contribute.
_AHEAD = 4
_GOODBYE = 5.0  # seconds that process 0 gives the others to read why it ends


class _Peers:
    """The connection of this process; there is one, as there is one of jax."""

    def __init__(self):
        self.number, self.count = 0, 1
        self.client: Any = None
        self.calls = itertools.count()
        self.stopping = False  # all processes are
        self.leaving = threading.Event()


_peers = _Peers()


def process() -> int:
    """Number of this process, from 0."""
    return _peers.number


def processes() -> int:
    """How many processes the command has."""
    return _peers.count


def is_first() -> bool:
    """Whether this is the process that writes and speaks."""
    return _peers.number == 0


def connect(cluster: Cluster, *, heartbeat: int, speak: Callable[[str], None]) -> None:
    """Join the other processes; before jax is used for anything.

    Args:
        cluster: of this process.
        heartbeat: seconds without a sign of life after which a process counts as gone.
        speak: takes the line that says which process this is.

    Raises:
        ConfigError: not all processes have come.
    """
    try:
        jax.distributed.initialize(
            cluster.coordinator,
            cluster.processes,
            cluster.process,
            local_device_ids=cluster.devices,
            cluster_detection_method="deactivate",
            initialization_timeout=WAIT,
            heartbeat_timeout_seconds=heartbeat,
        )
    except RuntimeError as error:
        raise ConfigError(
            f"the {cluster.processes} processes did not all come to "
            f"{cluster.coordinator} within {WAIT} seconds ("
            f"{first_line(error, 'no reason given')}); start all of them with the "
            "same config.mesh.processes and each with its own config.mesh.process"
        ) from None
    from jax._src import distributed

    _peers.number, _peers.count = cluster.process, cluster.processes
    _peers.client = distributed.global_state.client
    local = jax.local_devices()
    speak(
        f"process {cluster.process} of {cluster.processes} on {socket.gethostname()}: "
        f"{len(local)} of {jax.device_count()} devices ({local[0].platform}), "
        f"coordinator {cluster.coordinator}"
    )
    threading.Thread(target=_leave_with_others, name="peers", daemon=True).start()


def check_same(what: dict[str, Any]) -> None:
    """Raise ConfigError where this process was started otherwise than process 0.

    Args:
        what: flat; values as JSON takes them.
    """
    theirs = from_first(lambda: what)
    ours = json.loads(json.dumps(what))
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            raise ConfigError(
                f"process {process()} has {key} = {ours.get(key)!r}, and process 0 has "
                f"{theirs.get(key)!r}; start all processes with the same command and "
                "the same versions"
            )


def from_first(make: Callable[[], Any]) -> Any:
    """Return what process 0 makes; the others wait for it.

    Args:
        make: called by process 0 alone; returns what JSON takes.
    """
    if _peers.count == 1:
        return make()
    key = f"bmjax/{next(_peers.calls)}"
    if is_first():
        _peers.client.key_value_set(key, json.dumps(make()))
    return json.loads(_wait_for(key))


def from_all(value: Any) -> list[Any]:
    """Return the value of every process, in their order; JSON takes it."""
    if _peers.count == 1:
        return [value]
    key = f"bmjax/{next(_peers.calls)}"
    _peers.client.key_value_set(f"{key}/{process()}", json.dumps(value))
    return [json.loads(_wait_for(f"{key}/{n}")) for n in range(_peers.count)]


def meet() -> None:
    """Wait until all processes are here."""
    from_all(None)


class CommonStop:
    """At which step all processes stop, once a signal has come to one of them."""

    def __init__(self):
        """Nothing has come yet."""
        self._step: int | None = None
        self._told = False

    def due(self, step: int, *, asked: bool) -> bool:
        """Whether to stop before this step; to be asked before each.

        A process that was asked to stop says so; process 0 names a step that no
        process has begun; all find it before they come to it.

        Args:
            step: that is about to begin.
            asked: whether this process was asked to stop.
        """
        if _peers.count == 1:
            return asked
        if asked and not self._told:
            self._told = True
            _set(_ASKED, "1")
        if self._step is None:
            if not is_first():
                found = _get(_STOP_AT)
                self._step = int(found) if found else None
            elif _get(_ASKED):
                self._step = step + _AHEAD
                _set(_STOP_AT, str(self._step))
        if self._step is not None and step >= self._step:
            _peers.stopping = True
        return _peers.stopping

    def at_end(self, *, asked: bool) -> bool:
        """Whether any process was asked to stop; after the last step."""
        if _peers.count == 1:
            return asked
        _peers.stopping = any(from_all(asked or self._told))
        return _peers.stopping


@contextlib.contextmanager
def leaving_together():
    """Tell the others why this process ends, or part from them when all are done."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Stopped) and _peers.stopping:
            _part()
        elif _peers.count > 1:
            _tell_end(error)
        raise
    _part()


def _part() -> None:
    """Wait for all processes, and let jax take the connection down."""
    if _peers.count > 1:
        meet()
        _peers.leaving.set()
        jax.distributed.shutdown()


def _tell_end(error: BaseException) -> None:
    if isinstance(error, BmjaxError):
        what, own = str(error), error.exit_code
    elif isinstance(error, KeyboardInterrupt):
        what, own = "stopped by Ctrl-C", INTERRUPTED
    else:
        what, own = f"{type(error).__name__}, see its own output", DEFECT
    code = own if own in (STOPPED, INTERRUPTED) else PEER_GONE
    _peers.leaving.set()
    # Before jax's own end, which waits for all processes.
    atexit.register(_end_at_once, own)
    _set(_ENDED, json.dumps({"process": process(), "what": what, "code": code}))
    if not is_first():
        return
    # The coordination service ends with this process; jax would abort the others.
    end = time.monotonic() + _GOODBYE
    for number in range(1, _peers.count):
        while not _get(f"{_ENDED}/{number}") and time.monotonic() < end:
            time.sleep(_PAUSE)


def _end_at_once(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _leave_with_others() -> None:
    """End this process when another one has said that it ends; runs in a thread."""
    while not _peers.leaving.is_set():
        try:
            text = _peers.client.blocking_key_value_get(_ENDED, int(_LOOK * 1000))
        except jax.errors.JaxRuntimeError:
            time.sleep(_PAUSE)
            continue
        if _peers.leaving.is_set():
            return
        ended = json.loads(text)
        _set(f"{_ENDED}/{process()}", "read")
        print(
            f"bmjax: process {process()} ends, since process {ended['process']} has "
            f"ended: {on_one_line(ended['what'])}",
            file=sys.stderr,
            flush=True,
        )
        _end_at_once(ended["code"])


def _wait_for(key: str) -> str:
    """A value, as soon as it is there; signals are received meanwhile."""
    while True:
        try:
            return _peers.client.blocking_key_value_get(key, int(_LOOK * 1000))
        except jax.errors.JaxRuntimeError:
            time.sleep(_PAUSE)


def _get(key: str) -> str:
    """A value that may not be there: then ""."""
    try:
        return _peers.client.key_value_try_get(key)
    except jax.errors.JaxRuntimeError:
        return ""


def _set(key: str, value: str) -> None:
    """Set a value unless another process has done so."""
    with contextlib.suppress(jax.errors.JaxRuntimeError):
        _peers.client.key_value_set(key, value)
