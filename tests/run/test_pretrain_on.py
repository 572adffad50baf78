"""What pretraining sees: the training part, or all images and then by that name."""

import json
from pathlib import Path

import numpy as np
import pytest

from bmjax.data.splits.make_split import Split, shown_to_training
from bmjax.data.synthetic import synthesize
from bmjax.errors import ConfigError
from bmjax.main import main
from bmjax.methods import METHODS
from bmjax.run.build import build
from bmjax.run.command_line import load_config
from bmjax.run.run_settings import read_config
from bmjax.run.validate import validate


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return synthesize(tmp_path_factory.mktemp("cells") / "all", images=230, seed=0)


def config(name, cells, **data):
    found = load_config(Path(f"configs/{name}.py"), "smoke")
    found.data.root = str(cells)
    found.mesh.devices = 1
    for key, value in data.items():
        found.data[key] = value
    return found


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)


def test_all_is_the_whole_split_and_no_image_that_a_list_leaves_out():
    split = Split(np.array([0, 3, 7]), np.array([1, 5]))
    np.testing.assert_array_equal(shown_to_training(split, "train"), [0, 3, 7])
    np.testing.assert_array_equal(shown_to_training(split, "all"), [0, 1, 3, 5, 7])


@pytest.mark.parametrize("name", sorted(METHODS))
def test_only_a_method_without_labels_may_see_the_test_images(name, cells):
    asked = config(name, cells, pretrain_on="all")
    if METHODS[name].uses_labels:
        with pytest.raises(ConfigError, match=r"labels of the test images.*swav, dino"):
            validate(asked)
    else:
        validate(asked)
    with pytest.raises(ConfigError, match=r"config\.data\.pretrain_on"):
        validate(config(name, cells, pretrain_on="test"))


@pytest.mark.parametrize("pretrain_on", ["train", "all"])
def test_an_epoch_shows_each_of_its_images_once_and_the_split_stays(
    pretrain_on, cells, tmp_path
):
    run = build(read_config(config("swav", cells, pretrain_on=pretrain_on)), tmp_path)
    plain = build(read_config(config("swav", cells)), tmp_path)
    shown = [
        int(run.data.stream[place]) for place in range(run.data.stream.epoch_length)
    ]
    expected = shown_to_training(run.data.split, pretrain_on)
    np.testing.assert_array_equal(np.sort(shown), expected)
    np.testing.assert_array_equal(run.data.split.test, plain.data.split.test)
    # An unreadable test image is nobody's to replace: evaluation would refuse it too.
    assert (run.data.replacements[run.data.split.test] == -1).all()
    if pretrain_on == "train":
        assert shown == [int(plain.data.stream[place]) for place in range(len(shown))]


@pytest.mark.slow
def test_a_transductive_backbone_is_recorded_and_not_judged_as_another(
    cells, tmp_path, capsys
):
    def command(name, workdir, *more):
        return main(
            [
                f"--config=configs/{name}.py:smoke",
                f"--workdir={tmp_path / workdir}",
                f"--config.data.root={cells}",
                "--config.mesh.devices=1",
                "--config.train.duration=0 steps",
                *more,
            ]
        )

    still = "--config.optim.freeze_prototypes=0 steps"
    assert command("swav", "swav", still, "--config.data.pretrain_on=all") == 0
    assert "test images too, without labels" in capsys.readouterr().out
    results = json.loads((tmp_path / "swav" / "results.json").read_text())
    assert results["pretrained_on"] == "all"
    start = f"--config.init_from={tmp_path / 'swav'}"
    assert command("linear", "linear", start) == 2
    said = capsys.readouterr().err
    assert "was pretrained on 48 of the 48 test images too" in said
    assert said.count("\n") == 1
