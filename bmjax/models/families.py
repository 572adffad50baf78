"""The table of families. A family is one file that ends with its record, and one line.

A name of a network occurs in one family.
"""

from collections.abc import Callable
from typing import Any

from bmjax.errors import ConfigError, check_known
from bmjax.models import dinov2, dinov3, resnet, vit
from bmjax.models.family import Family
from bmjax.models.positions import INTERPOLATIONS
from bmjax.models.preprocessing import Preprocessing

# In the order that `Family.first_entry` asks for.
FAMILIES: tuple[Family, ...] = (
    resnet.RESNETS,
    dinov3.DINOV3,
    dinov2.DINOV2,
    vit.VITS,
)
AUTO = "auto"  # the network's own

NETWORKS = {name: spec for family in FAMILIES for name, spec in family.specs.items()}


def family_of(name: str) -> Family:
    """Returns the family of the named network.

    Raises:
      ConfigError: no network has this name.
    """
    check_known("config.model.name", name, tuple(NETWORKS))
    return next(family for family in FAMILIES if name in family.specs)


def feature_dim(name: str, *, pooling: str = AUTO) -> int:
    """Returns the number of features F that the named network gives per image."""
    return family_of(name).feature_dim(spec_of(name, pooling=pooling))


def spec_of(
    name: str,
    *,
    pooling: str = AUTO,
    interpolation: str = AUTO,
    drop_path: float = 0.0,
) -> Any:
    """Returns the spec of the named network with what a configuration asks of it.

    Args:
      name: one of `NETWORKS`.
      pooling: how features come from tokens, one of its family's; "auto": its own.
      interpolation: of learned positions, one of `INTERPOLATIONS`, or "none" where
        there are none; "auto": its own.
      drop_path: the probability that an image skips a branch in training.

    Raises:
      ConfigError: no network has this name, or it has nothing that could be so set.
    """
    family, spec = family_of(name), NETWORKS[name]
    what = f"config.model.name = {name!r} is a {family.title}"
    check_known("config.model.pooling", pooling, (AUTO, *_all_poolings()))
    own = family.interpolation(spec) or "none"
    if interpolation not in (AUTO, own):
        check_known("config.model.interpolation", interpolation, tuple(INTERPOLATIONS))
    changed: dict[str, Any] = {}
    if pooling not in (AUTO, *family.poolings):
        raise ConfigError(
            f"config.model.pooling = {pooling!r} is not possible, as {what}; use one "
            f"of {', '.join((AUTO, *family.poolings))}"
        )
    if pooling != AUTO and len(family.poolings) > 1:
        changed["pooling"] = pooling
    if interpolation not in (AUTO, own):
        if own == "none":
            raise ConfigError(
                f"config.model.interpolation = {interpolation!r} needs learned "
                f"positions, and {what} without any; use {AUTO!r}"
            )
        changed["interpolation"] = interpolation
    if drop_path:
        if not family.drops_branches:
            raise ConfigError(
                f"config.model.drop_path = {drop_path:g} needs a vision transformer, "
                f"and {what}; use 0.0"
            )
        changed["drop_path"] = drop_path
    spec = spec._replace(**changed) if changed else spec
    family.feature_dim(spec)  # refuses a pooling that the network is too shallow for
    return spec


def _all_poolings() -> tuple[str, ...]:
    return tuple(dict.fromkeys(p for family in FAMILIES for p in family.poolings))


def feature_settings(
    name: str, *, pooling: str = AUTO, interpolation: str = AUTO
) -> dict[str, str]:
    """Returns by what rules features are made, each by its name and never "auto".

    Args:
      name: one of `NETWORKS`.
      pooling: as for `spec_of`.
      interpolation: likewise.

    Returns:
      "pooling", and "interpolation", which is "none" without learned positions.

    Raises:
      ConfigError: as `spec_of`.
    """
    family = family_of(name)
    spec = spec_of(name, pooling=pooling, interpolation=interpolation)
    own = spec.pooling if len(family.poolings) > 1 else family.poolings[0]
    return {"pooling": own, "interpolation": family.interpolation(spec) or "none"}


def preprocessing_of(name: str) -> Preprocessing | None:
    """Returns what the named network's weights were trained with; None: not known."""
    return family_of(name).preprocessing(NETWORKS[name])


def smallest_images(name: str) -> int:
    """Returns the height and width, in pixels, of small images that a network takes."""
    multiple = family_of(name).size_multiple(NETWORKS[name])
    return -(-32 // multiple) * multiple


def check_image_size(name: str, size: int, key: str) -> None:
    """Raises ConfigError where a network takes no images of so many pixels.

    Args:
      name: one of `NETWORKS`.
      size: height and width, pixels.
      key: that holds the size, as "config.data.size".
    """
    multiple = family_of(name).size_multiple(NETWORKS[name])
    if size % multiple:
        below, above = size // multiple * multiple, -(-size // multiple) * multiple
        nearest = f"{below} or {above}" if below else f"{above}"
        raise ConfigError(
            f"{key} = {size} does not divide into the patches of {multiple} pixels "
            f"that config.model.name = {name!r} cuts images into; use {nearest}"
        )


def layer_scales(name: str, decay: float) -> Callable[[tuple[str, ...]], float] | None:
    """Returns a function from a parameter's path to the factor of its learning rate.

    At a decay of 1, where every factor is 1, it is None.

    The factor is decay ** (last layer - its layer): 1 for the heads and for all that
    lies outside of a backbone (Clark et al. 2020, ELECTRA; Bao et al. 2021, BEiT).

    Args:
      name: one of `NETWORKS`.
      decay: in 0 to 1.

    Raises:
      ConfigError: the decay is not 1, and the network's family has no layers in order.
    """
    family = family_of(name)
    if decay == 1:
        return None
    if family.layer is None:
        with_layers = [other.title for other in FAMILIES if other.layer is not None]
        raise ConfigError(
            f"config.optim.layer_decay = {decay:g} needs a network with layers in "
            f"order ({', '.join(with_layers)}), and config.model.name = {name!r} is a "
            f"{family.title}; use 1.0"
        )

    layer_of = family.layer

    def scale(path: tuple[str, ...]) -> float:
        if "backbone" not in path:
            return 1.0
        below = path[path.index("backbone") + 1 :]
        layer, last = layer_of(NETWORKS[name], below)
        return decay ** (last - layer)

    return scale
