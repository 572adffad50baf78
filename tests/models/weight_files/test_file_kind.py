"""What a file of weights is, is told by its content, and what is none is named."""

import gzip
import re
import shutil

import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from bmjax.errors import CheckpointError
from bmjax.models.weight_files.state_dict import read_metadata, read_weights
from tests.conftest import GOLDEN
from tests.helpers.torch_files import entries_of

LFS = b"""version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 94482813
"""


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (LFS, "is a Git LFS pointer.*run git lfs pull"),
        (b"\n<!DOCTYPE html><html><body>404", "is a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "is a web page"),
        (b'{"metadata": {}, "weight_map": {"conv1": "1.safetensors"}}', "JSON.*index"),
        (gzip.compress(b"weights", mtime=0), "compressed by gzip; unpack it"),
        (b"a/b" + bytes(254) + b"ustar\x0000" + bytes(300), "is a tar archive; unpack"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file, as of Keras"),
        (b"Access denied, please log in.", "is a text"),
    ],
)
def test_what_is_no_weights_is_named_whatever_its_ending(
    content, sentence, suffix, tmp_path
):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=sentence):
        read_weights(path, "resnet_tiny")
    with pytest.raises(CheckpointError, match=sentence):
        read_metadata(path)


def test_an_archive_of_something_else_is_refused(tmp_path):
    path = tmp_path / "arrays.pth"
    with open(path, "wb") as file:
        np.savez(file, values=np.ones(3))
    with pytest.raises(CheckpointError, match=r"without torch's data\.pkl"):
        read_weights(path, "resnet_tiny")


def test_a_swapped_ending_changes_nothing_but_a_note(tmp_path):
    right, wrong = tmp_path / "right.safetensors", tmp_path / "wrong.pth"
    save_file(entries_of("resnet_tiny"), right, metadata={"network": "resnet_tiny"})
    shutil.copy(right, wrong)
    assert_read_equal(right, wrong, r"wrong\.pth is a \.safetensors file by")
    assert read_metadata(wrong) == {"network": "resnet_tiny"}

    for kind in ("zip", "stream"):
        wrong = tmp_path / f"{kind}.safetensors"
        shutil.copy(GOLDEN / f"tiny_{kind}.pth", wrong)
        assert_read_equal(GOLDEN / f"tiny_{kind}.pth", wrong, r"a file of torch")
        assert read_metadata(wrong) == {}


def assert_read_equal(right, wrong, note):
    said, expected_said = [], []
    found = read_weights(wrong, "resnet_tiny", say=said.append)
    expected = read_weights(right, "resnet_tiny", say=expected_said.append)
    for tree, expected_tree in zip(found, expected, strict=True):
        arrays, expected_arrays = flatten_dict(tree), flatten_dict(expected_tree)
        assert arrays.keys() == expected_arrays.keys()
        for key, values in arrays.items():
            np.testing.assert_array_equal(values, expected_arrays[key])
    assert not any(line.startswith("note") for line in expected_said)
    assert re.search(note, said[0])
