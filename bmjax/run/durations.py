"""Durations are strings with their unit: "15 epochs", "500 steps"."""

import re

from bmjax.errors import ConfigError

_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(epochs?|steps?)\s*")


def to_steps(text: str, *, steps_per_epoch: int, key: str) -> int:
    """Return a duration in whole steps, rounded down.

    Args:
        text: a number and its unit, `epochs` or `steps`.
        steps_per_epoch: how many steps an epoch has.
        key: the config key, for the message.

    Raises:
        ConfigError: if the text is no duration.

    >>> to_steps("2 epochs", steps_per_epoch=535, key="config.train.duration")
    1070
    >>> to_steps("500 steps", steps_per_epoch=535, key="config.train.duration")
    500
    """
    match = _PATTERN.fullmatch(text)
    if match is None or ("." in match[1] and match[2].startswith("step")):
        raise ConfigError(
            f'{key} = "{text}" is no duration; write a number and its unit, '
            'like "15 epochs" or "500 steps"'
        )
    amount = float(match[1])
    return int(amount * steps_per_epoch if match[2][0] == "e" else amount)
