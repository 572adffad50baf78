"""The compiled step is lean: what it gives away, says between devices, and repeats."""

import importlib
import math
import re

import cv2
import jax
import numpy as np
import pytest

from bmjax.benchmark.collectives import collectives
from bmjax.data.pipeline import training_batches
from bmjax.methods import METHODS
from bmjax.models import make_network
from bmjax.run.build import build
from bmjax.run.compile import compile_step, init_shapes, init_state, jit_step
from bmjax.run.run_settings import read_config
from bmjax.run.train import loop
from tests.helpers.toy_network import toy_network, toy_recipe
from tests.helpers.toy_run import shapes_of, toy_run

SLOW = [
    pytest.param(name, marks=pytest.mark.slow) for name in ("swav", "supcon", "dino")
]


def leaves(tree, name):
    found = jax.tree_util.tree_leaves_with_path(tree)
    return [leaf for path, leaf in found if getattr(path[-1], "key", "") == name]


@pytest.fixture(scope="module")
def compiled():
    """The step of a method's smoke run on four devices, compiled, and its state."""
    done = {}

    def compiled(name):
        if name not in done:
            run = toy_run(name, **{"mesh.devices": 4})
            state = init_shapes(run.learner, shapes_of(run))
            step = compile_step(run.learner, state, shapes_of(run), run.mesh)
            done[name] = step, state
        return done[name]

    return compiled


@pytest.mark.parametrize("name", ["supervised", *SLOW])
def test_the_whole_state_is_given_away(name, compiled):
    step, state = compiled(name)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    memory = step.memory_analysis()
    assert memory.alias_size_in_bytes == size
    text = step.as_text()
    head = text[: text.index("entry_computation_layout")]
    assert len(re.findall(r"\{\d+\}: \(\d+, \{\}", head)) == len(jax.tree.leaves(state))


@pytest.mark.parametrize("name", ["supervised", *SLOW])
def test_batch_norm_takes_two_collectives_each_way_and_gradients_one(name, compiled):
    step, state = compiled(name)
    layers = len(leaves(state.batch_stats, "mean"))
    if name == "dino":  # a student of two sizes beside a teacher of one
        layers = layers // 2 * 3
    lines = step.as_text().splitlines()
    reduced = [line for line in lines if " all-reduce(" in line]
    of_norm = [line for line in reduced if re.search(r"/(bn\d|downsample_bn)/", line)]
    # A teacher is never gone back through, so these are bounds.
    back = [line for line in of_norm if "transpose(" in line]
    gradients = [line for line in reduced if len(re.findall(r"f32\[", line)) > 10]
    assert len(gradients) == 1
    forward = [line for line in of_norm if line not in [*back, *gradients]]
    assert 0 < len(forward) <= 2 * layers
    assert 0 < len(set(back) - set(gradients)) <= 2 * layers

    # One all-reduce has every gradient in it; all others together are small.
    params = sum(leaf.size * 4 for leaf in jax.tree.leaves(state.params))
    trained = params // 2 if name == "dino" else params
    found = collectives(step.as_text())
    shapes = re.findall(r"f32\[([\d,]*)\]", gradients[0].split(" all-reduce(")[0])
    in_one = sum(4 * math.prod(map(int, dims.split(","))) for dims in shapes if dims)
    assert in_one >= 0.95 * trained
    assert found["all-reduce"].count <= 4 * layers + 16


def test_one_program_serves_a_whole_run_and_the_host_looks_only_to_log(
    tmp_path, monkeypatch
):
    """Nine steps of 4 over epochs of 10: a batch may span two, and none is short."""
    for name in "AB":
        (tmp_path / name).mkdir()
        for number in range(7):
            image = np.full((20, 20, 3), 20 * number, np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), image)
    config = importlib.import_module("configs.supervised").get_config("smoke")
    config.data.root = str(tmp_path)
    config.data.split = "holdout"
    config.data.sampling = "natural"
    config.data.batch_size = 4
    config.mesh.devices = 1
    run = build(read_config(config), tmp_path)
    method = METHODS["supervised"].make(toy_network(num_classes=2), recipe=toy_recipe)
    learner = run.learner._replace(method=method)
    batches = training_batches(
        run.data.catalog,
        run.data.stream,
        size=20,
        batch_size=4,
        first_step=0,
        threads=1,
        prefetch=1,
    )
    looked, logged = [], []
    get = jax.device_get
    monkeypatch.setattr(jax, "device_get", lambda tree: looked.append(1) or get(tree))
    step = jit_step(learner, run.mesh)
    loop(
        step,
        init_state(learner, shapes_of(run), run.mesh),
        batches,
        mesh=run.mesh,
        first=0,
        total=9,
        save_every=100,
        log_every=3,
        save=lambda step, state: None,
        log=lambda step, values: logged.append(step),
    )
    assert len(run.data.split.train) % 4
    assert step._cache_size() == 1
    assert logged == [3, 6, 9]
    assert len(looked) == 3


@pytest.mark.parametrize(
    "name",
    [
        name if name == "swav" else pytest.param(name, marks=pytest.mark.slow)
        for name in METHODS
    ],
)
def test_the_step_of_each_method_lowers_for_gpus_and_tpus(name):
    run = toy_run(name, **{"model.convolutions": "xla", "mesh.devices": 1})
    step = jit_step(run.learner, run.mesh)
    exported = jax.export.export(step, platforms=["cuda", "tpu"])(
        init_shapes(run.learner, shapes_of(run)), shapes_of(run)
    )
    assert exported.platforms == ("cuda", "tpu")
    transformer = run.settings.model.name.startswith(("vit", "dinov2"))
    product = "dot_general" if transformer else "convolution"
    assert f"stablehlo.{product}" in exported.mlir_module()


def test_the_bfloat16_backbone_multiplies_no_float32():
    """In its forward and backward pass, as lowered for a GPU."""
    network = make_network("resnext_tiny", convolutions="xla", dtype="bfloat16")
    images = jax.ShapeDtypeStruct((4, 32, 32, 3), "float32")
    params, stats = jax.eval_shape(network.init, jax.random.key(0), images)

    def total(params, stats, images):
        outputs, _ = network.apply(params, stats, images, train=True)
        return outputs["features"].sum()

    text = (
        jax.jit(jax.grad(total))
        .trace(params, stats, images)
        .lower(lowering_platforms=("cuda",))
        .as_text()
    )
    products = [
        re.findall(r"x(f32|bf16)>", line)
        for line in text.splitlines()
        if re.search(r"stablehlo\.(convolution|dot_general|dot)\b", line)
    ]
    assert len(products) > 20
    assert all(set(types) == {"bf16"} for types in products), products
