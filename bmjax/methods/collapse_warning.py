"""Watch SwAV's logged metrics for a loss that stays at ln K."""

from bmjax.methods.spec import Watch

STUCK = 0.98  # of ln K; a run that learns is well below within an epoch or two (ours)
_POINT = 0.1  # spread of embeddings that have fallen together
_VAGUE = 0.95  # of ln K; entropy of codes that say nothing
_TWINS = 0.5  # share of prototypes that have a twin


def watch_for_collapse(*, after: int, patience: int) -> Watch:
    """Return watch(step, metrics): a warning, once, when SwAV's loss stays at ln K.

    At ln K every prototype is predicted alike: nothing has been learned, or everything
    has collapsed. Which of the two, and so the cure, shows in the other metrics.

    Args:
        after: steps from which the loss ought to have left ln K.
        patience: steps for which it must have stayed there.
    """
    since: list[int] = []  # the step at which it was first seen stuck, once warned -1

    def watch(step: int, metrics: dict[str, float]) -> str | None:
        if metrics.get("loss_over_ln_k", 0.0) < STUCK or step < after:
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
            f"learned; {_cure(metrics)}, in another --workdir"
        )

    return watch


def _cure(metrics: dict[str, float]) -> str:
    if metrics["embedding_spread"] < _POINT:
        return (
            "all embeddings have fallen together; lower config.optim.learning_rate, or "
            "raise config.optim.freeze_prototypes"
        )
    if metrics["prototypes_duplicate"] > _TWINS:
        return (
            "prototypes have fallen together; raise config.optim.freeze_prototypes, or "
            "lower config.method.prototypes"
        )
    if metrics["assignment_entropy"] > _VAGUE:
        return (
            "the codes are the same for all images; lower config.method.epsilon (0.03 "
            "where it is 0.05)"
        )
    return (
        "the codes are sharp but not predicted; lower config.optim.learning_rate, or "
        "raise config.method.queue_from"
    )
