"""The table of families. A family is one file that ends with its record, and one line.

A name of a network occurs in one family.
"""

from collections.abc import Callable

from bmjax.errors import ConfigError, check_known
from bmjax.models import resnet, vit
from bmjax.models.family import Family

FAMILIES: tuple[Family, ...] = (
    resnet.RESNETS,
    vit.VITS,
)

NETWORKS = {name: spec for family in FAMILIES for name, spec in family.specs.items()}


def family_of(name: str) -> Family:
    """Returns the family of the named network.

    Raises:
      ConfigError: no network has this name.
    """
    check_known("config.model.name", name, tuple(NETWORKS))
    return next(family for family in FAMILIES if name in family.specs)


def feature_dim(name: str) -> int:
    """Returns the number of features F that the named network gives per image."""
    return family_of(name).feature_dim(NETWORKS[name])


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
