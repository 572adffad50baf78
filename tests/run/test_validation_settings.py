"""Validation settings that cannot be are refused before anything is compiled."""

import importlib

import pytest

from bmjax.errors import ConfigError
from bmjax.main import main
from bmjax.run.build import build
from bmjax.run.config_warnings import config_warnings
from bmjax.run.run_settings import read_config
from bmjax.run.validate import validate
from tests.helpers.toy_run import toy_catalog, toy_run

CUT = {"data.validation_share": 0.2}
EVERY = {"validation.every": "1 epoch"}


def config(name="swav", **changes):
    found = importlib.import_module(f"configs.{name}").get_config("smoke")
    found.update_from_flattened_dict(changes)
    return found


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (EVERY, "needs validation images, and config.data.validation_share = 0"),
        (CUT | {"checkpoint.best": "knn_20/macro_f1"}, r'every = "0 steps" is none'),
        ({"data.validation_share": 0.6}, r"= 0.6 is out of range; use 0 to 0.5"),
        ({"validation.images": 0}, r"config.validation.images = 0 is out of range"),
        ({"validation.every": "often"}, "is no duration"),
        ({"checkpoint.keep_every": "3"}, "is no duration"),
        (CUT | EVERY | {"checkpoint.best": "knn_20/f1"}, "did you mean 'knn_20/"),
        (CUT | EVERY | {"checkpoint.best": "classifier/accuracy"}, "is not known"),
    ],
)
def test_what_cannot_be_is_one_sentence(changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(config(**changes))


@pytest.mark.parametrize(
    "best", ["test/macro_f1", "macro_f1", "accuracy", "linear/macro_f1", "probe/linear"]
)
def test_a_run_told_to_choose_on_test_images_is_refused(best, capsys, tmp_path):
    command = [
        "--config=swav:smoke",
        f"--workdir={tmp_path / 'run'}",
        "--config.data.validation_share=0.2",
        "--config.validation.every=1 epoch",
        f"--config.checkpoint.best={best}",
    ]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "is a metric of the test images" in said
    assert "knn_20/macro_f1" in said
    assert said.count("\n") == 1


def test_a_method_with_a_classifier_may_choose_by_it():
    validate(config("supervised", **CUT, **EVERY, **{"checkpoint.best": BY_CLASSIFIER}))


@pytest.mark.parametrize(
    ("every", "steps"), [("0 steps", 0), ("0 epochs", 0), ("0.01 epochs", 1)]
)
def test_none_is_none_and_anything_else_is_a_step_at_least(every, steps):
    length = toy_run("swav", **CUT, **{"validation.every": every}).length
    assert length.validate_every == steps


@pytest.mark.parametrize("pretrain_on", ["train", "all"])
def test_training_draws_no_validation_image(pretrain_on):
    run = toy_run("swav", **CUT, **{"data.pretrain_on": pretrain_on})
    drawn = {run.data.stream[i] for i in range(2 * run.data.stream.epoch_length)}
    assert len(run.data.validation) == 9  # of 16 of each class
    assert not drawn & set(run.data.validation.tolist())
    assert (run.data.replacements[run.data.validation] == -1).all()
    plain = toy_run("swav", **{"data.pretrain_on": pretrain_on})
    assert run.data.split.test.tolist() == plain.data.split.test.tolist()


def test_a_choice_among_one_step_is_doubted(tmp_path):
    changes = {**CUT, **EVERY, "checkpoint.best": "knn_20/macro_f1"}
    settings = read_config(config(**changes, **{"train.duration": "1 epoch"}))
    run = build(settings, tmp_path, toy_catalog())
    from bmjax.run.build import run_facts

    notes = config_warnings(settings, run_facts(settings, run.data, run.length))
    assert any("chooses among one step" in note for note in notes)


BY_CLASSIFIER = "classifier/balanced_accuracy"
