"""What a method says of itself, for all that is around it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from bmjax.types import Method

# Called with the step and its metrics whenever they are logged; a warning or None.
Watch = Callable[[int, dict[str, float]], str | None]


class RunFacts(NamedTuple):
    """What of a run a method's warnings may depend on."""

    batch_size: int
    training_images: int
    class_images: dict[str, int]  # of these, by class
    steps: int
    steps_per_epoch: int
    dtype: str  # of the backbone's activations
    freeze_prototypes: str  # a duration, config.optim.freeze_prototypes
    init_from: str
    to_steps: Callable[[str], int]  # from a duration to steps


def _no_check(settings: Any, batch_size: int) -> None:
    del settings, batch_size


def _no_warnings(settings: Any, facts: RunFacts) -> list[str]:
    del settings, facts
    return []


def _no_watch(settings: Any, facts: RunFacts) -> Watch:
    del settings, facts
    return lambda step, metrics: None


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """A method's description. `bmjax.methods.METHODS` has one for each.

    Attributes:
        title: as a report names it.
        make: make(network, *, recipe, **settings) -> Method. Settings are the fields of
            `settings`: a duration as steps; `class_weights` as float [N] or None;
            `logit_adjustment` as float [N] or None, tau ln(prior), where the prior is
            of the training images as the sampling draws and the weights count them.
        settings: the dataclass of config.method (`bmjax.settings`).
        heads: values of config.model.head that fit.
        large_views: config.augment.large, at the least.
        uses_labels: whether it learns from the labels.
        needs_patches: whether the network has to be a vision transformer whose features
            are its class token's.
        trained_networks: names of the parameters of each network that gradients move,
            "network" or below another name, as "student.network".
        trains_backbone: whether the backbone changes; one that does not has learned
            from no label, whatever is fitted on it.
        check: check(settings, batch_size) raises ConfigError before a run begins.
        warn: warn(settings, facts) -> a sentence for each setting that is valid but
            probably a mistake.
        watch: watch(settings, facts) -> a function that looks at the logged metrics.
        non_finite_cure: what helps against a loss that is not finite, besides a lower
            learning rate; "" for nothing.
    """

    title: str
    make: Callable[..., Method]
    settings: type
    heads: tuple[str, ...]
    large_views: int = 1
    uses_labels: bool = False
    needs_patches: bool = False
    trained_networks: tuple[str, ...] = ("network",)
    trains_backbone: bool = True
    check: Callable[[Any, int], None] = _no_check
    warn: Callable[[Any, RunFacts], list[str]] = _no_warnings
    watch: Callable[[Any, RunFacts], Watch] = _no_watch
    non_finite_cure: str = ""
