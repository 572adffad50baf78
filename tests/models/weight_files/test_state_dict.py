"""Weights of other programs: read whole or refused, never run, given back equal.

tests/golden/tiny_zip.pth and tiny_stream.pth were written by torch 2.13.0 in its two
formats: `torch_weight` of "resnet_tiny" under `module.`, one as a turned view, one that
begins inside its storage, one a Parameter, beside an optimizer and a Namespace.
"""

import contextlib
import functools
import pickle
import tracemalloc
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from bmjax.errors import CheckpointError, ConfigError
from bmjax.models import make_network
from bmjax.models.resnet import RESNETS
from bmjax.models.weight_files.pth import open_pth
from bmjax.models.weight_files.state_dict import (
    read_metadata,
    read_weights,
    write_weights,
)
from bmjax.models.weight_files.torch_names import to_torch, torch_name
from tests.conftest import GOLDEN
from tests.helpers.golden_weights import bmjax_path, from_torch, torch_weight
from tests.helpers.torch_files import (
    Global,
    Storage,
    entries_of,
    view,
    write_pth,
)


def read_pth(path):
    """All arrays of the first dict of tensors in a file."""
    with open_pth(path) as dicts:
        entries = next(iter(dicts.values()))
        return {name: entry.read() for name, entry in entries.items()}


@pytest.fixture
def file(tmp_path):
    def write(entries, prefix="", **more):
        path = tmp_path / "weights.safetensors"
        prefixed = {f"{prefix}{name}": array for name, array in entries.items()}
        save_file({**prefixed, **more}, path)
        return path

    return write


@pytest.mark.parametrize("kind", ["zip", "stream"])
def test_torchs_own_files_are_read(kind):
    params, batch_stats = read_weights(GOLDEN / f"tiny_{kind}.pth", "resnet_tiny")
    found = {**flatten_dict(params), **flatten_dict(batch_stats)}
    wanted = entries_of("resnet_tiny")
    assert len(found) == len(wanted) == 32
    for entry, values in wanted.items():
        np.testing.assert_array_equal(found[bmjax_path(entry)], from_torch(values))


@pytest.mark.parametrize("kind", ["zip", "stream"])
def test_a_file_cut_anywhere_is_refused(kind, tmp_path):
    whole = (GOLDEN / f"tiny_{kind}.pth").read_bytes()
    cut = tmp_path / "cut.pth"
    for length in [*range(0, 2000, 150), *range(2000, len(whole), 1500)]:
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="no whole file"):
            read_pth(cut)


def test_a_flipped_byte_in_the_archive_is_refused(tmp_path):
    damaged = bytearray((GOLDEN / "tiny_zip.pth").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path = tmp_path / "damaged.pth"
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="CRC"):
        read_pth(path)


def test_flipped_bytes_are_refused_or_change_numbers_only(tmp_path):
    # The older stream has no checksums; its first 8,000 bytes tell names and shapes.
    whole = (GOLDEN / "tiny_stream.pth").read_bytes()
    path = tmp_path / "flipped.pth"
    random = np.random.Generator(np.random.PCG64(0))
    for _ in range(100):
        flipped = bytearray(whole)
        flipped[random.integers(8000)] = random.integers(256)
        path.write_bytes(flipped)
        with contextlib.suppress(CheckpointError):
            read_pth(path)


