"""Whether a run prepares images as the weights that it starts from want them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bmjax.data.far_moments import far_moments_note
from bmjax.errors import ConfigError
from bmjax.models import preprocessing_of
from bmjax.run.build import RunData
from bmjax.run.run_settings import Settings

_SAME = 1e-3  # two means of values in 0 to 1 that are written with three digits


def check_preprocessing(
    path: Path,
    about: Mapping[str, Any],
    settings: Settings,
    say: Callable[[str], None],
) -> None:
    """Compare normalization and resizing with those that the weights were trained with.

    A run's weights and those of `bmjax.export` name theirs; others have their family's.
    Of a residual network's file nothing is known, and it is said. Another size of
    images is no mistake, but another network all the same, and is said too.

    Args:
        path: of the weights, for the messages.
        about: what is known of them (`training.trained_network.Weights`).
        settings: of the run.
        say: takes notes.

    Raises:
        ConfigError: they differ, and `config.init_other_preprocessing` is off.
    """
    own = preprocessing_of(settings.model.name)
    wanted = {"resize": "area", **about} if "mean" in about else own and own._asdict()
    data = settings.data
    if not wanted:
        say(
            f"note: {path.name} does not say how its images were normalized; "
            f"config.data.mean = {tuple(data.mean)} is used"
        )
        return
    for key, ours in (("mean", data.mean), ("std", data.std), ("resize", data.resize)):
        theirs = wanted[key]
        if _same(ours, theirs):
            continue
        shown = theirs if isinstance(theirs, str) else tuple(theirs)
        sentence = (
            f"config.init_from = {str(path)!r} was trained with {key} = {shown!r}, and "
            f"config.data.{key} = {_shown(ours)!r}"
        )
        if not settings.init_other_preprocessing:
            raise ConfigError(
                f"{sentence}; set --config.data.{key}={str(shown)!r}, or "
                "--config.init_other_preprocessing=True to train on with the other"
            )
        say(f"note: {sentence}")
    if wanted["size"] != data.size:
        say(
            f"note: {path.name} was trained on images of {wanted['size']} pixels, and "
            f"config.data.size = {data.size}"
        )


def moments_notes(settings: Settings, data: RunData) -> list[str]:
    """Sentences where a run's images are unlike what its first weights know; or none.

    None of weights whose family does not say its moments, and none where the run has
    been told to use others (`config.init_other_preprocessing`).
    """
    if (
        not settings.init_from
        or settings.init_other_preprocessing
        or preprocessing_of(settings.model.name) is None
    ):
        return []
    note = far_moments_note(
        data.catalog.encoded,
        data.split.train,
        mean=settings.data.mean,
        std=settings.data.std,
        threads=settings.data.threads,
    )
    return [note] if note else []


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, str):
        return ours == theirs
    return bool(np.allclose(ours, theirs, rtol=0, atol=_SAME))


def _shown(value: Any) -> Any:
    return value if isinstance(value, str) else tuple(value)
