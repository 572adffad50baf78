"""What of a run is likely a mistake though it could be meant: said, not refused."""

from bmjax.run.build import Run

_COARSE = 0.02  # epsilon below which bfloat16's scores, good to 1/256, decide the codes


def advice(run: Run) -> list[str]:
    """One sentence for each doubt, with the key and the cure."""
    config = run.config
    notes = _of_swav(run) if config.method.name == "swav" else []
    weighted = config.method.to_dict().get("class_weights", "none") != "none"
    if weighted and config.data.sampling == "balanced":
        notes.append(
            f"config.method.class_weights = {config.method.class_weights} on top of "
            "balanced sampling counts rare classes twice; use one of the two"
        )
    if config.method.name == "linear" and not config.init_from:
        notes.append(
            "config.init_from is empty: the frozen backbone is a random one, which is "
            "a control and nothing else"
        )
    if 0 < run.steps <= run.in_steps("optim.freeze_backbone"):
        notes.append(
            f"config.optim.freeze_backbone = {config.optim.freeze_backbone} is the "
            "whole run: the backbone is never trained; shorten it"
        )
    return notes


def _of_swav(run: Run) -> list[str]:
    config, notes = run.config, []
    prototypes, queue = config.method.prototypes, config.method.queue_length
    batch, epsilon = config.data.batch_size, config.method.epsilon
    if prototypes > batch + queue:
        notes.append(
            f"config.method.prototypes = {prototypes:,}, but batch and queue hold "
            f"{batch + queue:,} images to share among them; use fewer, or a queue of "
            f"{-(-(prototypes - batch) // batch) * batch:,}"
        )
    if queue >= len(run.split.train):
        notes.append(
            f"config.method.queue_length = {queue:,} holds every one of the "
            f"{len(run.split.train):,} training images, the current ones included; "
            "shorten it"
        )
    fill = -(-queue // batch)
    if queue and 0 < run.steps <= run.in_steps("method.queue_from") + fill:
        notes.append(
            f"config.method.queue_from = {config.method.queue_from} and {fill} steps "
            f"to fill it are the whole run of {run.steps:,} steps: the queue is never "
            "used; start it earlier"
        )
    if config.model.dtype == "bfloat16" and epsilon < _COARSE:
        notes.append(
            f"config.method.epsilon = {epsilon:g} is finer than bfloat16 "
            f"tells scores apart; use {_COARSE:g} or more, or "
            "--config.model.dtype=float32"
        )
    if 0 < run.steps <= run.in_steps("optim.freeze_prototypes"):
        notes.append(
            f"config.optim.freeze_prototypes = {config.optim.freeze_prototypes} is the "
            "whole run: prototypes never learn; shorten it"
        )
    return notes
