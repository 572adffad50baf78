"""Numbers that are not a trained network's weights are refused with their entry."""

import json
import tracemalloc

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from bmjax.errors import CheckpointError
from bmjax.models.weight_files.state_dict import read_weights
from tests.helpers.torch_files import (
    Call,
    Global,
    Storage,
    entries_of,
    float8_tensor,
    view,
    write_pth,
)

NAME = "resnet_tiny"
ENTRY = "layer2.0.conv1.weight"


def write(tmp_path, entries, suffix):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        return write_pth(path, {"state_dict": entries})
    save_file(entries, path)
    return path


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "int8"])
def test_numbers_of_another_type_are_named_with_the_cure(dtype, tmp_path):
    entries = entries_of(NAME)
    shape = entries[ENTRY].shape
    sentence = rf"'{ENTRY}' in numbers of type \S+, expected float64.*before it"
    entries[ENTRY] = np.ones(shape, getattr(ml_dtypes, dtype, dtype))
    with pytest.raises(CheckpointError, match=sentence):
        read_weights(write(tmp_path, entries, ".safetensors"), NAME)
    if dtype != "int8":
        entries[ENTRY] = float8_tensor(shape, dtype)
    with pytest.raises(CheckpointError, match=sentence):
        read_weights(write(tmp_path, entries, ".pth"), NAME)


def test_a_type_that_nobody_knows_is_named(tmp_path):
    header = {"conv1.weight": {"dtype": "Q4", "shape": [2], "data_offsets": [0, 2]}}
    encoded = json.dumps(header).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + b"ab")
    with pytest.raises(CheckpointError, match=r"'conv1\.weight' in .* of type Q4"):
        read_weights(path, NAME)

    entries = entries_of(NAME)
    shape = entries[ENTRY].shape
    storage = Storage(b"", Global("torch", "QInt8Storage"), entries[ENTRY].size)
    scheme = (Global("torch", "per_tensor_affine"), 0.1, 0)
    numbers = view(storage, shape=shape, stride=(1,) * 4).arguments[:4]
    quantized = Call(Global("torch._utils", "_rebuild_qtensor"), *numbers, scheme)
    entries[ENTRY] = quantized
    with pytest.raises(CheckpointError, match=f"'{ENTRY}' in .* of type QInt8Storage"):
        read_weights(write(tmp_path, entries, ".pth"), NAME)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_numbers_of_another_type_that_are_not_wanted_do_no_harm(suffix, tmp_path):
    scale = np.ones(3, ml_dtypes.float8_e5m2)
    entries = entries_of(NAME)
    entries["queue"] = scale if suffix == ".safetensors" else float8_tensor((3,))
    read_weights(write(tmp_path, entries, suffix), NAME)


def test_bfloat16_is_read_exactly_from_either_kind_of_file(tmp_path):
    entries = {k: v.astype(jnp.bfloat16) for k, v in entries_of(NAME).items()}
    for suffix in (".pth", ".safetensors"):
        params, _ = read_weights(write(tmp_path, entries, suffix), NAME)
        kernel = np.asarray(params["backbone"]["layer2_0"]["conv1"]["kernel"])
        assert kernel.dtype == np.float32
        np.testing.assert_array_equal(
            kernel.transpose(3, 2, 0, 1), entries[ENTRY].astype(np.float32)
        )


@pytest.mark.parametrize(
    ("entry", "value", "sentence"),
    [
        (ENTRY, 0, "nothing but zeros"),
        ("head.2.weight", 0, "nothing but zeros"),
        ("prototypes.weight", 0, "nothing but zeros"),
        (ENTRY, np.inf, "no finite float32"),
        ("bn1.bias", np.nan, "no finite float32"),
        (ENTRY, 1e300, "no finite float32"),
        ("bn1.running_var", -1, "variances below 0"),
    ],
)
def test_what_no_training_leaves_is_refused_by_name(entry, value, sentence, tmp_path):
    entries = entries_of(NAME, head="mlp", embedding_dim=5)
    entries["prototypes.weight"] = np.ones((7, 5), np.float32)
    entries[entry] = np.full_like(entries[entry], value, dtype=np.float64)
    named = {f"module.{name}": array for name, array in entries.items()}
    with pytest.raises(CheckpointError, match=rf"'module\.{entry}'") as caught:
        read_weights(write(tmp_path, named, ".safetensors"), NAME)
    assert sentence in str(caught.value)


def test_scales_and_biases_may_begin_at_zero(tmp_path):
    entries = entries_of(NAME)
    for name, array in entries.items():
        # The last normalization of each block, as Goyal et al. 2017 begin it.
        if array.ndim == 1 and (name.endswith(("bias", "mean", "bn2.weight"))):
            entries[name] = np.zeros_like(array)
    params, _ = read_weights(write(tmp_path, entries, ".safetensors"), NAME)
    assert not params["backbone"]["layer1_0"]["bn2"]["scale"].any()
    assert not params["fc"]["bias"].any()


def test_a_classifier_of_zeros_is_left_out_and_said(tmp_path):
    entries = entries_of(NAME, num_classes=3)
    entries["fc.weight"][:] = 0
    path = write(tmp_path, entries, ".safetensors")
    for classes in (0, 3, 4):
        said = []
        params, _ = read_weights(path, NAME, num_classes=classes, say=said.append)
        assert set(params) == {"backbone"}
        assert "  unused: fc (2 entries): its weights are all zero" in said


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_not_wanted_is_not_read(suffix, tmp_path):
    # 16 MB beside a network of 0.1 MB.
    more = {"queue": np.ones((2**21,), np.float64)}
    path = write(tmp_path, {**entries_of(NAME), **more}, suffix)
    assert peak_of_reading(path) < 4e6


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_reading_takes_at_most_about_twice_the_file(suffix, tmp_path):
    # Prototypes that are nearly all of the file: 16 MB.
    entries = entries_of(NAME, num_classes=0, head="linear", embedding_dim=64)
    entries["prototypes.weight"] = np.ones((2**16, 64), np.float32)
    path = write(tmp_path, entries, suffix)
    size = path.stat().st_size
    assert size < peak_of_reading(path) < 2.2 * size


def peak_of_reading(path):
    """Bytes of Python and numpy at the most; jax's own arrays are not among them."""
    read_weights(path, NAME)
    tracemalloc.start()
    try:
        read_weights(path, NAME)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
