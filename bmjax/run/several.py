"""A run of several processes: how they begin together, and end together."""

import contextlib
from collections.abc import Iterator

from ml_collections import ConfigDict

from bmjax.devices.cluster import Cluster, check_reachable
from bmjax.devices.jax_setup import versions
from bmjax.devices.processes import (
    check_same,
    connect,
    is_first,
    leaving_together,
)
from bmjax.run.logs import be_silent, say
from bmjax.run.workdir import flatten

_OWN = ("mesh.process", "mesh.coordinator")  # may differ, as a name seen from elsewhere


@contextlib.contextmanager
def joined(cluster: Cluster, config: ConfigDict, workdir: str) -> Iterator[None]:
    """Join the other processes of a run, and part from them at its end.

    An error that ends the block ends the others too.

    Args:
        cluster: the processes.
        config: of the run, which has to be the same in all.
        workdir: likewise.

    Raises:
        ConfigError: they do not come together, or were started differently.
    """
    check_reachable(cluster, say=say)
    connect(cluster, heartbeat=config.mesh.heartbeat, speak=say)
    if not is_first():
        be_silent()
    settings = {
        f"config.{key}": value
        for key, value in flatten(config.to_dict()).items()
        if key not in _OWN
    }
    with leaving_together():
        check_same({**settings, "--workdir": workdir, **versions()})
        yield
