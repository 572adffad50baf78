"""What validation settings must be together, and the names of validation metrics."""

from bmjax.errors import ConfigError, check_known
from bmjax.evals.validation_metrics import NEAREST, SHOWN
from bmjax.run.run_settings import Settings
from bmjax.settings import is_zero

_TEST_METRICS = (
    *SHOWN, "weighted_f1", "macro_f1_without_rare", "roc_auc", "probe", "linear",
    "knn_1", "intervals", "per_class", "calibration", "by_frequency",
)  # fmt: skip


def metric_names(settings: Settings) -> list[str]:
    """The metrics of a validation, as "knn_20/macro_f1"; a classifier's own first."""
    predictors = [f"knn_{NEAREST}", "logistic"]
    if settings.model.head == "classifier":
        predictors.insert(0, "classifier")
    return [f"{predictor}/{name}" for predictor in predictors for name in SHOWN]


def check_validation(settings: Settings) -> None:
    """Raise ConfigError unless what is asked of validation can be done.

    Raises:
        ConfigError: validation without validation images, a choice without validation,
            or one by a metric of the test images.
    """
    best, every = settings.checkpoint.best, settings.validation.every
    if best:
        _check_metric(best, metric_names(settings))
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


def _check_metric(best: str, known: list[str]) -> None:
    first = best.split("/")[0]
    if best not in known and (first.startswith("test") or first in _TEST_METRICS):
        raise ConfigError(
            f"config.checkpoint.best = {best!r} is a metric of the test images: a step "
            "that is chosen on test images makes their metrics too good; choose on "
            f"validation images, by one of {', '.join(known)}"
        )
    check_known("config.checkpoint.best", best, known)
