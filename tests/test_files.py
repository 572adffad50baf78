"""Files are there whole or not at all, and a full disk is one sentence."""

import errno
import os
import resource
from pathlib import Path

import pytest

from bmjax.errors import USAGE, ConfigError
from bmjax.files import CannotWrite, free_space, whole_file, write_whole, writing

NUMBERS = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES]


@pytest.mark.parametrize("number", NUMBERS)
def test_every_reason_of_the_system_is_one_sentence_with_the_option(number):
    with pytest.raises(ConfigError) as caught, writing("--out", Path("/a/b.csv")):
        raise OSError(number, os.strerror(number), "/a/b.csv.part")
    assert caught.value.exit_code == USAGE
    assert str(caught.value) == (
        f"--out='/a/b.csv' cannot be written: {os.strerror(number)}; make room, or "
        "give another place"
    )


def test_a_sentence_within_a_sentence_names_the_option_and_keeps_the_reason():
    with (
        pytest.raises(OSError, match=r"^--out='x' cannot be written: No space"),
        writing("--out", Path("x")),
        writing("", Path("y")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def small_files():
    """No file of this process may become larger than 64 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_does_not_fit_leaves_the_older_one_and_nothing_else(
    tmp_path, small_files
):
    path = tmp_path / "x"
    write_whole(path, "before")
    with pytest.raises(CannotWrite, match="File too large"):
        write_whole(path, bytes(1 << 17))
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_file_written_piece_by_piece_is_whole_or_not_there(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(ZeroDivisionError), whole_file(path) as file:
        file.write(b"half" * (1 // 0))
    assert not list(tmp_path.iterdir())
    with whole_file(path) as file:
        file.write(b"ha")
        file.write(b"lf")
        assert not path.exists()
    assert path.read_bytes() == b"half"


def test_free_space_is_that_of_the_folder_that_will_hold_it(tmp_path):
    assert free_space(tmp_path / "not" / "yet") > 0


def test_every_output_that_does_not_fit_is_one_sentence(tmp_path, small_files, capsys):
    from bmjax.data.__main__ import main
    from bmjax.data.synthetic import synthesize

    cells = synthesize(tmp_path / "cells", images=210, seed=0, workers=1)
    capsys.readouterr()
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (64, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    )
    for command in (
        ["folds", str(cells), "--split=holdout", f"--out={tmp_path / 'split.csv'}"],
        ["stats", str(cells), f"--json={tmp_path / 'stats.json'}"],
        ["synthesize", str(tmp_path / "more"), "--images=210"],
    ):
        assert main(command) == USAGE
        said = capsys.readouterr().err
        assert "cannot be written: File too large; make room" in said
        assert "Traceback" not in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cells"]
