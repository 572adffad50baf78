"""Typed settings: frozen dataclasses whose fields say what a value may be.

A section of a configuration is such a dataclass. Its fields are made by `number`,
`choice`, `duration` and `interval`, or are plain where any value of the type will do;
`read_settings` is the one place where values are checked.
"""

import dataclasses
import numbers
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from bmjax.errors import ConfigError, check_known

_Settings = TypeVar("_Settings")
Number = int | float
_CHECK, _DURATION = "check", "duration"
_NEEDED = dataclasses.MISSING  # of a field without a default
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(epochs?|steps?)\s*")
_MOST_STEPS = 2**31 - 1  # the step is counted in 32 bits
# By the type of a field: what may stand there, and how it is called. A truth value is
# no number here, though Python takes it for one.
_KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "True or False"),
    int: ((numbers.Integral,), "a whole number"),
    float: ((numbers.Real,), "a number"),
    Number: ((numbers.Real,), "a number"),
    str: ((str,), "a text"),
    tuple: ((tuple, list), "several values in parentheses"),
}


def number(low: Number, high: Number, default: Any = _NEEDED) -> Any:
    """A field that holds a number from `low` to `high`, both included."""

    def check(key: str, value: Any) -> None:
        if not low <= value <= high:
            raise ConfigError(
                f"{key} = {value} is out of range; use {low:g} to {high:g}"
            )

    return _field(check, default=default)


def choice(*known: str, default: Any = _NEEDED) -> Any:
    """A field that holds one of the known names."""
    return _field(lambda key, value: check_known(key, value, known), default=default)


def interval() -> Any:
    """A field that holds two numbers above 0, the lower first."""

    def check(key: str, value: Any) -> None:
        if not (_numbers(value, 2) and 0 < value[0] <= value[1]):
            raise ConfigError(
                f"{key} = {tuple(value)} is no range; give two numbers above 0, the "
                "lower first"
            )

    return _field(check)


def several(
    count: int, low: Number, high: Number, *, what: str, default: Any = _NEEDED
) -> Any:
    """A field that holds `count` numbers from `low` to `high`, both included.

    Args:
        count: how many.
        low: of each.
        high: of each.
        what: ends the sentence "give one number from LOW to HIGH ...".
        default: where there is one.
    """

    def check(key: str, values: Any) -> None:
        if not (_numbers(values, count) and all(low <= v <= high for v in values)):
            raise ConfigError(
                f"{key} = {tuple(values)} is out of range; give one number from "
                f"{low:g} to {high:g} {what}"
            )

    return _field(check, default=default)


def _numbers(values: Any, count: int) -> bool:
    """Whether values are so many numbers."""
    return len(values) == count and all(_is_a(Number, value) for value in values)


def _is_a(kind: Any, value: Any) -> bool:
    return isinstance(value, _KINDS[kind][0]) and (
        kind is bool or not isinstance(value, bool)
    )


def duration() -> Any:
    """A field that holds a duration: "15 epochs", "500 steps"."""
    return _field(lambda key, text: to_steps(text, steps_per_epoch=1, key=key), True)


def checked(check: Callable[[str, Any], None], default: Any = _NEEDED) -> Any:
    """A field with a check of its own: check(key, value) raises ConfigError."""
    return _field(check, default=default)


def _field(
    check: Callable[[str, Any], Any],
    is_duration: bool = False,
    default: Any = _NEEDED,
) -> Any:
    return dataclasses.field(
        default=default, metadata={_CHECK: check, _DURATION: is_duration}
    )


def read_settings(
    kind: type[_Settings], values: Mapping[str, Any], prefix: str, *, whole: bool = True
) -> _Settings:
    """Return settings, each checked.

    Args:
        kind: the dataclass; a field whose type is one too is a section.
        values: by name, as in the configuration; a section's are a mapping.
        prefix: of the keys in an error's sentence, as "config.data".
        whole: the values are those of the fields, no more and no fewer; if not, others
            are passed over, and a field without one has its default.

    Raises:
        ConfigError: a value that its field does not allow, or a name that is missing
            or unknown.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore
    for name in values if whole else ():
        if name not in fields:
            raise ConfigError(
                f"{prefix}.{name} is no key that is known here; use {', '.join(fields)}"
            )
    read: dict[str, Any] = {}
    for name, field in fields.items():
        key, section = f"{prefix}.{name}", field.type
        if name not in values and not whole and _has_default(field):
            continue
        if name not in values:
            raise ConfigError(f"{key} is missing; set it in the configuration's file")
        read[name] = values[name]
        if isinstance(section, type) and dataclasses.is_dataclass(section):
            if not isinstance(values[name], Mapping):
                raise ConfigError(
                    f"{key} = {values[name]!r} should be a section with the keys "
                    f"{', '.join(f.name for f in dataclasses.fields(section))}"
                )
            read[name] = read_settings(section, values[name], key, whole=whole)
            continue
        if section in _KINDS and not _is_a(section, values[name]):
            raise ConfigError(
                f"{key} = {values[name]!r} should be {_KINDS[section][1]}"
            )
        if section is tuple:  # JSON has lists
            read[name] = tuple(values[name])
        if _CHECK in field.metadata:
            field.metadata[_CHECK](key, values[name])
    return kind(**read)


def _has_default(field: dataclasses.Field) -> bool:
    return field.default is not _NEEDED or field.default_factory is not _NEEDED


def with_steps(settings: Any, steps_per_epoch: int) -> dict[str, Any]:
    """Return settings by name, every duration as a number of steps."""
    return {
        field.name: (
            to_steps(value, steps_per_epoch=steps_per_epoch, key=field.name)
            if field.metadata.get(_DURATION)
            else value
        )
        for field in dataclasses.fields(settings)
        for value in (getattr(settings, field.name),)
    }


def to_steps(text: str, *, steps_per_epoch: int, key: str) -> int:
    """Return a duration in whole steps, rounded down.

    Args:
        text: a number and its unit, `epochs` or `steps`.
        steps_per_epoch: how many steps an epoch has.
        key: the config key, for the message.

    Raises:
        ConfigError: if the text is no duration, or one of too many steps.

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
    amount = float(match[1]) * (steps_per_epoch if match[2][0] == "e" else 1)
    if amount > _MOST_STEPS:
        raise ConfigError(
            f'{key} = "{text[:40]}" is out of range; use {_MOST_STEPS:,} steps or fewer'
        )
    return int(amount)


def is_zero(text: str) -> bool:
    """Whether a duration is none, "0 steps" or "0 epochs", however long an epoch is."""
    match = _PATTERN.fullmatch(text)
    return match is not None and not float(match[1])
