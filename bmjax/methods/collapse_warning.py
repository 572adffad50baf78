"""Looks at the logged figures of a run and says when it does not learn."""

from collections.abc import Callable

STUCK = 0.98  # of ln K; a run that learns is well below within an epoch or two (ours)
_POINT = 0.1  # spread of embeddings that have fallen together
_VAGUE = 0.95  # of ln K; entropy of codes that say nothing
_TWINS = 0.5  # share of prototypes that have a twin


def make_watch(
    *, after: int, patience: int
) -> Callable[[int, dict[str, float]], str | None]:
    """Return watch(step, figures): a warning, once, when SwAV's loss stays at ln K.

    At ln K every prototype is predicted alike: nothing has been learnt, or everything
    has collapsed. Which of the two, and so the cure, shows in the other figures.

    Args:
        after: steps from which the loss ought to have left ln K.
        patience: steps for which it must have stayed there.
    """
    since: list[int] = []  # the step at which it was first seen stuck, once warned -1

    def watch(step: int, figures: dict[str, float]) -> str | None:
        if figures.get("loss_over_ln_k", 0.0) < STUCK or step < after:
            if since != [-1]:
                since.clear()
            return None
        if not since:
            since.append(step)
        if since == [-1] or step - since[0] < patience:
            return None
        since[:] = [-1]
        return (
            f"the loss has stayed at ln K for {patience:,} steps: nothing is being "
            f"learnt; {_cure(figures)}, in another --workdir"
        )

    return watch


def _cure(figures: dict[str, float]) -> str:
    if figures["embedding_spread"] < _POINT:
        return (
            "all embeddings have fallen together; lower config.optim.learning_rate, or "
            "raise config.optim.freeze_prototypes"
        )
    if figures["prototypes_duplicate"] > _TWINS:
        return (
            "prototypes have fallen together; raise config.optim.freeze_prototypes, or "
            "lower config.method.prototypes"
        )
    if figures["assignment_entropy"] > _VAGUE:
        return (
            "the codes are the same for all images; lower config.method.epsilon (0.03 "
            "where it is 0.05)"
        )
    return (
        "the codes are sharp but not predicted; lower config.optim.learning_rate, or "
        "raise config.method.queue_from"
    )
