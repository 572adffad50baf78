"""The features of a run's images after training, kept in its workdir."""

from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from bmjax.data.pipeline import HostBatch, Replaced, evaluation_batches
from bmjax.devices.mesh import make_mesh, replicated, results_for_host
from bmjax.devices.processes import from_first, is_first, process, processes
from bmjax.evals.extract_features import NO_ROWS, extract_features
from bmjax.files import read_cache_note, whole_file, write_cache_note
from bmjax.run.build import Learner, RunData
from bmjax.run.logs import say
from bmjax.run.run_settings import DataSettings
from bmjax.training import checkpoint
from bmjax.training.keys import key_for
from bmjax.training.step import TrainState


def part_features(
    data: RunData,
    settings: DataSettings,
    mesh: Mesh,
    state: TrainState,
    predict: Callable[..., dict[str, jax.Array]],
    folder: Path,
    part: str,
    digest: str,
    replaced: Replaced,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features and logits of one part, from the cache if these parameters made it.

    Where the parameters hold prototypes, embeddings are kept too, in a file beside. A
    cache that is damaged, also one whose files have their lengths, is made anew.

    Args:
        data: the run's images.
        settings: size, batch size and readers.
        mesh: the devices.
        state: as it was trained to.
        predict: (params, batch_stats, pixels) -> outputs of `Method.predict`.
        folder: of the cache.
        part: "train", "test" or "validation".
        digest: of the parameters.
        replaced: counts unreadable training images.

    Returns:
        features, float32 [n, F], mapped from disk, and logits [n, N] or None; of
        several processes all but the first get no rows.
    """
    note = folder / f"{part}.json"
    path, logits_path = folder / f"{part}.npy", folder / f"{part}_logits.npy"
    embeddings_path = folder / f"{part}_embeddings.npy"
    made_by = {"params_sha256": digest, "data_fingerprint": data.catalog.fingerprint}
    with_embeddings = "prototypes" in state.params
    kept = read_cache_note(note)
    if kept is None and note.exists():
        say(
            f"note: the kept features of the {part} part are made anew: they are "
            "damaged, or an older version's"
        )
    files = {} if kept is None else kept.pop("files")
    there = kept == made_by and (embeddings_path.name in files or not with_embeddings)
    if from_first(lambda: there):
        if not is_first():
            return NO_ROWS, None
        logits = np.load(logits_path) if logits_path.name in files else None
        return np.load(path, mmap_mode="r"), logits
    positions = data.positions(part)
    features, logits = extract_features(
        lambda pixels: predict(state.params, state.batch_stats, pixels),
        run_batches(data, settings, positions, replaced),
        images=len(positions),
        mesh=mesh,
        path=path,
        embeddings_path=embeddings_path if with_embeddings else None,
    )
    if not is_first():
        return features, logits
    names = [path.name]
    if with_embeddings:
        names.append(embeddings_path.name)
    if logits is not None:
        names.append(logits_path.name)
        with whole_file(logits_path) as file:
            np.save(file, logits)
    write_cache_note(note, names, **made_by)
    return features, logits


def stored_features(
    workdir: Path, fingerprint: str, sizes: dict[str, int]
) -> tuple[dict[str, np.ndarray], str] | None:
    """The features that a run has kept, where its newest checkpoint made them.

    Args:
        workdir: of the run.
        fingerprint: of the images that they are to be of.
        sizes: images of each part.

    Returns:
        features of each part, float32 [n, F], mapped from disk, and the digest of the
        parameters; None where one is missing, is damaged, or is of other parameters.
    """
    folder = workdir / "features"
    found = checkpoint.newest(workdir / "checkpoints")
    if found is None or not all((folder / f"{part}.json").exists() for part in sizes):
        return None
    saved = checkpoint.read(workdir / "checkpoints", found[0], replicated(make_mesh(1)))
    digest = checkpoint.digest(saved["params"])
    made_by = {"params_sha256": digest, "data_fingerprint": fingerprint}
    arrays = {}
    for part, images in sizes.items():
        kept = read_cache_note(folder / f"{part}.json")
        files = {} if kept is None else kept.pop("files")
        if kept != made_by or f"{part}.npy" not in files:
            return None
        arrays[part] = np.load(folder / f"{part}.npy", mmap_mode="r")
        if len(arrays[part]) != images:
            return None
    return arrays, digest


def augmented_features(
    data: RunData,
    settings: DataSettings,
    mesh: Mesh,
    learner: Learner,
    state: TrainState,
    folder: Path,
    passes: int,
    replaced: Replaced,
) -> tuple[np.ndarray, np.ndarray]:
    """Features of augmented training images, `passes` times over, and their labels."""

    def prediction(params, stats, pixels, number):
        key = key_for(learner.seed, "probe views", number)
        return learner.method.predict(
            params, stats, learner.recipe(key, pixels)[0][:, 0]
        )

    predict = jax.jit(prediction, out_shardings=results_for_host(mesh))
    positions = np.tile(data.split.train, passes)
    numbers = iter(range(len(positions)))
    features, _ = extract_features(
        lambda pixels: predict(
            state.params, state.batch_stats, pixels, np.int32(next(numbers))
        ),
        run_batches(data, settings, positions, replaced),
        images=len(positions),
        mesh=mesh,
        path=folder / "train_augmented.npy",
    )
    return features, data.catalog.labels[positions]


def run_batches(
    data: RunData,
    settings: DataSettings,
    positions: np.ndarray,
    replaced: Replaced,
    *,
    shared: bool = True,
) -> Iterator[tuple[HostBatch, int]]:
    """Each image once, in order, read and resized as the run's training reads it.

    Args:
        data: the run's images.
        settings: size, kernel, batch size and readers.
        positions: int [n], in the catalog.
        replaced: counts unreadable training images.
        shared: every process reads its part of each batch; otherwise this one reads
            all.
    """
    return evaluation_batches(
        data.catalog,
        positions,
        size=settings.size,
        resize=settings.resize,
        batch_size=settings.batch_size,
        threads=settings.threads,
        prefetch=settings.prefetch,
        process=process() if shared else 0,
        processes=processes() if shared else 1,
        # As in training; no test and no validation image has one.
        stand_ins=data.replacements,
        replaced=replaced,
    )
