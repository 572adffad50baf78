"""Of several networks in a file one is taken, by a rule or by name, and it is said."""

import functools

import numpy as np
import pytest
from safetensors.numpy import save_file

from bmjax.errors import CheckpointError
from bmjax.models.weight_files.state_dict import read_weights
from tests.helpers.torch_files import entries_of, write_pth

NAME = "resnet_tiny"


@functools.cache
def backbone():
    return entries_of(NAME, num_classes=0)


def scaled(factor):
    """A whole network that is told from others by the scales of its stem."""
    return {**backbone(), "bn1.weight": np.full(8, factor, np.float32)}


def prefixed(prefix, entries):
    return {f"{prefix}{name}": array for name, array in entries.items()}


def read(path, name=NAME, **more):
    """Which network was read, and what was said."""
    said = []
    params, _ = read_weights(path, name, say=said.append, **more)
    return float(params["backbone"]["bn1"]["scale"][0]), "\n".join(said)


# What a training program saves -> (the keys of what is taken, of the others).
SEVERAL = {
    "timm": (
        lambda: {"state_dict": scaled(1), "state_dict_ema": scaled(2), "epoch": 3},
        "state_dict",
        "state_dict_ema",
    ),
    "torchvision": (
        lambda: {"model": scaled(1), "model_ema": prefixed("module.", scaled(2))},
        "model",
        "model_ema",
    ),
    "dino": (
        lambda: {
            "student": prefixed("module.backbone.", scaled(2)),
            "teacher": {**prefixed("backbone.", scaled(1)), "head.last": np.ones(2)},
        },
        "teacher.backbone",
        "student.backbone",
    ),
    "nested": (
        lambda: {"net": {"raw": scaled(1), "ema": {"shadow": scaled(2)}}},
        "net.raw",
        "net.ema.shadow",
    ),
    "flat": (lambda: {**scaled(1), **prefixed("ema.", scaled(2))}, "", "ema"),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_the_raw_weights_and_the_teacher_are_taken_and_it_is_said(kind, tmp_path):
    content, taken, passed_over = SEVERAL[kind]
    path = write_pth(tmp_path / "last.pth", content())
    scale, said = read(path)
    assert scale == 1
    assert "last.pth holds 2 networks" in said
    assert (
        f"taken {taken or 'the one without a prefix'}, passed over {passed_over}"
        in said
    )
    assert f"{path}::{passed_over}" in said
    assert "unused: layer" not in said

    scale, said = read(tmp_path / f"last.pth::{passed_over}")
    assert scale == 2
    assert f"taken {passed_over}" in said
    if taken:
        assert read(tmp_path / f"last.pth::{taken.split('.')[0]}")[0] == 1
    with pytest.warns(UserWarning, match=f"passed over {passed_over}"):
        read_weights(path, NAME)


def test_an_average_alone_is_taken(tmp_path):
    path = write_pth(tmp_path / "ema.pth", {"model_ema": scaled(2), "epoch": 1})
    scale, said = read(path)
    assert scale == 2
    assert "taken: model_ema" in said
    assert "passed over" not in said


def test_networks_that_no_rule_tells_apart_are_named(tmp_path):
    path = tmp_path / "moco.safetensors"
    both = {
        **prefixed("module.encoder_q.", scaled(1)),
        **prefixed("module.encoder_k.", scaled(2)),
    }
    save_file(both, path)
    with pytest.raises(
        CheckpointError,
        match=r"found encoder_k, encoder_q; .*FILE::ENTRY.*tensors::encoder_q",
    ):
        read_weights(path, NAME)
    assert read(tmp_path / "moco.safetensors::encoder_q")[0] == 1
    assert read(tmp_path / "moco.safetensors::encoder_k")[0] == 2
    with pytest.raises(CheckpointError, match=r"an entry 'teacher'.*found encoder_k"):
        read_weights(tmp_path / "moco.safetensors::teacher", NAME)


def test_two_raw_networks_are_never_chosen_between(tmp_path):
    path = write_pth(
        tmp_path / "two.pth", {"state_dict": scaled(1), "model": scaled(2)}
    )
    with pytest.raises(CheckpointError, match=r"found state_dict, model; say which"):
        read_weights(path, NAME)
    assert read(tmp_path / "two.pth::model")[0] == 2


def test_a_file_whose_name_has_two_colons_is_read(tmp_path):
    path = write_pth(tmp_path / "epoch::3.pth", scaled(1))
    assert read(path)[0] == 1


def test_what_is_dropped_is_said_by_its_prefix_with_the_reason(tmp_path):
    teacher = {
        **prefixed("backbone.", entries_of(NAME, num_classes=3)),
        "backbone.bn1.num_batches_tracked": np.array(7),
        **prefixed(
            "dino_head.mlp.", {"0.weight": np.ones((2, 2)), "0.bias": np.ones(2)}
        ),
    }
    path = write_pth(tmp_path / "dino.pth", {"teacher": teacher})
    _, said = read(path, num_classes=5, new_classifier=True)
    assert "taken: teacher.backbone" in said
    assert "unused: dino_head (2 entries): resnet_tiny has no such part" in said
    assert "unused: fc (2 entries): a new classifier is begun" in said
    assert "unused: num_batches_tracked (1 entry)" in said


def supcontrast(name):
    """What main_supcon.py of HobbitLong/SupContrast saves, on several devices."""
    entries = entries_of(name, num_classes=0, head="mlp", embedding_dim=5)
    backbone = {k: v for k, v in entries.items() if not k.startswith("head.")}
    renamed = {k.replace("downsample", "shortcut"): v for k, v in backbone.items()}
    heads = {k: v for k, v in entries.items() if k.startswith("head.")}
    model = {**prefixed("encoder.module.", renamed), **heads}
    return {"opt": {"epochs": 1000}, "model": model, "epoch": 1000}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_supcontrasts_own_files_are_read(prefix, tmp_path):
    name = "resnet_tiny_cifar"
    content = supcontrast(name)
    content["model"] = prefixed(prefix, content["model"])
    path = write_pth(tmp_path / "last.pth", content)
    params, batch_stats = read_weights(path, name)
    expected = entries_of(name, num_classes=0, head="mlp", embedding_dim=5)
    block = params["backbone"]["layer2_0"]
    np.testing.assert_array_equal(
        block["downsample_conv"]["kernel"].transpose(3, 2, 0, 1),
        expected["layer2.0.downsample.0.weight"],
    )
    np.testing.assert_array_equal(
        batch_stats["backbone"]["layer2_0"]["downsample_bn"]["mean"],
        expected["layer2.0.downsample.1.running_mean"],
    )
    assert params["backbone"]["conv1"]["kernel"].shape == (3, 3, 3, 8)
    assert params["head"]["fc2"]["kernel"].shape == (8 * 2, 5)


def test_the_small_stem_in_another_network_is_refused_by_its_name(tmp_path):
    path = write_pth(tmp_path / "last.pth", supcontrast("resnet_tiny_cifar"))
    with pytest.raises(
        CheckpointError,
        match=r"conv1\.weight \[8, 3, 3, 3\], expected \[8, 3, 7, 7\]\); it is a "
        r"resnet_tiny_cifar, whose stem is 3 x 3.*model\.name=resnet_tiny_cifar",
    ):
        read_weights(path, "resnet_tiny")
