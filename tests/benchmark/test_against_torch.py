"""What the comparison with torch refuses; the peer itself wants an installed torch."""

import pytest

from bmjax.benchmark.against_torch import compare_with_torch
from bmjax.errors import ConfigError
from configs import dino, supervised


def test_a_method_that_the_peer_lacks_is_refused(tmp_path):
    config = dino.get_config("smoke")
    with pytest.raises(ConfigError, match=r"supervised and swav, not 'dino'"):
        compare_with_torch(config, tmp_path, steps=1, turns=1, python="python")


@pytest.mark.parametrize("python", ["/nowhere/python", "false"])
def test_an_interpreter_without_torch_is_refused(tmp_path, python):
    config = supervised.get_config("smoke")
    with pytest.raises(ConfigError, match=r"--python=.*torch"):
        compare_with_torch(config, tmp_path, steps=1, turns=1, python=python)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "dinov3_vits16"},
        {"name": "vit_tiny", "drop_path": 0.1},
        {"name": "vit_tiny", "pooling": "patch_mean"},
    ],
)
def test_a_network_that_the_peer_lacks_is_refused(tmp_path, changes):
    config = supervised.get_config("smoke")
    config.model.update(changes)
    with pytest.raises(ConfigError, match=r"not '\w+' as it is configured"):
        compare_with_torch(config, tmp_path, steps=1, turns=1, python="python")
