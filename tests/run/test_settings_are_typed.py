"""A ConfigDict ends at the reader of settings."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from bmjax.run.command_line import load_config
from bmjax.run.run_settings import read_config

CONFIGS = Path(__file__).parents[2] / "configs"


def _values(value):
    yield value
    if is_dataclass(value):
        for field in fields(value):
            yield from _values(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _values(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _values(part)


@pytest.mark.parametrize("name", ["supervised", "swav", "supcon", "dino"])
def test_no_settings_hold_a_configdict(name):
    settings = read_config(load_config(CONFIGS / f"{name}.py", "smoke"))
    assert is_dataclass(settings)
    assert not [v for v in _values(settings) if isinstance(v, ConfigDict)]
