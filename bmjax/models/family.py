"""What the library has to know of a family of networks: one record a family."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flax import linen as nn

from bmjax.models.preprocessing import Preprocessing

ParamPath = tuple[str, ...]  # of a parameter below "backbone", as ("blocks_0", "norm1")


class Family(NamedTuple):
    """Networks that one module builds, each from a spec of its own.

    Attributes:
      title: what messages call it, as "vision transformer".
      specs: the spec of each network, by its name in `config.model.name`.
      build: (spec, lowering=, dtype=, remat=, name=) -> the backbone's module, which
        maps images float [B, H, W, C] to features [B, F] and is called with `train=`.
        Each parameter declares how it begins (`bmjax.models.init`). Batch statistics
        are optional. Randomness in training comes from `make_rng("network")`.
      feature_dim: F of a spec.
      first_entry: an entry that every file of such weights has, and no family's before
        it in `FAMILIES`.
      entry: the name in a file of weights (timm's or torchvision's) of a path below
        "backbone".
      classifier: the name in a file of weights of the classifier's layer.
      backbone_roots: what the entries of a backbone begin with, up to the first dot or
        digit.
      size_multiple: height and width of images are multiples of it, in pixels.
      layer: (spec, path) -> (number of the layer that a parameter belongs to, number of
        the last layer of all, on which the heads stand); for rates by layer. None: the
        family does not say.
      poolings: how features may come from what the backbone ends with; where there are
        several, a spec has a field `pooling`.
      interpolation: the rule by which a spec's learned positions are resampled, in a
        field of that name; "" where it has no such positions.
      preprocessing: of a spec, what the authors' weights were trained with; None where
        files of the family come from many trainings.
      batch_norm: whether training normalizes by means over the batch.
      drops_branches: whether a spec has a field `drop_path`, for stochastic depth.
    """

    title: str
    specs: Mapping[str, Any]
    build: Callable[..., nn.Module]
    feature_dim: Callable[[Any], int]
    first_entry: str
    entry: Callable[[ParamPath], str]
    backbone_roots: tuple[str, ...]
    classifier: str = "fc"
    size_multiple: Callable[[Any], int] = lambda spec: 1
    layer: Callable[[Any, ParamPath], tuple[int, int]] | None = None
    poolings: tuple[str, ...] = ("average",)
    interpolation: Callable[[Any], str] = lambda spec: ""
    preprocessing: Callable[[Any], Preprocessing | None] = lambda spec: None
    batch_norm: bool = False
    drops_branches: bool = False
