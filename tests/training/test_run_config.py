"""A run's config.json and a file's metadata are data: checked, and never executed."""

import copy
import json
import os

import cv2
import numpy as np
import pytest

from bmjax.embed.__main__ import main as embed
from bmjax.errors import CHECKPOINT, CheckpointError
from bmjax.export.__main__ import main as export
from bmjax.few_labels import main as few_labels
from bmjax.main import main as train
from bmjax.predict.__main__ import main as predict
from bmjax.run.command_line import find_config, load_config
from bmjax.training.run_config import check_about, read_run_config
from bmjax.training.trained_network import metadata_of

WHOLE = json.loads(load_config(find_config("supervised")[0], "smoke").to_json())


def _changed(**changes):
    config = copy.deepcopy(WHOLE)
    for key, value in changes.items():
        *sections, name = key.split("__")
        holder = config[sections[0]] if sections else config
        if value is None:
            del holder[name]
        else:
            holder[name] = value
    return json.dumps(config)


STRANGE = {
    "": "Expecting value",
    "{{{": "Expecting property name",
    "[]": "it holds a list, expected an object",
    "null": "it holds a NoneType",
    "[" * 100_000: "it is nested too deep",
    '{"a":' * 100_000: "it is nested too deep",
    '{"seed": ' + "9" * 5000 + "}": "Exceeds the limit",
    _changed(data=None): "config.data is missing",
    _changed(data=[1]): "config.data = [1] should be a section",
    _changed(model="x"): "config.model = 'x' should be a section",
    _changed(method=[]): "config.method = [] should be a section",
    _changed(model__name=None): "config.model.name is missing",
    _changed(model__name="os.system"): "config.model.name = 'os.system' is not known",
    _changed(model__name=[1]): "config.model.name = [1] should be a text",
    _changed(model__dtype="object"): "config.model.dtype = 'object' is not known",
    _changed(model__convolutions="x"): "config.model.convolutions = 'x' is not known",
    _changed(model__pooling=3): "config.model.pooling = 3 should be a text",
    _changed(data__size=-4): "config.data.size = -4 is out of range",
    _changed(data__size="a"): "config.data.size = 'a' should be a whole number",
    _changed(data__size=10**9): "config.data.size = 1000000000 is out of range",
    _changed(data__mean=[0.5, 0.5]): "config.data.mean = (0.5, 0.5) is out of range",
    _changed(data__mean="abc"): "config.data.mean = 'abc' should be several values",
    _changed(data__std=[0, 0, 0]): "config.data.std = (0, 0, 0) is out of range",
    _changed(data__resize="x"): "config.data.resize = 'x' is not known",
    _changed(data__root=5): "config.data.root = 5 should be a text",
    _changed(data__exclude=5): "config.data.exclude = '5' should be names of classes",
    _changed(data__fold="x"): "config.data.fold = 'x' should be a whole number",
    _changed(lora=[1]): "config.lora = [1] should be a section",
    _changed(lora__rank="a"): "config.lora.rank = 'a' should be a whole number",
    _changed(checkpoint__best=[1]): "config.checkpoint.best = [1] should be a text",
    _changed(init_from=7): "config.init_from = 7 should be a text",
    _changed(seed={}): "config.seed = {} should be a whole number",
}


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_a_strange_configuration_of_a_run_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError) as refused:
        read_run_config(tmp_path)
    assert STRANGE[text] in str(refused.value)
    assert str(tmp_path / "config.json") in str(refused.value)


def test_bytes_a_pipe_and_gigabytes_are_no_configuration_either(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(CheckpointError, match="is no configuration"):
        read_run_config(tmp_path)
    with open(path, "wb") as file:
        file.truncate(2**35)
    with pytest.raises(CheckpointError, match="are the most that is read"):
        read_run_config(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match="it is a pipe, socket or device"):
        read_run_config(tmp_path)


def test_a_whole_configuration_and_one_of_an_older_version_are_read(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(WHOLE))
    assert read_run_config(tmp_path).data.mean == tuple(WHOLE["data"]["mean"])
    path.write_text(
        _changed(lora=None, checkpoint=None, data__resize=None, model__pooling=None)
    )
    config = read_run_config(tmp_path)
    assert (config.lora.rank, config.data.resize) == (0, "area")
    assert (config.model.pooling, config.checkpoint.best) == ("auto", "")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    for name in "AB":
        (folder / name).mkdir()
        for number in range(10):
            cv2.imwrite(
                str(folder / name / f"{number}.png"), np.zeros((8, 8, 3), np.uint8)
            )
    return folder


@pytest.mark.parametrize("command", ["predict", "embed", "export", "few", "init_from"])
def test_every_command_that_takes_a_run_refuses_its_strange_configuration(
    capsys, tmp_path, cells, command
):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(_changed(model__dtype="object"))
    code = {
        "predict": lambda: predict([str(cells), f"--run={run}", f"--out={run}/o.csv"]),
        "embed": lambda: embed([str(cells), f"--run={run}", f"--out={run}/o.npz"]),
        "export": lambda: export([str(run), f"--out={run}/o.safetensors"]),
        "few": lambda: few_labels([str(run), f"--out={tmp_path}/few"]),
        "init_from": lambda: train(
            [
                "--config=supervised:smoke",
                f"--workdir={tmp_path}/new",
                f"--config.data.root={cells}",
                f"--config.init_from={run}",
                "--config.mesh.devices=1",
            ]
        ),
    }[command]()
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == CHECKPOINT
    assert "config.model.dtype = 'object' is not known" in said
    assert [path.name for path in run.iterdir()] == ["config.json"]


ABOUT = {"network": "resnet18", "size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"network": "os.system"}, "about.network = 'os.system' is not known"),
        ({"size": 10**9}, "about.size = 1000000000 is out of range"),
        ({"mean": [1]}, "about.mean = (1,) is out of range"),
        ({"classes": "AB"}, "about.classes = 'AB' should be names of classes"),
        ({"classes": ["A", 2]}, "should be names of classes"),
        ({"classes": ["A", "A"]}, "about.classes has a name twice"),
        ({"pooling": "cls"}, "average"),
        ({"lora": {"rank": "x"}}, "about.lora.rank = 'x' should be a whole number"),
        ({"trained_on": 5}, "about.trained_on = 5 should be a section"),
        ({"trained_on": {"seen": {"images": 5}}}, "seen is no record of images"),
        ({"adapted_backbone": {"sha256": 5}}, "names no backbone"),
    ],
)
def test_what_weights_say_of_themselves_is_checked(change, sentence):
    check_about(ABOUT, "it")
    with pytest.raises(CheckpointError) as refused:
        check_about({**ABOUT, **change}, "it")
    assert sentence in str(refused.value)


@pytest.mark.parametrize("text", ["{{", "[]", "[" * 5000, '{"network": "x"}'])
def test_metadata_of_a_file_that_is_something_else_is_refused(tmp_path, text):
    from safetensors.numpy import save_file

    path = tmp_path / "x.safetensors"
    save_file({"a": np.zeros(1, np.float32)}, path, metadata={"bmjax": text})
    with pytest.raises(CheckpointError, match="says of it"):
        metadata_of(path)
