"""Compiled programs are taken from a folder of the user's own alone."""

import os
from pathlib import Path

import jax
import pytest

from bmjax.devices import program_cache
from bmjax.devices.jax_setup import start_jax
from bmjax.devices.program_cache import find_cache


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_it_is_made_for_its_user_alone(home):
    assert find_cache(None) == (str(home / "bmjax"), "")
    assert (home / "bmjax").stat().st_mode & 0o777 == 0o700
    assert find_cache(None) == (str(home / "bmjax"), "")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_one_that_others_can_write_is_not_used(home, mode):
    (home / "bmjax").mkdir()
    (home / "bmjax").chmod(mode)
    folder, said = find_cache(None)
    assert folder is None
    assert "can be written by others and is not used" in said


def test_one_of_another_user_is_not_used(home, monkeypatch):
    (home / "bmjax").mkdir(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    folder, said = find_cache(None)
    assert folder is None
    assert "belongs to another user" in said


def test_a_home_that_cannot_be_written_or_is_none_is_a_sentence(home, monkeypatch):
    (home / "bmjax").write_text("a file")
    assert find_cache(None)[0] is None
    assert "(File exists)" in find_cache(None)[1]
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert find_cache(None)[0] is None

    def no_home():
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(program_cache.Path, "home", no_home)
    folder, said = find_cache(None)
    assert folder is None
    assert said.startswith("no home folder is known")


def test_a_folder_that_jax_was_told_is_looked_at_too(home):
    (home / "mine").mkdir(mode=0o700)
    assert find_cache(str(home / "mine")) == (str(home / "mine"), "")
    (home / "mine").chmod(0o777)
    assert find_cache(str(home / "mine"))[0] is None
    assert find_cache("gs://bucket/x") == ("gs://bucket/x", "")


def test_a_start_without_a_cache_says_so_and_goes_on(home, capsys):
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        (home / "bmjax").mkdir()
        (home / "bmjax").chmod(0o777)
        start_jax(devices=4)
        assert jax.config.jax_compilation_cache_dir is None
        assert capsys.readouterr().err.startswith("note: the folder of compiled")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert Path(before).is_dir()
