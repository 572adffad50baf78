"""The page shows what there is, and says why the rest is not."""

from bmjax.benchmark.accelerator.page import render_page
from bmjax.benchmark.accelerator.plan import all_parts
from bmjax.benchmark.accelerator.predicted_steps import known_accelerator

MACHINE = {
    "scale": "paper",
    "time": "2026-01-01T00:00:00Z",
    "versions": {"jax": "9.9"},
    "figures": {
        "platform": "gpu",
        "device_kind": "NVIDIA H100 80GB HBM3",
        "devices": 1,
        "memory_bytes": 70e9,
        "driver": "999",
        "processors": 16,
        "system": "Linux",
    },
}
STEP = {
    "network": "resnet50",
    "batch_size": 256,
    "views": [[2, 224]],
    "images_per_second": 2000.0,
    "images_per_second_spread": 0.02,
    "step_seconds": 0.128,
    "useful_flops_per_second": 1e14,
    "peak_fraction": 0.25,
    "accumulate": 1,
    "devices": 1,
    "device_kind": MACHINE["figures"]["device_kind"],
    "program_bytes": 2e10,
    "temporary_bytes": 1.8e10,
    "peak_memory_bytes": 2.1e10,
    "peak_memory_of": "device",
    "tracing_seconds": 3.0,
    "compile_seconds": 40.0,
}
OPTIONS = {"config": "swav", "precision": "bfloat16"}
WORK = {
    "operations": [[[1e10, 0.0], [1e6, 0.0]]],
    "normalized": 1e7,
    "view_numbers": 1e5,
    "pixel_bytes": 1e5,
    "parameters": 10**7,
    "norm_layers": 53,
    "batch_size": 256,
    "steps_per_epoch": 535,
    "epochs": 200,
}


def page(**records):
    records = {name.replace("_", "-"): record for name, record in records.items()}
    return render_page(MACHINE, records, all_parts(), "the command")


def row(text, start):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_part_without_figures_says_why_and_the_others_are_shown():
    text = page(
        step_swav_bfloat16={"options": OPTIONS, "figures": STEP},
        **{"golden-losses": {"failed": "memory ran out | at once\nin a step"}},
        collectives={"not_run": "there is one device"},
    )
    assert "| golden-losses | failed: memory ran out \\| at once in a step |" in text
    assert row(text, "collectives")[1] == "not run: there is one device"
    assert row(text, "resume")[1] == "not run"
    assert "2,000 (0.02)" in row(text, "swav-bfloat16")
    assert "0 of 0 checks hold. 1 of " in text
    assert "NVIDIA H100" in text


def test_every_part_is_on_the_page_without_any_record():
    text = page()
    assert all(row(text, part.name)[1] == "not run" for part in all_parts())


def test_a_check_that_does_not_hold_stands_out():
    checks = [
        {"check": "logits", "found": 1e-9, "bound": 1e-6, "holds": True},
        {"check": "tokens", "found": 1e-3, "bound": 1e-6, "holds": False},
    ]
    text = page(**{"golden-losses": {"options": {}, "figures": {"checks": checks}}})
    assert "| golden-losses | tokens | 0.001 | 1e-06 | **no** |" in text
    assert "1 of 2 checks hold" in text


def test_predictions_stand_beside_what_was_measured():
    text = page(
        step_swav_bfloat16={"options": OPTIONS, "figures": STEP},
        predictions={"options": {}, "figures": {"works": {"swav": WORK}}},
    )
    section = text[text.index("## Predictions") :]
    cells = row(section, "step-swav-bfloat16")
    # 256 x 1e10 operations at 989 TFLOP/s, and nine moves of 256 x 1e7 numbers of two
    # bytes and five of 1e7 of four at 3350 GB/s.
    bound = 256e10 / 989e12 + (9 * 256e7 * 2 + 5 * 4e7) / 3350e9
    assert cells[1:4] == ["H100, bfloat16", f"{bound * 1e3:.3g}", "128"]


def test_a_device_is_known_by_its_makers_name_and_its_precision():
    kind = MACHINE["figures"]["device_kind"]
    assert known_accelerator(kind, "tensorfloat32").units == "TF32"
    assert known_accelerator(kind, "float32") is None
    assert known_accelerator("cpu", "bfloat16") is None
