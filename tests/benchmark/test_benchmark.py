"""The benchmark's command: its table, its JSON line, and what it refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest

from bmjax.benchmark import stand_in, turns
from bmjax.benchmark.__main__ import main
from bmjax.benchmark.operations import useful_flops
from bmjax.benchmark.records import FIGURES
from bmjax.benchmark.spread import NOISY, summarize, widest_rate
from bmjax.benchmark.stand_in import stand_in_catalog
from bmjax.benchmark.table import table
from bmjax.data.matek import CLASSES
from bmjax.data.splits.make_split import make_split
from bmjax.errors import DataError
from bmjax.run import build
from tests.helpers.toy_network import toy_network
from tests.helpers.toy_run import toy_catalog, toy_run

KNOWN = {figure.key: figure for group in FIGURES.values() for figure in group}
CONTRACT = {
    "images_per_second", "images_per_second_spread", "compile_seconds", "useful_flops",
    "xla_flops", "peak_fraction", "matmul_flops_per_second", "temporary_bytes",
    "argument_bytes", "peak_memory_bytes", "peak_memory_of", "collectives", "noisy",
}  # fmt: skip
SMOKE = ("--config=configs/supervised.py:smoke", "--steps=2", "--turns=2")


def small(name, *, num_classes, head, embedding_dim, **rest):
    return toy_network(num_classes=num_classes, head=head, embedding_dim=embedding_dim)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What a benchmark on four devices printed, and the figures that it kept."""
    out = tmp_path_factory.mktemp("benchmark") / "figures.jsonl"
    out.write_text("an earlier line\n")
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "make_network", small)
        patch.setattr(stand_in, "stand_in_catalog", lambda exclude: toy_catalog())
        patch.setattr(turns, "_PRODUCT_SECONDS", 0.05)
        patch.setattr("builtins.print", lambda *a, **k: printed.append((a, k)))
        assert main([*SMOKE, "--config.mesh.devices=4", f"--out={out}"]) == 0
    text = "\n".join(str(a[0]) for a, k in printed if "file" not in k)
    first, line = out.read_text().splitlines()
    assert first == "an earlier line"
    return text, json.loads(line)


def test_a_run_adds_one_line_with_every_promised_key(measured):
    assert measured[1].keys() >= CONTRACT


def test_every_key_is_explained_and_every_figure_shown(measured):
    text, line = measured
    for key in line:
        figure = KNOWN[key.removesuffix("_spread")]
        assert figure.key == "collectives" or figure.label in text
    assert "Other" not in text


def test_figures_agree_with_each_other(measured):
    line = measured[1]
    images, second = line["batch_size"], line["step_seconds"]
    assert line["images_per_second"] == pytest.approx(images / second)
    rate = line["useful_flops"] / second
    assert line["useful_flops_per_second"] == pytest.approx(rate)
    assert 0 < line["peak_fraction"] < 1.5
    assert line["noisy"] == (widest_rate(line)[1] > NOISY)
    assert 0 < line["donated_bytes"] < line["argument_bytes"]
    assert line["collectives"]["all-reduce"]["count"] > 0
    assert (line["devices"], line["classes"], line["views"]) == (4, 3, [[1, 32]])


def test_without_data_the_release_stands_in():
    catalog = stand_in_catalog()
    assert len(catalog) == 171_374
    assert list(catalog.paths) == sorted(catalog.paths)
    counts = np.bincount(catalog.labels).tolist()
    assert counts == [cell.images for cell in CLASSES]
    split = make_split(catalog, name="dinobloom", fold=0, seed=0)
    assert len(split.test) == 34_266
    assert len(stand_in_catalog(["ART", "BLA"]).classes) == 19
    with pytest.raises(DataError, match="ARX"):
        stand_in_catalog(["ARX"])


