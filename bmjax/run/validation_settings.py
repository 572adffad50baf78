"""What validation settings must be together, and the names of validation figures."""

from bmjax.errors import ConfigError, check_known
from bmjax.evals.validation_figures import NEAREST, SHOWN
from bmjax.run.run_settings import Settings
from bmjax.settings import is_zero

_TEST_FIGURES = (
    *SHOWN, "weighted_f1", "macro_f1_without_rare", "roc_auc", "probe", "linear",
    "knn_1", "intervals", "per_class", "calibration", "by_frequency",
)  # fmt: skip


def figure_names(settings: Settings) -> list[str]:
    """The figures of a validation, as "knn_20/macro_f1"; a classifier's own first."""
    predictors = [f"knn_{NEAREST}", "logistic"]
    if settings.model.head == "classifier":
        predictors.insert(0, "classifier")
    return [f"{predictor}/{name}" for predictor in predictors for name in SHOWN]


def check_validation(settings: Settings) -> None:
    """Raise ConfigError unless what is asked of validation can be done.

    Raises:
        ConfigError: validation without validation images, a choice without validation,
            or one by a figure of the test images.
    """
    best, every = settings.checkpoint.best, settings.validation.every
    if best:
        _check_figure(best, figure_names(settings))
    if best and is_zero(every):
        raise ConfigError(
            f"config.checkpoint.best = {best!r} chooses by validation, and "
            f'config.validation.every = "{every}" is none; set how often, such as '
            '--config.validation.every="10 epochs"'
        )
    if not is_zero(every) and not settings.data.validation_share:
        raise ConfigError(
            f'config.validation.every = "{every}" needs validation images, and '
            "config.data.validation_share = 0 keeps none; set a share of the training "
            "images, such as --config.data.validation_share=0.1"
        )


def _check_figure(best: str, known: list[str]) -> None:
    first = best.split("/")[0]
    if best not in known and (first.startswith("test") or first in _TEST_FIGURES):
        raise ConfigError(
            f"config.checkpoint.best = {best!r} is a figure of the test images: a step "
            "that is chosen on test images makes their figures too good; choose on "
            f"validation images, by one of {', '.join(known)}"
        )
    check_known("config.checkpoint.best", best, known)
