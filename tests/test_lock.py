"""requirements.lock holds what requirements.txt asks for, each file by its hash."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HASH = r"--hash=sha256:[0-9a-f]{64}"


def _pins(text):
    """Pairs of a name, as PyPI writes it, and a version, with the marker behind."""
    for line in text.splitlines():
        line = line.partition("#")[0].strip().removesuffix("\\").strip()
        if found := re.match(r"([A-Za-z0-9._-]+)==([^;\s]+)\s*(?:;\s*(.+))?$", line):
            name, version, marker = found.groups()
            yield re.sub(r"[-_.]+", "-", name).lower(), version, marker or ""


@pytest.fixture(scope="module")
def lock():
    return (ROOT / "requirements.lock").read_text()


def test_every_requirement_is_in_the_lock_and_no_other_version_of_it(lock):
    asked = (ROOT / "requirements.txt").read_text()
    locked = {}
    for name, version, _ in _pins(lock):
        locked.setdefault(name, set()).add(version)
    wanted = {}
    for name, version, _ in _pins(asked):
        wanted.setdefault(name, set()).add(version)
    assert len(wanted) > 15
    assert {name: locked.get(name) for name in wanted} == wanted


def test_one_version_a_package_counts_on_each_python(lock):
    from packaging.markers import Marker

    for python in ("3.11", "3.12", "3.13"):
        here = {"python_version": python, "python_full_version": f"{python}.1"}
        here |= {"sys_platform": "linux", "platform_system": "Linux"}
        names = [n for n, _, m in _pins(lock) if not m or Marker(m).evaluate(here)]
        assert len(names) == len(set(names))


def test_every_line_is_a_pin_with_hashes_and_no_place_to_get_it_from(lock):
    joined = lock.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and line.strip()[0] != "#"]
    assert len(lines) > 50
    for line in lines:
        assert re.fullmatch(rf"\S+==\S+( ; [^\\]*?)?( +{HASH})+ *", line), line
