"""Workers are not begun where their batches do not fit the shared memory."""

import pytest

from bmjax.data import shared_memory
from bmjax.data.shared_memory import check_shared_memory
from bmjax.errors import ConfigError
from tests.helpers.toy_run import toy_run

BATCH = {"batch_size": 256, "size": 250}  # 48 MB


@pytest.fixture
def free(monkeypatch, tmp_path):
    """Sets how many bytes are free."""
    monkeypatch.setattr(shared_memory, "_PLACE", tmp_path)

    def set_free(size):
        monkeypatch.setattr(shared_memory, "free_space", lambda place: size)

    return set_free


def test_too_little_names_what_is_needed_what_is_there_and_the_cure(free, tmp_path):
    free(64 * 2**20)  # a container's
    with pytest.raises(ConfigError) as caught:
        check_shared_memory(workers=2, **BATCH)
    said = str(caught.value)
    for words in ("432.0 MB", "67.1 MB", "--shm-size=1g", "config.data.workers=0"):
        assert words in said
    assert str(tmp_path) in said


def test_enough_and_threads_alone_pass(free):
    free(0)
    check_shared_memory(workers=0, **BATCH)
    free(10**9)
    check_shared_memory(workers=2, **BATCH)


def test_a_system_without_the_folder_passes(monkeypatch, tmp_path):
    monkeypatch.setattr(shared_memory, "_PLACE", tmp_path / "none")
    check_shared_memory(workers=99, **BATCH)


def test_a_run_looks_before_it_compiles(free):
    free(1000)
    with pytest.raises(ConfigError, match="shared memory"):
        toy_run("swav", **{"data.workers": 1})