def test_a_busy_machine_is_named_with_its_widest_rate(measured, capsys):
    from bmjax.benchmark.__main__ import _show

    figures = summarize("images_per_second", [10.0, 10.1, 13.0])
    figures |= summarize("matmul_flops_per_second", [100.0, 101.0])
    # A ratio of two noisy rates is no rate.
    figures |= summarize("peak_fraction", [0.1, 0.9])
    rate, spread = widest_rate(figures)
    assert (rate, round(spread, 2)) == ("images_per_second", 0.3)
    _show(figures | {"noisy": True}, None)
    said = capsys.readouterr().out
    assert "the turns of images_per_second lie 30% of their median apart" in said
    assert json.loads(said.splitlines()[-1]) == figures | {"noisy": True}
    _show(figures | {"noisy": False}, None)
    assert "busy" not in capsys.readouterr().out


def test_a_figure_that_nobody_explained_is_shown_all_the_same():
    lines = table({"batch_size": 1000, "new_figure": 1.5}).splitlines()
    assert lines[0] == "What"
    assert lines[1].split() == ["images", "a", "step", "1,000"]
    assert [line.split() for line in lines[-2:]] == [["Other"], ["new_figure", "1.5"]]


def test_units_and_thousands_are_for_people():
    text = table(
        {
            "images_per_second": 12345.6,
            "images_per_second_spread": 0.051,
            "useful_flops": 12_400_000_000_000,
            "temporary_bytes": 1_234_000_000,
            "collectives": {"all-reduce": {"count": 1205, "bytes": 94_600_000}},
            "views": [[2, 224], [6, 96]],
        }
    )
    for shown in (
        "12,346 images/s  spread 0.05",
        "12.4 TFLOP",
        "1.23 GB",
        "1,205  94.6 MB",
        "2 x 224 + 6 x 96",
    ):
        assert shown in text


def flops(name, **changes):
    return useful_flops(toy_run(name, **changes))


def test_useful_operations_do_not_depend_on_how_a_step_is_carried_out():
    once = flops("supervised")
    assert once == flops("supervised", **{"model.remat": True, "train.accumulate": 4})
    assert once == flops(
        "supervised", **{"model.convolutions": "matmul", "mesh.devices": 4}
    )
    assert 2 * once == flops("supervised", **{"data.batch_size": 32})


def test_useful_operations_follow_what_a_method_needs():
    supervised, linear = flops("supervised"), flops("linear")
    # Forward once instead of three times, but for the first layer and the classifier.
    assert 2 < supervised / linear < 3
    contrast = {"model.head": "linear", "augment.small": 0}
    supcon, dino = (flops(name, **contrast) for name in ("supcon", "dino"))
    # Two views; and a teacher's forward pass on both.
    assert supcon == pytest.approx(2 * supervised, rel=0.05)
    assert dino == pytest.approx((2 + 2 / 2.5) * supervised, rel=0.1)


def test_help_is_exit_0_without_jax_and_names_every_key():
    code = (
        "import sys\nfrom bmjax.benchmark.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as error:\n"
        "    assert error.code == 0\nassert 'jax' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for key in KNOWN:
        assert f"\n  {key} " in done.stdout


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--steps=0"], "--steps=0 measures nothing"),
        (["--turns=-1"], "--turns=-1"),
        (["--out=/nowhere/at/all.jsonl"], "no folder that exists"),
        (["--stepz=3"], "--stepz is no option"),
    ],
)
def test_a_wrong_option_is_one_sentence(wrong, said, capsys):
    assert main([*SMOKE, *wrong]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_save_costs_time_and_is_verified(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "make_network", small)
    monkeypatch.setattr(stand_in, "stand_in_catalog", lambda exclude: toy_catalog())
    out = tmp_path / "figures.jsonl"
    assert main([*SMOKE, "--saving", f"--out={out}"]) == 0
    line = json.loads(out.read_text())
    for key in line:
        assert key.removesuffix("_spread") in KNOWN
    assert line["save_seconds"] > line["verify_seconds"] > 0
    assert 0 < line["saving_over_loop"] < 1
    assert 0 < line["epoch_saving_over_loop"] < 1
    assert line["checkpoint_bytes"] > 1000
