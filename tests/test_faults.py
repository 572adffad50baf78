"""Faults happen where they are asked for, once, and nowhere else."""

import errno

import pytest

from bmjax.faults import VARIABLE, reached


def test_nothing_happens_unless_it_is_asked_for(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    reached("a.point", 3)
    monkeypatch.setenv(VARIABLE, "another.point:full,a.point@4:full")
    reached("a.point", 3)
    reached("a.point")


def test_a_fault_happens_once_at_its_step(monkeypatch):
    monkeypatch.setenv(VARIABLE, "once.point@7:full,once.other:fail")
    with pytest.raises(OSError) as raised:
        reached("once.point", 7)
    assert raised.value.errno == errno.ENOSPC
    reached("once.point", 7)
    with pytest.raises(RuntimeError, match=r"once\.other"):
        reached("once.other", 1)
