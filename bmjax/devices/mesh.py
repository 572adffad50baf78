"""One data axis: the state is on every device, the batch is dealt out.

Under `jax.jit` sums over the batch axis are sums over the whole batch, so batch norm,
Sinkhorn and all-pairs losses need no collective in our code, and one device and four
run the same program.
"""

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from bmjax.errors import ConfigError


def make_mesh(devices: int = 0) -> Mesh:
    """Return a mesh with one axis, "data", over `devices` devices (0: all there are).

    The axis type is written out, since `jax.make_mesh` gives Explicit axes when not
    told otherwise, and under those a roll of the batch, `z @ z.T` and the queue's
    concatenation do not trace.
    """
    there = _devices()
    processes = jax.process_count()
    if processes > 1 and devices not in (0, len(there)):
        raise ConfigError(
            f"config.mesh.devices = {devices}, but the {processes} processes have "
            f"{len(there)} devices in all, and none of them can be left out; use "
            f"{len(there)}, or 0 for all"
        )
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

    The only host to device transfer of the loop. Where several processes share the
    mesh, each gives its rows, and the batch is all of them in the processes' order.
    """
    dealt = batch_sharded(mesh)
    if not mesh.is_multi_process:
        return jax.device_put(batch, dealt)
    return jax.tree.map(lambda rows: _put_rows(rows, dealt), batch)


def _put_rows(rows: np.ndarray, dealt: NamedSharding) -> jax.Array:
    """The rows of this process, as its part of an array that all processes share."""
    mesh = dealt.mesh
    own = mesh.local_devices
    parts = np.split(rows, len(own))
    return jax.make_array_from_single_device_arrays(
        (len(parts[0]) * mesh.size, *rows.shape[1:]),
        dealt,
        [jax.device_put(*placed) for placed in zip(parts, own, strict=True)],
    )


def place(tree: Any, sharding: jax.sharding.Sharding) -> Any:
    """Put a tree of arrays where a sharding says; each process has the same arrays."""
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def placed(leaf: Any) -> jax.Array:
        array = np.asarray(leaf)
        return jax.make_array_from_callback(
            array.shape, sharding, lambda index: array[index]
        )

    return jax.tree.map(placed, tree)


def own_mesh(mesh: Mesh) -> Mesh:
    """The mesh, or where it is shared by processes, one of this one's first device."""
    if not mesh.is_multi_process:
        return mesh
    first = jax.local_devices()[:1]
    return jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,), devices=first)


def own_copy(tree: Any, mesh: Mesh) -> Any:
    """A tree that lies on every device of a mesh, on those of `own_mesh` alone."""
    if not mesh.is_multi_process:
        return tree
    return jax.device_put(jax.device_get(tree), replicated(own_mesh(mesh)))


def results_for_host(mesh: Mesh) -> NamedSharding | None:
    """The `out_shardings` of a program whose results every process reads whole.

    None, jax's own choice, where one process has all devices.
    """
    return replicated(mesh) if mesh.is_multi_process else None
