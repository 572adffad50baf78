"""What was measured of a network's convolutions, and its tables in Markdown."""

from collections.abc import Iterator
from typing import NamedTuple


class Layer(NamedTuple):
    """A convolution of a network, by what its time depends on."""

    size: int  # height and width of its input
    inputs: int  # channels
    outputs: int  # channels
    kernel: int  # height and width
    stride: int
    groups: int
    of_images: bool = False  # the first, whose input wants no gradient

    def __str__(self) -> str:
        text = (
            f"{self.size}, {self.inputs} → {self.outputs}, {self.kernel}x{self.kernel}"
        )
        text += f", stride {self.stride}" if self.stride > 1 else ""
        return text + (f", {self.groups} groups" if self.groups > 1 else "")


class Profile(NamedTuple):
    """What was measured: medians over the turns."""

    layers: dict[Layer, int]  # and how often the network has each
    flops: dict[Layer, int]  # useful ones, forward
    forward: dict[Layer, float]  # seconds, once
    backward: dict[Layer, float]  # seconds, once
    inference: float  # seconds of the whole network
    training: float  # seconds of the whole network, forward and backward
    peak: float  # floating-point operations a second of a large matrix product
    spread: float  # of the peak over the turns: (largest - smallest) / median


def layer_tables(profile: Profile) -> Iterator[str]:
    """The lines of the tables: layer by layer, and the whole network.

    A layer's share is of the time of all convolutions, each as often as it occurs.
    """
    ahead, useful = _sums(profile, profile.forward, profile.flops)
    back_flops = {
        # Two gradients, or one for the first layer.
        layer: flops * (1 if layer.of_images else 2)
        for layer, flops in profile.flops.items()
    }
    behind, useful_back = _sums(profile, profile.backward, back_flops)
    yield (
        "| input, channels, kernel | times | forward, ms | GFLOP/s | backward, ms "
        "| GFLOP/s | share |"
    )
    yield "| --- |" + " ---: |" * 6
    for layer, times in profile.layers.items():
        forward, backward = profile.forward[layer], profile.backward[layer]
        yield (
            f"| {layer} | {times} "
            f"| {forward * 1e3:.1f} | {profile.flops[layer] / forward / 1e9:.0f} "
            f"| {backward * 1e3:.1f} | {back_flops[layer] / backward / 1e9:.0f} "
            f"| {times * (forward + backward) / (ahead + behind):.1%} |"
        )
    yield (
        f"| all, as often as they occur | {sum(profile.layers.values())} "
        f"| {ahead * 1e3:.0f} | {useful / ahead / 1e9:.0f} "
        f"| {behind * 1e3:.0f} | {useful_back / behind / 1e9:.0f} | |"
    )
    yield ""
    yield (
        f"A large matrix product: {profile.peak / 1e9:.0f} GFLOP/s, "
        f"spread {profile.spread:.2f}."
    )
    yield ""
    yield (
        "| whole network | ms | its convolutions by themselves, ms | at the peak, ms "
        "| share of the peak |"
    )
    yield "| --- |" + " ---: |" * 4
    for name, whole, parts, flops in (
        ("inference", profile.inference, ahead, useful),
        (
            "forward and backward",
            profile.training,
            ahead + behind,
            useful + useful_back,
        ),
    ):
        best = flops / profile.peak
        yield (
            f"| {name} | {whole * 1e3:.0f} | {parts * 1e3:.0f} | {best * 1e3:.0f} "
            f"| {best / whole:.2f} |"
        )


def _sums(
    profile: Profile, seconds: dict[Layer, float], flops: dict[Layer, int]
) -> tuple[float, int]:
    """Seconds and operations of all layers, each as often as it occurs."""
    return (
        sum(times * seconds[layer] for layer, times in profile.layers.items()),
        sum(times * flops[layer] for layer, times in profile.layers.items()),
    )
