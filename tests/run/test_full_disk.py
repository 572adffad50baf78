"""Whatever finds no space in a run, it ends in one sentence with exit code 5."""

import errno
import os

import pytest

from bmjax.errors import CheckpointError, DataError
from bmjax.files import CannotWrite, open_regular
from bmjax.run.full_disk import full_disk_explained


def full(path, number=errno.ENOSPC):
    return OSError(number, os.strerror(number), str(path))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_sentence_wherever_it_is_met(tmp_path, number):
    error = full(tmp_path / "x.csv", number)

    def plain():
        raise error

    def as_ours():
        raise CannotWrite("a sentence", error, tmp_path / "x.csv")

    def as_the_pages():
        raise DataError("another sentence") from error

    for fails in (plain, as_ours, as_the_pages):
        with pytest.raises(CheckpointError) as raised, full_disk_explained():
            fails()
        said = str(raised.value)
        assert said.startswith(f"{str(tmp_path / 'x.csv')!r} cannot be written: ")
        assert os.strerror(number) in said
        assert "make room and start the same command again" in said


def test_any_other_error_stays_what_it_is(tmp_path):
    others = [
        OSError(errno.ENOENT, "gone", "x"),
        OSError(errno.ENOSPC, "shared memory, which has no name"),
        DataError("an image"),
        ValueError("a defect"),
    ]
    for error in others:
        with pytest.raises(type(error)) as raised, full_disk_explained():
            raise error
        assert raised.value is error


def test_a_file_that_is_too_large_to_be_read_is_no_full_disk(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("{}")

    def read():
        try:
            with open_regular(path, most=1):
                pass
        except OSError as error:
            raise DataError("it is too large") from error

    with pytest.raises(DataError, match="it is too large"), full_disk_explained():
        read()
