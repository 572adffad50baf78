"""What is doubted before a run, and what is seen during it."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from bmjax.data.images.catalog import Catalog
from bmjax.data.splits.make_split import Split
from bmjax.methods.collapse_warning import STUCK, watch_for_collapse
from bmjax.run.build import RunData, RunLength, run_facts
from bmjax.run.config_warnings import config_warnings
from bmjax.run.run_settings import read_config
from bmjax.settings import to_steps

PER_EPOCH = 100


def cells(images):
    """A catalog of so many images of each class, which are never read."""
    return Catalog(
        root=Path("(no images)"),
        paths=tuple(f"{name}/{i}.jpg" for name, n in images.items() for i in range(n)),
        labels=np.repeat(np.arange(len(images), dtype=np.int32), list(images.values())),
        classes=tuple(images),
        fingerprint="",
    )


TEN_THOUSAND = cells({"AAA": 6_000, "BBB": 4_010})


def notes(name, variant="", catalog=TEN_THOUSAND, **changes):
    """The advice on a configuration with 10,000 training images and these changes."""
    config = importlib.import_module(f"configs.{name}").get_config(variant)
    for key, value in changes.items():
        config.update_from_flattened_dict({key.replace("__", "."): value})

    settings = read_config(config)
    steps = to_steps(settings.train.duration, steps_per_epoch=PER_EPOCH, key="")
    everything = np.arange(len(catalog))
    data = RunData(catalog, Split(everything[10:], everything[:10]), "", None, None)
    length = RunLength(steps, PER_EPOCH, 1, 1)
    return config_warnings(settings, run_facts(settings, data, length))


@pytest.mark.parametrize("name", ["supervised", "mixup", "supcon", "swav", "matek"])
def test_the_papers_own_configurations_raise_no_doubt(name):
    assert notes(name) == []


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("swav", {"method__prototypes": 3000}, "use fewer, or a queue of 2,816"),
        (
            "swav",
            {"method__prototypes": 10_001},
            "more than the 10,000 training images",
        ),
        (
            "dino",
            {"method__prototypes": 10_001},
            "more than the 10,000 training images",
        ),
        ("mixup", {"data__batch_size": 10_001}, "more than the 10,000 training images"),
        ("supervised", {"data__batch_size": 2}, "normalization sees 2 image(s) at"),
        (
            "supervised",
            {"data__batch_size": 8, "train__accumulate": 8},
            "normalization sees 1 image(s) at",
        ),
        ("swav", {"method__queue_length": 10_240}, "every one of the 10,000"),
        ("swav", {"train__duration": "15 epochs"}, "the queue is never used"),
        ("swav", {"train__duration": "2 epochs"}, "prototypes never learn"),
        (
            "swav",
            {"model__dtype": "bfloat16", "method__epsilon": 0.01},
            "finer than bfloat16",
        ),
        ("supervised", {"method__class_weights": "sqrt"}, "counts rare classes twice"),
        ("supervised", {"method__logit_adjustment": 1.0}, "changes nothing"),
        (
            "linear",
            {"method__logit_adjustment": 1.0, "method__class_weights": "inverse"},
            "changes nothing",
        ),
        ("linear", {}, "a random one, which is a control"),
        ("finetune", {"train__duration": "1 epoch"}, "the backbone is never trained"),
    ],
)
def test_a_doubtful_configuration_is_doubted(name, changes, sentence):
    found = notes(name, **changes)
    assert any(sentence in note for note in found), found
    assert all("config." in note for note in found)


def test_an_adjustment_to_a_prior_that_is_not_even_raises_no_doubt():
    changes = {"method__logit_adjustment": 1.0, "data__sampling": "natural"}
    assert notes("supervised", **changes) == []
    assert notes("supervised", **changes | {"data__sampling": "sqrt"}) == []


def test_supcon_names_the_classes_of_one_training_image():
    few = cells({"AAA": 500, "BBB": 1, "CCC": 2, "DDD": 1})
    (found,) = notes("supcon", catalog=few)
    assert "one training image alone has 'BBB', 'DDD': SupCon draws it to no" in found
    assert notes("supcon", catalog=cells({"AAA": 500, "CCC": 2})) == []
    assert notes("supervised", catalog=few) == []


def test_one_note_says_that_there_are_too_many_prototypes():
    assert len(notes("swav", method__prototypes=10_001)) == 1


def healthy(**changes):
    figures = {
        "loss_over_ln_k": 0.999,
        "embedding_spread": 0.9,
        "prototypes_duplicate": 0.0,
        "assignment_entropy": 0.3,
    }
    return figures | changes


@pytest.mark.parametrize(
    ("figures", "cure"),
    [
        ({"embedding_spread": 0.01}, "embeddings have fallen together; lower"),
        ({"prototypes_duplicate": 0.9}, "raise config.optim.freeze_prototypes"),
        ({"assignment_entropy": 0.99}, "lower config.method.epsilon"),
        ({}, "lower config.optim.learning_rate"),
    ],
)
def test_a_loss_that_stays_at_ln_k_is_told_once_with_its_cure(figures, cure):
    watch = watch_for_collapse(after=100, patience=50)
    told = [watch(step, healthy(**figures)) for step in range(0, 400, 10)]
    spoken = [(10 * i, text) for i, text in enumerate(told) if text]
    assert [step for step, _ in spoken] == [150]
    assert cure in spoken[0][1]


def test_a_loss_that_left_ln_k_in_between_is_no_cause_for_a_warning():
    watch = watch_for_collapse(after=0, patience=50)
    for step in range(0, 400, 10):
        loss = STUCK - 0.01 if step % 40 == 0 else 0.999
        assert watch(step, healthy(loss_over_ln_k=loss)) is None


def test_methods_without_prototypes_are_not_watched():
    watch = watch_for_collapse(after=0, patience=0)
    assert watch(1000, {"loss": 3.0}) is None


def test_where_nothing_is_normalized_over_the_batch_one_image_is_no_doubt():
    network = {"model__name": "vit_tiny", "data__size": 64}
    assert not any(
        "batch normalization" in n
        for n in notes("dino", "vit", **network, data__batch_size=1)
    )
    assert not any(
        "batch normalization" in n for n in notes("linear", data__batch_size=1)
    )