def test_a_large_number_in_a_pickle_takes_no_memory(tmp_path):
    pickled = b"\x80\x02}r" + (2**24).to_bytes(4, "little") + b"."
    path = tmp_path / "memo.pth"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("archive/data.pkl", pickled)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="no state dict"):
            read_pth(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


class Runs:
    """Pickles as a call of os.system."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        import os

        return os.system, (self.command,)


@pytest.mark.parametrize("archive", [True, False])
def test_code_in_a_file_is_named_and_never_run(archive, tmp_path):
    planted, path = tmp_path / "planted", tmp_path / "evil.pth"
    pickled = pickle.dumps({"state_dict": Runs(f"touch {planted}")}, protocol=2)
    if archive:
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("archive/data.pkl", pickled)
    else:
        path.write_bytes(pickled)
    with pytest.raises(CheckpointError, match=r"asks for posix\.system.*was not run"):
        read_pth(path)
    assert not planted.exists()


def write_view(path, *, count=6, **numbers):
    """A file with one tensor of these numbers, on a storage of 0 to 5."""
    content = np.arange(6, dtype=np.float32).tobytes()
    storage = Storage(content, Global("torch", "FloatStorage"), count)
    return write_pth(path, {"values": view(storage, **numbers)})


def test_a_tensor_is_the_view_that_it_says(tmp_path):
    path = write_view(tmp_path / "view.pth", offset=1, shape=(2, 2), stride=(1, 3))
    np.testing.assert_array_equal(read_pth(path)["values"], [[1, 4], [2, 5]])


@pytest.mark.parametrize(
    "numbers",
    [
        {"offset": 5, "shape": (2,), "stride": (1,)},
        {"offset": 0, "shape": (2, 2), "stride": (10**12, 1)},
        {"offset": 3, "shape": (2,), "stride": (-1,)},
        {"offset": -1, "shape": (2,), "stride": (1,)},
        {"offset": 0, "shape": (2, 2), "stride": (1,)},
        {"offset": 0, "shape": (2,), "stride": (1,), "count": 7},
        {"offset": 0.0, "shape": (2,), "stride": (1,)},
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(numbers, tmp_path):
    path = write_view(tmp_path / "beyond.pth", **numbers)
    with pytest.raises(CheckpointError, match="no whole file"):
        read_pth(path)


def test_a_model_without_its_state_dict_is_refused(tmp_path):
    path = tmp_path / "numbers.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"epoch": 3}, protocol=2))
    with pytest.raises(CheckpointError, match=r"no state dict.*epoch"):
        read_pth(path)


@pytest.mark.parametrize(
    ("backbone", "beside"),
    [
        ("", ""),
        ("module.", "module."),
        ("encoder.", ""),
        ("encoder.module.", ""),
        ("model.backbone.", "model."),
    ],
)
@pytest.mark.parametrize("head", ["linear", "mlp", "mlp_bn", "mlp_gelu"])
def test_prefixes_heads_and_prototypes_are_found(backbone, beside, head, file):
    entries = entries_of("resnet_tiny", num_classes=0, head=head, embedding_dim=5)
    entries["prototypes.weight"] = torch_weight("t", "prototypes.weight", (7, 5))
    named = {
        (beside if "head" in name or "proto" in name else backbone) + name: array
        for name, array in entries.items()
    }
    params, batch_stats = read_weights(file(named), "resnet_tiny")
    assert params["prototypes"].shape == (5, 7)
    found = {**flatten_dict(params), **flatten_dict(batch_stats)}
    assert len(found) == len(entries)
    for path, values in found.items():
        np.testing.assert_array_equal(
            to_torch(values), entries[torch_name(path, RESNETS, head=head)]
        )


def test_what_goes_out_comes_back_with_the_same_logits(tmp_path):
    network = make_network(
        "resnext_tiny", num_classes=3, head="mlp_bn", embedding_dim=5
    )
    images = jax.random.normal(jax.random.key(0), (2, 24, 20, 3))
    params, batch_stats = network.init(jax.random.key(1), images)
    params["prototypes"] = jnp.ones((5, 7))
    path = tmp_path / "out.safetensors"
    name = "resnext_tiny"
    write_weights(path, name, params, batch_stats, metadata={"network": name})
    assert read_metadata(path) == {"network": "resnext_tiny"}
    back = read_weights(path, "resnext_tiny", num_classes=3)
    jax.tree.map(np.testing.assert_array_equal, back, (params, batch_stats))
    apply = jax.jit(functools.partial(network.apply, train=False))
    before, _ = apply(params, batch_stats, images)
    after, _ = apply(*back, images)
    np.testing.assert_allclose(after["logits"], before["logits"], rtol=1e-5)


def test_float16_and_bfloat16_become_float32(file):
    for dtype in (np.float16, np.dtype(jnp.bfloat16)):
        entries = {k: v.astype(dtype) for k, v in entries_of("resnet_tiny").items()}
        params, _ = read_weights(file(entries), "resnet_tiny")
        kernel = params["backbone"]["conv1"]["kernel"]
        assert kernel.dtype == jnp.float32
        np.testing.assert_array_equal(
            to_torch(kernel), entries["conv1.weight"].astype(np.float32)
        )


def test_a_partial_file_is_refused_and_its_table_shows_why(file):
    entries = entries_of("resnet_tiny")
    del entries["layer2.0.bn1.running_mean"]
    entries["conv1.weight"] = entries["conv1.weight"][:, :, 2:5, 2:5]
    entries["queue"] = np.zeros((2, 3), np.float32)
    said = []
    with pytest.raises(CheckpointError, match="missing 1, mis-shaped 1"):
        read_weights(file(entries), "resnet_tiny", say=said.append)
    table = "\n".join(said)
    assert "missing: layer2.0.bn1.running_mean" in table
    assert "conv1.weight [8, 3, 3, 3], expected [8, 3, 7, 7]" in table
    assert "unused: queue" in table
    rows = [line.split() for line in said]
    assert ["backbone", "28", "1", "1", "0"] in rows
    assert ["classifier", "2", "0", "0", "0"] in rows


def test_another_networks_file_is_refused_with_its_name(file):
    with pytest.raises(CheckpointError, match=r"--config\.model\.name=resnext_tiny"):
        read_weights(file(entries_of("resnext_tiny")), "resnet_tiny")
    # A deeper network holds all that a shallower one wants.
    entries = entries_of("resnet_tiny")
    entries["layer2.1.conv1.weight"] = np.zeros((16, 16, 3, 3), np.float32)
    with pytest.raises(CheckpointError, match=r"in the backbone 1 .*none of"):
        read_weights(file(entries), "resnet_tiny")
    with pytest.raises(ConfigError, match=r"config\.model\.name = 'resnet'"):
        read_weights(file(entries), "resnet")


def test_a_classifier_of_another_size_is_replaced_only_when_asked(file):
    path = file(entries_of("resnet_tiny", num_classes=3))
    with pytest.raises(CheckpointError, match="of 3 classes, expected 4"):
        read_weights(path, "resnet_tiny", num_classes=4)
    params, _ = read_weights(path, "resnet_tiny", num_classes=4, new_classifier=True)
    assert set(params) == {"backbone"}


def test_half_a_head_is_refused(file):
    entries = entries_of("resnet_tiny", head="mlp", embedding_dim=5)
    del entries["head.0.bias"]
    with pytest.raises(CheckpointError, match=r"first head\.0\.bias.*head is not whol"):
        read_weights(file(entries), "resnet_tiny")


def test_no_network_and_no_numbers_are_errors(file, tmp_path):
    with pytest.raises(CheckpointError, match="found none, but patch_embed"):
        read_weights(file({"patch_embed": np.zeros(2)}), "resnet_tiny")
    entries = entries_of("resnet_tiny")
    entries["bn1.running_var"][3] = np.nan
    with pytest.raises(CheckpointError, match=r"'bn1\.running_var'.*finite"):
        read_weights(file(entries), "resnet_tiny")
    path = file(entries_of("resnet_tiny"))
    whole = path.read_bytes()
    for length in (0, 5, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"no whole \.safetensors"):
            read_weights(path, "resnet_tiny")
