"""The list of a network's convolutions, and the tables made of their times."""

import jax
import pytest

from bmjax.benchmark.flops import count_flops
from bmjax.benchmark.layer_table import Layer, Profile, layer_tables
from bmjax.benchmark.layer_times import layer_flops, layers_of, measure_layers
from bmjax.benchmark.layers import main
from bmjax.models import make_network


def test_a_networks_convolutions_are_listed_in_order_with_their_shapes():
    assert layers_of("resnext_tiny", 32, 2) == {
        Layer(32, 3, 8, 7, 2, 1, of_images=True): 1,
        Layer(8, 8, 8, 1, 1, 1): 1,
        Layer(8, 8, 8, 3, 1, 4): 1,
        Layer(8, 8, 32, 1, 1, 1): 2,  # the block's last, and its shortcut
        Layer(8, 32, 16, 1, 1, 1): 1,
        Layer(8, 16, 16, 3, 2, 4): 1,
        Layer(4, 16, 64, 1, 1, 1): 1,
        Layer(8, 32, 64, 1, 2, 1): 1,
    }


@pytest.mark.parametrize("name", ["resnet_tiny", "resnext_tiny"])
def test_no_convolution_is_missing(name):
    network = make_network(name, convolutions="xla")
    images = jax.ShapeDtypeStruct((2, 32, 32, 3), "float32")
    params, batch_stats = jax.eval_shape(network.init, jax.random.key(0), images)

    def forward(params, batch_stats, images):
        return network.apply(params, batch_stats, images, train=False)

    listed = layers_of(name, 32, 2)
    assert sum(
        times * layer_flops(layer, 2) for layer, times in listed.items()
    ) == count_flops(forward, params, batch_stats, images)


def test_the_tables_are_the_times_and_operations_added_up():
    stem, block = Layer(8, 3, 8, 7, 2, 1, of_images=True), Layer(4, 8, 8, 3, 1, 4)
    profile = Profile(
        layers={stem: 1, block: 3},
        flops={stem: 10**9, block: 2 * 10**9},
        forward={stem: 0.1, block: 0.02},
        backward={stem: 0.2, block: 0.04},
        inference=0.35,
        training=0.8,
        peak=1e11,
        spread=0.125,
    )
    assert list(layer_tables(profile))[2:] == [
        "| 8, 3 → 8, 7x7, stride 2 | 1 | 100.0 | 10 | 200.0 | 5 | 62.5% |",
        "| 4, 8 → 8, 3x3, 4 groups | 3 | 20.0 | 100 | 40.0 | 100 | 37.5% |",
        "| all, as often as they occur | 4 | 160 | 44 | 320 | 41 | |",
        "",
        "A large matrix product: 100 GFLOP/s, spread 0.12.",
        "",
        "| whole network | ms | its convolutions by themselves, ms | at the peak, ms "
        "| share of the peak |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| inference | 350 | 160 | 70 | 0.20 |",
        "| forward and backward | 800 | 480 | 200 | 0.25 |",
    ]


@pytest.mark.slow
def test_a_tiny_network_is_measured_whole_and_layer_by_layer():
    found = measure_layers("resnet_tiny", size=16, batch=2, turns=1)
    assert found.layers == layers_of("resnet_tiny", 16, 2)
    assert set(found.forward) == set(found.backward) == set(found.layers)
    seconds = (*found.forward.values(), *found.backward.values())
    assert min(*seconds, found.inference, found.training, found.peak) > 0


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--network=resnet51", "did you mean 'resnet50'"),
        ("--size=0", "--size=0 measures nothing"),
        ("--batch=-1", "--batch=-1 measures nothing"),
        ("--turns=0", "--turns=0 measures nothing"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(argument, said, capsys):
    assert main([argument]) == 2
    assert said in capsys.readouterr().err
