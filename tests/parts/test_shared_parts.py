"""Every part is made once, by whoever comes to it, and one command joins them."""

import os
import threading

import pytest

from bmjax.errors import ConfigError
from bmjax.parts.claims import held, take
from bmjax.parts.shared_parts import made_parts, split_work

ABOUT = {"images": 10}


def work(folder, made, *, by="", joined=None, about=ABOUT, wait=None):
    """Make three parts, and join them in a list."""

    def make(part):
        if wait:
            wait(part)
        part.path.write_text(f"{part.start}-{part.stop}")
        made.append((part.start, by))
        return {"count": part.stop - part.start}

    parts = split_work(folder, 10, 4, ".txt")
    with made_parts(
        parts, about, make, out=folder.with_suffix(""), what="other images"
    ) as notes:
        if notes is not None and joined is not None:
            joined.append(([part.path.read_text() for part in parts], notes))
        return notes


JOINED = (["0-4", "4-8", "8-10"], [{"count": 4}, {"count": 4}, {"count": 2}])


def test_parts_are_made_joined_and_removed(tmp_path):
    made, joined = [], []
    work(tmp_path / "out.partial", made, joined=joined)
    assert [start for start, _ in made] == [0, 4, 8]
    assert joined == [JOINED]
    assert not list(tmp_path.iterdir())


def test_what_was_made_before_a_kill_stays(tmp_path):
    def kill(part):
        if part.start == 8:
            raise KeyboardInterrupt

    made, joined = [], []
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "out.partial", made, wait=kill)
    work(tmp_path / "out.partial", made, joined=joined)
    assert [start for start, _ in made] == [0, 4, 8]
    assert joined == [JOINED]


def test_commands_share_the_parts_and_one_joins_them(tmp_path):
    made, joined, both = [], [], threading.Barrier(2)

    def first_together(part):
        if part.start < 8:
            both.wait(timeout=30)  # so that each of them has one of the first two

    names = ("a", "b")
    workers = [
        threading.Thread(
            target=work,
            args=(tmp_path / "out.partial", made),
            kwargs={"by": name, "joined": joined, "wait": first_together},
        )
        for name in names
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert sorted(start for start, _ in made) == [0, 4, 8]
    assert {by for _, by in made} == {*names}
    assert joined == [JOINED]
    assert not list(tmp_path.iterdir())


def test_a_claim_of_a_process_that_is_no_more_holds_nobody_up(tmp_path):
    folder = tmp_path / "out.partial"
    claim = take(folder, "000000000000")
    text = claim.path.read_text()
    # A number that no process can have: above Linux's and macOS's limits.
    claim.path.write_text(text.replace(f"{os.getpid()}}}", "999999999}"))
    made, joined = [], []
    work(folder, made, joined=joined)
    assert joined == [JOINED]


def test_other_work_is_not_touched(tmp_path):
    def kill(part):
        raise KeyboardInterrupt

    folder = tmp_path / "out.partial"
    with pytest.raises(KeyboardInterrupt):
        work(folder, [], wait=kill)
    with pytest.raises(ConfigError, match=r"parts of another command \(other images"):
        work(folder, [], about={"images": 11})


def test_a_part_made_and_joined_between_two_looks_is_not_made_again(
    tmp_path, monkeypatch
):
    folder = tmp_path / "out.partial"
    made, ours, theirs = [], [], []

    def held_late(claim, lost):
        if not theirs:  # the other command does it all before this one looks again
            theirs.append(claim)
            claim.path.unlink()
            work(folder, made, by="other")
        return held(claim, lost)

    monkeypatch.setattr("bmjax.parts.shared_parts.held", held_late)
    work(folder, made, by="late", joined=ours)
    assert {by for _, by in made} == {"other"}
    assert ours == []
