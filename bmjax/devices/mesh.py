"""One data axis: the state is on every device, the batch is dealt out.

Under `jax.jit` sums over the batch axis are sums over the whole batch, so batch norm,
Sinkhorn and all-pairs losses need no collective in our code, and one device and four
run the same program.
"""

import os
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from bmjax.errors import ConfigError


def make_mesh(devices: int = 0) -> Mesh:
    """Return a mesh with one axis, "data", over `devices` devices (0: all there are).

    The axis type is written out, since `jax.make_mesh` gives Explicit axes when not
    told otherwise, and under those a roll of the batch, `z @ z.T` and the queue's
    concatenation do not trace.
    """
    there = _devices()
    if devices > len(there):
        raise ConfigError(
            f"config.mesh.devices = {devices}, but jax sees {len(there)} "
            f"({there[0].platform}) device(s); use {len(there)} or fewer, or 0 for all"
        )
    devices = devices or len(there)
    return jax.make_mesh(
        (devices,), ("data",), axis_types=(AxisType.Auto,), devices=there[:devices]
    )


def _devices() -> list[jax.Device]:
    """All devices; jax itself answers an unusable JAX_PLATFORMS with a traceback."""
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:
        asked = os.environ.get("JAX_PLATFORMS", "")
        why = (str(error).splitlines() or ["there are none"])[0][:150]
        raise ConfigError(
            f"jax cannot use the devices that it was asked for, JAX_PLATFORMS="
            f"{asked!r} ({why}); unset that variable, or install jax for them"
        ) from None


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharded(mesh: Mesh) -> NamedSharding:
    """The leading axis is dealt out over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def put_batch(batch: Any, mesh: Mesh) -> Any:
    """Move a host batch (a tree of arrays, batch first) to the devices.

    The only host to device transfer of the loop.
    """
    return jax.device_put(batch, batch_sharded(mesh))
