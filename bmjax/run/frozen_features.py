"""Frozen features of a run's images, kept in its workdir."""

import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.data.pipeline import Replaced, evaluation_batches
from bmjax.evals.extract_features import extract_features
from bmjax.files import write_json
from bmjax.keys import key_for
from bmjax.run.build import Run
from bmjax.training.step import TrainState


def part_features(
    run: Run,
    state: TrainState,
    predict: Callable[..., dict[str, jax.Array]],
    folder: Path,
    part: str,
    digest: str,
    replaced: Replaced,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features and logits of one part, from the cache if these parameters made it.

    Where the parameters hold prototypes, embeddings are kept too, in a file beside.

    Args:
        run: what was trained.
        state: as it was trained to.
        predict: (params, batch_stats, pixels) -> outputs of `Method.predict`.
        folder: of the cache.
        part: "train" or "test".
        digest: of the parameters.
        replaced: counts unreadable training images.

    Returns:
        features, float32 [n, F], mapped from disk, and logits [n, N] or None.
    """
    note = folder / f"{part}.json"
    path, logits_path = folder / f"{part}.npy", folder / f"{part}_logits.npy"
    embeddings_path = folder / f"{part}_embeddings.npy"
    made_by = {"params_sha256": digest, "data_fingerprint": run.catalog.fingerprint}
    with_embeddings = "prototypes" in state.params
    whole = embeddings_path.exists() or not with_embeddings
    if whole and note.exists() and json.loads(note.read_text()) == made_by:
        logits = np.load(logits_path) if logits_path.exists() else None
        return np.load(path, mmap_mode="r"), logits
    positions = getattr(run.split, part)
    features, logits = extract_features(
        lambda pixels: predict(state.params, state.batch_stats, pixels),
        _batches(run, positions, replaced),
        images=len(positions),
        mesh=run.mesh,
        path=path,
        embeddings_path=embeddings_path if with_embeddings else None,
    )
    if logits is not None:
        np.save(logits_path, logits)
    write_json(note, made_by)
    return features, logits


def augmented_features(
    run: Run, state: TrainState, folder: Path, passes: int, replaced: Replaced
) -> tuple[np.ndarray, np.ndarray]:
    """Features of augmented training images, `passes` times over, and their labels."""

    @jax.jit
    def predict(params, stats, pixels, number):
        key = key_for(run.config.seed, "probe views", number)
        return run.method.predict(params, stats, run.recipe(key, pixels)[0][:, 0])

    positions = np.tile(run.split.train, passes)
    numbers = iter(range(len(positions)))
    features, _ = extract_features(
        lambda pixels: predict(
            state.params, state.batch_stats, pixels, jnp.int32(next(numbers))
        ),
        _batches(run, positions, replaced),
        images=len(positions),
        mesh=run.mesh,
        path=folder / "train_augmented.npy",
    )
    return features, run.catalog.labels[positions]


def _batches(run: Run, positions: np.ndarray, replaced: Replaced):
    return evaluation_batches(
        run.catalog,
        positions,
        size=run.config.data.size,
        batch_size=run.config.data.batch_size,
        threads=run.config.data.threads,
        prefetch=run.config.data.prefetch,
        stand_ins=run.stand_ins,  # as in training; no test image has one
        replaced=replaced,
    )
