"""Warnings for configurations that are valid but probably a mistake."""

import numpy as np

from bmjax.data.class_shares import loss_shares
from bmjax.methods import METHODS
from bmjax.methods.spec import RunFacts
from bmjax.models import family_of
from bmjax.run.run_settings import Settings

_FEW = 2  # images whose mean is hardly one of a batch; ours
_EVEN = 1e-6  # difference of two shares, relative; class weights are float32


def config_warnings(settings: Settings, facts: RunFacts) -> list[str]:
    """Return a sentence for each doubtful setting, with its key and the cure.

    Args:
        settings: of the run.
        facts: what `run_facts` says of it.
    """
    optim = settings.optim
    notes = METHODS[settings.method_name].warn(settings.method, facts)
    if facts.batch_size > facts.training_images:
        notes.append(
            f"config.data.batch_size = {facts.batch_size:,} is more than the "
            f"{facts.training_images:,} training images: every batch holds some of "
            "them twice; use a smaller one"
        )
    alone = settings.data.batch_size // settings.train.accumulate
    trained = METHODS[settings.method_name].trains_backbone
    if trained and family_of(settings.model.name).batch_norm and alone <= _FEW:
        notes.append(
            f"batch normalization sees {alone} image(s) at a time "
            f"(config.data.batch_size = {settings.data.batch_size:,}, "
            f"config.train.accumulate = {settings.train.accumulate:,}): its means are "
            "those of single images; use a larger batch, or fewer chunks"
        )
    scheme = getattr(settings.method, "class_weights", "none")
    if scheme != "none" and settings.data.sampling == "balanced":
        notes.append(
            f"config.method.class_weights = {scheme} on top of balanced sampling "
            "counts rare classes twice; use one of the two"
        )
    tau = getattr(settings.method, "logit_adjustment", 0.0)
    if tau:
        shares = loss_shares(facts.class_images, settings.data.sampling, scheme)
        if np.ptp(shares) < _EVEN * shares.mean():
            notes.append(
                f"config.method.logit_adjustment = {tau} changes nothing: sampling and "
                "class weights count all classes the same already, and their prior is "
                "the one it takes; use config.data.sampling = natural without weights"
            )
    if 0 < facts.steps <= facts.to_steps(optim.freeze_backbone):
        notes.append(
            f"config.optim.freeze_backbone = {optim.freeze_backbone} is the whole run: "
            "the backbone is never trained; shorten it"
        )
    every = settings.validation.every
    if settings.checkpoint.best and facts.steps <= facts.to_steps(every):
        notes.append(
            f"config.checkpoint.best chooses among one step, since "
            f"config.validation.every = {every} is the whole run; shorten it"
        )
    return notes
