"""Weights that saw test images are refused, with the cure; what is unknown is said."""

from pathlib import Path

import numpy as np
import pytest

from bmjax.data.images.catalog import Catalog, fingerprint
from bmjax.data.seen_images import Seen, record_images
from bmjax.data.splits.make_split import make_split, split_digest
from bmjax.errors import ConfigError
from bmjax.run.refuse_seen import refuse_seen

PATH = Path("runs/before")


def images(counts):
    """A catalog of so many images of each class, which are never read."""
    paths = tuple(f"{c}/{c}_{i:02d}.jpg" for c, n in counts.items() for i in range(n))
    sizes = [1000 + sum(map(ord, path)) for path in paths]
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), list(counts.values()))
    return Catalog(
        root=Path("cells"),
        paths=paths,
        labels=labels,
        classes=tuple(counts),
        fingerprint=fingerprint(paths, sizes),
        sizes=np.array(sizes),
    )


def kfold(catalog, fold):
    return make_split(catalog, name="kfold", fold=fold, seed=42)


def trained_on(catalog, fold=0, *, record=True, name="kfold", **more):
    """What weights say that were trained on a fold."""
    split = kfold(catalog, fold)
    return {
        "trained_on": {
            "data_fingerprint": catalog.fingerprint,
            "split_digest": split_digest(catalog, split),
            "split": name,
            "fold": fold,
            "split_seed": 42,
            "pretrain_on": "train",
            "seen": record_images(catalog, split.train).as_json() if record else None,
            **more,
        }
    }


def judge(about, catalog, fold, *, transductive=False):
    said = []
    refuse_seen(
        PATH,
        about,
        catalog,
        kfold(catalog, fold),
        transductive=transductive,
        say=said.append,
    )
    return said


CELLS = images({"AAA": 20, "BBB": 30})
ONE_MORE = images({"AAA": 21, "BBB": 30})
ONE_CLASS_LESS = images({"BBB": 30})
ITS_SPLIT = (
    "use its split, --config.data.split=kfold --config.data.fold=0 "
    "--config.data.split_seed=42"
)


@pytest.mark.parametrize("record", [True, False])
def test_the_same_split_of_the_same_images_is_taken_and_another_refused(record):
    about = trained_on(CELLS, record=record)
    assert judge(about, CELLS, 0) == []
    with pytest.raises(ConfigError) as caught:
        judge(about, CELLS, 1)
    said = str(caught.value)
    assert "was trained on 10 of the 10 test images, such as 'AAA/" in said
    assert said.endswith(ITS_SPLIT)


def test_its_split_is_the_cure_where_it_holds_on_the_images_of_now():
    about = trained_on(CELLS)
    assert judge(about, ONE_CLASS_LESS, 0) == []
    with pytest.raises(ConfigError, match=ITS_SPLIT):
        judge(about, ONE_CLASS_LESS, 1)
    # One image more deals its class anew: no fold is free of what was seen.
    for fold in range(5):
        with pytest.raises(ConfigError, match="on images that it has not seen, by"):
            judge(about, ONE_MORE, fold)


def test_a_split_whose_file_is_gone_is_not_advised_and_not_needed():
    about = trained_on(CELLS, name="gone.csv")
    assert judge(about, CELLS, 0) == []
    with pytest.raises(ConfigError, match="on images that it has not seen, by"):
        judge(about, CELLS, 1)
    with pytest.raises(
        ConfigError, match=r"'gone\.csv', and whether it saw .* be told"
    ):
        judge(trained_on(CELLS, name="gone.csv", record=False), CELLS, 1)


@pytest.mark.parametrize(
    "about", [{}, trained_on(CELLS, record=False)], ids=["a file", "an older run"]
)
def test_what_is_not_known_is_said(about):
    (said,) = judge(about, ONE_MORE, 0)
    assert "whether it saw the test images is not known" in said


def test_what_weights_began_with_is_said_where_it_is_not_known():
    seen = record_images(CELLS, kfold(CELLS, 0).train).joined(
        Seen(np.empty(0, np.uint64), ("old.pth",))
    )
    (said,) = judge(trained_on(CELLS, seen=seen.as_json()), CELLS, 0)
    assert "began with old.pth" in said


@pytest.mark.parametrize("record", [True, False])
def test_transductive_weights_are_for_transductive_runs_alone(record):
    everything = record_images(CELLS, np.arange(len(CELLS))).as_json()
    about = trained_on(CELLS, pretrain_on="all", seen=everything if record else None)
    assert judge(about, CELLS, 0, transductive=True) == []
    with pytest.raises(ConfigError, match="pretrained on 10 of the 10 test images too"):
        judge(about, CELLS, 0)
    # Their labels may have been shown, which a transductive run does not say.
    with pytest.raises(ConfigError, match=ITS_SPLIT):
        judge(trained_on(CELLS), CELLS, 1, transductive=True)
