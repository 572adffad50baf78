"""The arithmetic of a step on several accelerators, and the page that shows it."""

from pathlib import Path

import pytest

from bmjax.benchmark.scaling import ACCELERATORS, Accelerator, Work, estimate

ROOT = Path(__file__).parents[2]
DEVICE = Accelerator(
    name="thought of",
    units="float32",
    itemsize=4,
    flops=100.0,
    bandwidth=10.0,
    memory=1e6,
    link=4.0,
    latency=0.5,
)
# One operation of 200 flop and 8 bytes an image: 2 s of arithmetic, 0.8 s of bytes.
WORK = Work(
    operations=[((200.0, 0.0), (8.0, 0.0))],
    normalized=0.0,
    view_numbers=0.0,
    pixel_bytes=0.0,
    parameters=0,
    norm_layers=0,
    batch_size=64,
    steps_per_epoch=10,
    epochs=2,
)


def test_an_operation_takes_its_arithmetic_or_its_bytes_whichever_is_longer():
    assert estimate(WORK, DEVICE, 1).seconds == pytest.approx(64 * 2)
    by_bytes = WORK._replace(operations=[((50.0, 0.0), (8.0, 16.0))])
    assert estimate(by_bytes, DEVICE, 1).seconds == pytest.approx(64 * 0.8 + 1.6)
    # Half the bytes and the same arithmetic.
    narrow = DEVICE._replace(itemsize=2)
    assert estimate(by_bytes, narrow, 1).seconds == pytest.approx(64 * 0.5)


def test_devices_share_the_images_and_each_updates_all_parameters():
    assert estimate(WORK, DEVICE, 4).compute == pytest.approx(16 * 2)
    work = WORK._replace(parameters=10)
    # 10 numbers of 4 bytes moved five times over 10 bytes a second.
    assert estimate(work, DEVICE, 4).compute == pytest.approx(16 * 2 + 20)


def test_gradients_go_round_a_ring_and_batch_norm_waits_four_times_a_layer():
    work = WORK._replace(parameters=10, norm_layers=3)
    alone, four = estimate(work, DEVICE, 1), estimate(work, DEVICE, 4)
    assert (alone.gradients, alone.statistics) == (0, 0)
    assert four.gradients == pytest.approx(2 * 3 / 4 * 40 / 4)
    assert four.statistics == pytest.approx(4 * 3 * 0.5)
    assert four.seconds == pytest.approx(
        four.compute + four.gradients + four.statistics
    )


def test_memory_is_the_state_and_each_devices_share_of_the_rest():
    work = WORK._replace(
        parameters=10, normalized=100.0, view_numbers=5.0, pixel_bytes=2.0
    )
    found = estimate(work, DEVICE, 4)
    assert found.memory == 3 * 40 + 16 * (2 * 100 * 4 + 4 * 5 + 3 * 2)
    assert found.fits
    assert not estimate(work, DEVICE._replace(memory=found.memory), 4).fits


def test_no_accelerator_is_listed_twice():
    kinds = [(on.name, on.units) for on in ACCELERATORS]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.slow
def test_the_page_shows_what_is_computed():
    from bmjax.benchmark.scaling import scaling_tables, work_of
    from bmjax.run.command_line import load_config

    work = work_of(load_config(ROOT / "configs" / "swav.py"))
    page = (ROOT / "docs" / "scaling.md").read_text()
    assert "\n".join(scaling_tables(work)) in page
    # ResNet-50 with SwAV's linear head and prototypes.
    assert work.parameters == 23_508_032 + 2048 * 128 + 128 + 128 * 1000
    assert work.norm_layers == 53
    # Forward and twice that backward, the stem's half of it.
    assert work.flops / 512 == pytest.approx(2 * 3 * 4.09e9, rel=0.02)
