"""Batches held ready fit the memory, or the run is refused before it starts."""

import resource

import pytest

from bmjax.devices import hardware
from bmjax.errors import ConfigError
from bmjax.run import prefetch_memory
from bmjax.run.prefetch_memory import check_prefetch
from tests.helpers.toy_run import toy_run

BATCH = {"batch_size": 16, "size": 1024}  # 50 MB


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes of memory are free."""

    def set_free(size):
        monkeypatch.setattr(prefetch_memory, "host_memory_left", lambda: size)

    return set_free


def test_too_many_batches_are_refused_with_both_numbers_and_one_that_fits(free):
    free(10 * 10**9)
    with pytest.raises(ConfigError) as refused:
        check_prefetch(prefetch=1024, workers=0, **BATCH)
    for words in ("51.5 GB", "10 GB", "--config.data.prefetch=198"):
        assert words in str(refused.value)
    check_prefetch(prefetch=198, workers=0, **BATCH)
    with pytest.raises(ConfigError, match="2 workers"):
        check_prefetch(prefetch=198, workers=2, **BATCH)


def test_where_not_one_batch_fits_the_batch_is_too_large(free):
    free(10**6)
    with pytest.raises(ConfigError, match=r"a smaller config\.data\.batch_size"):
        check_prefetch(prefetch=1, workers=0, **BATCH)


def test_where_nothing_tells_everything_passes(free):
    free(None)
    check_prefetch(prefetch=10**6, workers=9, **BATCH)


def test_a_run_looks_before_it_reads_an_image(free):
    free(1000)
    with pytest.raises(ConfigError, match=r"config\.data\.prefetch = "):
        toy_run("swav")


def test_a_limit_of_addresses_counts(monkeypatch):
    left = hardware.host_memory_left()
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1000, 1000))
    assert left is None or left > 0
    assert hardware.host_memory_left() == 0
