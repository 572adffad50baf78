"""An ONNX file gives what the network gives, for any number of images."""

import jax
import numpy as np
import pytest

from bmjax.augment.recipes import plain
from bmjax.errors import ConfigError
from bmjax.export.onnx_file import onnx_model
from bmjax.models import make_network

SIZE = 32
NETWORKS = (
    "resnet_tiny",
    "resnext_tiny",
    "vit_tiny",
    "dinov2_nano14_reg",
    "dinov2_tiny_swiglu14",
    "dinov3_nano16",
    "dinov3_tiny_swiglu16",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_an_onnx_file_gives_the_outputs_of_its_network(name):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    size = 28 if name.endswith(("14", "14_reg")) else SIZE
    network = make_network(name, num_classes=3, convolutions="xla")
    params, batch_stats = network.init(
        jax.random.key(0), jax.numpy.zeros((1, size, size, 3))
    )
    prepare = plain(size=size, mean=(0.5, 0.4, 0.6), std=(0.2, 0.2, 0.3))

    def serve(pixels):
        found, _ = network.apply(params, batch_stats, prepare(pixels), train=False)
        chances = jax.nn.softmax(found["logits"])
        return {"features": found["features"], "probabilities": chances}

    model = onnx_model(serve, size).SerializeToString()
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).integers(0, 256, (5, size, size, 3), np.uint8)
    wanted = jax.device_get(jax.jit(serve)(images))
    for batch in (1, 2, 5):
        given = session.run(sorted(wanted), {"pixels": images[:batch]})
        for key, found in zip(sorted(wanted), given, strict=True):
            apart = np.abs(found - wanted[key][:batch]).max()
            assert apart <= 1e-5 * np.abs(wanted[key]).max()


def test_an_unknown_primitive_is_named():
    pytest.importorskip("onnx")
    with pytest.raises(ConfigError, match="primitive 'cumsum'"):
        onnx_model(lambda x: {"y": jax.numpy.cumsum(x, axis=1)}, 2)
