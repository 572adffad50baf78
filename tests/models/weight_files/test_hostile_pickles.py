"""Small files that ask for endless work, or for gigabytes: refused in a sentence."""

import json
import os
import struct
import zipfile

import numpy as np
import pytest

from bmjax.errors import CheckpointError
from bmjax.models.weight_files import unpickle
from bmjax.models.weight_files.file_kind import file_kind
from bmjax.models.weight_files.pth import open_pth
from bmjax.models.weight_files.state_dict import read_weights
from tests.helpers.torch_files import write_pth

# ((((1,), (1,)), ...), ...): 40 levels, which take 2^40 steps to hash or to print.
BOMB = b"K\x01\x85" + 40 * b"2\x86"
SIGNED = b"ctorch._utils\n_rebuild_tensor_v2\n"
PICKLES = {
    "as a key": (b"}" + BOMB + b"K\x01s.", "a key of type tuple"),
    "as keys": (b"}(" + BOMB + b"K\x01u.", "a key of type tuple"),
    "as a dict's": (b"(" + BOMB + b"K\x01d.", "a key of type tuple"),
    "in a set": (b"\x8f(" + BOMB + b"\x90.", "a key of type tuple"),
    "in a frozen set": (b"(" + BOMB + b"\x91.", "a key of type tuple"),
    "in a set by name": (b"c__builtin__\nset\n]" + BOMB + b"a\x85R.", "of type tuple"),
    "in an ordered dict": (
        b"ccollections\nOrderedDict\n]]" + BOMB + b"aK\x01aa\x85R.",
        "a key of type tuple",
    ),
    "as a storage": (b"(" + BOMB + b"NNNNtQ.", "no storage's"),
    "a bytearray": (b"\x96" + struct.pack("<Q", 2**36) + b".", "a bytearray"),
    "bytes": (b"\x8e" + struct.pack("<Q", 2**36) + b".", "its pickle has more than"),
    "a frame": (b"\x95" + struct.pack("<Q", 2**36) + b".", "its pickle has more than"),
    "dicts in dicts": (
        100 * b"}X\x01\x00\x00\x00a" + b"}" + 100 * b"s" + b".",
        "dicts in more than 30 dicts",
    ),
    "an attribute": (
        SIGNED + b"N}X\x0c\x00\x00\x00__defaults__K\x01s\x86b.",
        "holds no state dict",
    ),
}


def _archive(path, pickled, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x04" + pickled)
    return path


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_of_endless_work_is_refused_at_once(tmp_path, name):
    pickled, sentence = PICKLES[name]
    path = _archive(tmp_path / "x.pth", pickled)
    with pytest.raises(CheckpointError, match=sentence) as refused, open_pth(path):
        pass
    assert len(str(refused.value)) < 500
    assert unpickle._rebuild.__defaults__ is None


def test_the_older_format_is_bounded_likewise(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(b"\x80\x02}" + BOMB + b"K\x01s.")
    with pytest.raises(CheckpointError, match="a key of type tuple"), open_pth(path):
        pass


def test_a_file_that_inflates_is_refused(tmp_path):
    pickled = b"](" + b"K\x01" * 2**22 + b"e."
    path = _archive(tmp_path / "x.pth", pickled, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**15
    with pytest.raises(CheckpointError, match="unpack to 8,388"), open_pth(path):
        pass


def test_a_storage_that_inflates_is_refused_and_one_that_does_not_is_read(tmp_path):
    whole, packed = tmp_path / "a.pth", tmp_path / "b.pth"
    write_pth(whole, {"a": np.zeros(2**20, np.float32)})
    with open_pth(whole) as dicts:
        assert dicts[""]["a"].shape == (2**20,)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(packed, "w", 8) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    with pytest.raises(CheckpointError, match="unpack to 4,194,304"), open_pth(packed):
        pass


def test_a_pickle_is_read_up_to_a_length(monkeypatch, tmp_path):
    monkeypatch.setattr(unpickle, "_MOST_PICKLE", 2**12)
    path = _archive(tmp_path / "x.pth", b"](" + b"N" * 2**12 + b"e.")
    with pytest.raises(CheckpointError, match="its pickle has more"), open_pth(path):
        pass


def test_keys_that_trainings_use_are_taken(tmp_path):
    path = tmp_path / "x.pth"
    entries = {"a": np.ones(3, np.float32)}
    more = {1: 2, 0.5: 3, None: 4, ("a", 1): 5, b"x": 7}
    write_pth(path, {"model": entries, "more": more, "names": {"a", 1}})
    with open_pth(path) as dicts:
        assert list(dicts) == ["model"]


def test_a_pipe_and_a_file_of_holes_are_no_weights(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(CheckpointError, match="it is a pipe, socket or device"):
        file_kind(tmp_path / "pipe.pth")
    for name in ("x.pth", "x.safetensors"):
        with open(tmp_path / name, "wb") as file:
            file.truncate(2**35)
        with pytest.raises(CheckpointError, match="is no whole"):
            read_weights(tmp_path / name, "resnet18")


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"dtype": "F32", "data_offsets": [0, 4]}, "missing field `shape`"),
        ({"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}, "invalid value"),
        ({"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}, "overflow"),
        ({"dtype": "F4096", "shape": [1], "data_offsets": [0, 4]}, "of type F4096"),
        ({"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}, "fc.weight"),
        (5, "invalid type"),
    ],
)
def test_an_odd_header_of_safetensors_is_a_sentence(tmp_path, about, sentence):
    header = json.dumps({"fc.weight": about}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"abcd")
    with pytest.raises(CheckpointError, match=sentence):
        read_weights(path, "resnet18")
