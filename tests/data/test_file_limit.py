"""A run that would meet the limit on open files is refused before it begins."""

import resource

import pytest

from bmjax.data.file_limit import check_file_limit
from bmjax.errors import ConfigError


@pytest.fixture
def limit(monkeypatch):
    """Sets the limits, soft and hard; returns those that were asked for."""
    asked = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, both: asked.append(both))

    def set_limit(soft, hard):
        monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, hard))
        return asked

    return set_limit


def test_forty_are_enough_without_workers_and_two_of_these_need_more(limit):
    asked = limit(40, 40)
    check_file_limit(workers=0)
    with pytest.raises(ConfigError, match=r"up to 88 .* may have 40; .*ulimit -n 88"):
        check_file_limit(workers=2)
    limit(20, 20)
    with pytest.raises(ConfigError, match=r"workers = 0 takes up to 32 open files"):
        check_file_limit(workers=0)
    assert not asked


def test_a_limit_that_may_be_raised_is(limit):
    check_file_limit(workers=2)
    for hard in (4096, resource.RLIM_INFINITY):
        asked = limit(40, hard)
        check_file_limit(workers=2)
        assert asked.pop() == (88, hard)
    limit(resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    check_file_limit(workers=2)
