"""Arrays of anybody's .npz file: no code, no gigabytes, one reason in words."""

import os
import pickle
import zipfile

import numpy as np
import pytest

from bmjax import npz_file
from bmjax.npz_file import read_npz


class _Code:
    def __reduce__(self):
        return os.mkdir, ("was-run",)


def test_whole_arrays_are_read(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.arange(3), b=np.array("kind"))
    arrays = read_npz(tmp_path / "x.npz", ("a", "b"))
    np.testing.assert_array_equal(arrays["a"], [0, 1, 2])
    assert str(arrays["b"]) == "kind"


def test_objects_are_code_and_are_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", a=np.array([_Code()], object))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_npz(tmp_path / "x.npz", ("a",))
    (tmp_path / "x.npz").write_bytes(pickle.dumps(_Code()))
    with pytest.raises(ValueError, match="not a zip file"):
        read_npz(tmp_path / "x.npz", ("a",))
    assert not (tmp_path / "was-run").exists()


def test_an_archive_that_inflates_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_file, "_MOST", 2**20)
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(2**20))
    assert (tmp_path / "x.npz").stat().st_size < 2**15
    with pytest.raises(ValueError, match="it unpacks to 8,388,"):
        read_npz(tmp_path / "x.npz", ("a",))


def test_a_header_of_terabytes_takes_no_memory(tmp_path):
    head = {"descr": "<f8", "fortran_order": False, "shape": (2**42,)}
    with (
        zipfile.ZipFile(tmp_path / "x.npz", "w") as archive,
        archive.open("a.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(member, head)
    with pytest.raises(ValueError, match=r"allocate|EOF|array"):
        read_npz(tmp_path / "x.npz", ("a",))


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "pipe", "none"])
def test_damage_is_a_reason_in_words(tmp_path, damage):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(1000))
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-50])
    elif damage == "flipped":
        path.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    elif damage in ("pipe", "none"):
        path.unlink()
    if damage == "pipe":
        os.mkfifo(path)
    with pytest.raises(ValueError, match=r"\w"):
        read_npz(path, ("b" if damage == "missing" else "a",))
