"""A run applied to a folder gives what the run itself gave."""

import csv
import json
import shutil
import subprocess
import sys
from collections import Counter

import cv2
import numpy as np
import pytest
from scipy.stats import beta

from bmjax.data.images.folder import read_folder
from bmjax.data.open_images import label_of, open_any_images
from bmjax.data.synthetic import synthesize
from bmjax.export.__main__ import main as export
from bmjax.main import main as train
from bmjax.predict.__main__ import main
from bmjax.predict.differential import NOT_A_DEVICE, differential


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return synthesize(tmp_path_factory.mktemp("cells") / "all", images=230, seed=0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, cells):
    """One finished run of a configuration, made when first asked for."""
    done = {}

    def run(config):
        if config not in done:
            done[config] = tmp_path_factory.mktemp(config) / "run"
            command = [
                f"--config=configs/{config}.py:smoke",
                f"--workdir={done[config]}",
                f"--config.data.root={cells}",
                "--config.mesh.devices=1",
            ]
            assert train(command) == 0
        return done[config]

    return run


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def predict(folder, run, out, *more):
    given = [str(folder), f"--run={run}", f"--out={out}", "--devices=1", *more]
    return main([*given, "--batch-size=16"])


def assert_same(found, expected):
    """The columns of predictions.csv; a run itself has others beside."""
    beside = {"doubtful", "set", "prototype", "cosine", "distance"}
    found, expected = (
        [{name: row[name] for name in row if name not in beside} for row in rows]
        for rows in (found, expected)
    )
    assert found[0].keys() == expected[0].keys()
    assert len(found) == len(expected)
    for row, other in zip(found, expected, strict=True):
        for name in row:
            if name.startswith("p_"):
                assert float(row[name]) == pytest.approx(float(other[name]), abs=1e-5)
            else:
                assert row[name] == other[name]


@pytest.mark.slow
@pytest.mark.parametrize("config", ["supervised", "swav"])
def test_the_runs_own_test_images_get_its_predictions(
    config, runs, cells, tmp_path, capsys
):
    run = runs(config)
    assert predict(cells, run, tmp_path / "out.csv", "--prior=none") == 0
    expected = rows_of(run / "predictions.csv")
    found = {row["path"]: row for row in rows_of(tmp_path / "out.csv")}
    assert list(found) == list(read_folder(cells).paths)
    assert_same([found[row["path"]] for row in expected], expected)
    shown = capsys.readouterr().out
    assert NOT_A_DEVICE in shown
    called = Counter(row["predicted"] for row in found.values())
    for name, count in called.items():
        (line,) = [line for line in shown.splitlines() if line.startswith(f"{name} ")]
        assert line.split()[1] == f"{count:,}"


def test_an_exported_file_predicts_as_its_run(runs, cells, tmp_path):
    run = runs("supervised")
    weights = tmp_path / "weights.safetensors"
    assert export([str(run), f"--out={weights}"]) == 0
    assert predict(cells, run, tmp_path / "run.csv") == 0
    assert predict(cells, weights, tmp_path / "file.csv") == 0
    assert_same(rows_of(tmp_path / "file.csv"), rows_of(tmp_path / "run.csv"))


def test_batches_and_devices_change_no_prediction(runs, cells, tmp_path):
    run = runs("supervised")
    folder = cells / "NGS"
    assert predict(folder, run, tmp_path / "one.csv") == 0
    out = tmp_path / "two.csv"
    more = ["--batch-size=6", "--devices=2"]
    assert main([str(folder), f"--run={run}", f"--out={out}", *more]) == 0
    assert_same(rows_of(out), rows_of(tmp_path / "one.csv"))


def test_flat_and_nested_folders_are_read_and_labeled(runs, cells, tmp_path):
    source = [cells / path for path in read_folder(cells).paths[:3]]
    folder = tmp_path / "slide"
    for place in ("1.jpg", "unknown/2.jpg", "patient/NGS/0001-1000/3.jpg"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.pop(), folder / place)
    (folder / ".hidden.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no image")
    assert predict(folder, runs("supervised"), tmp_path / "out.csv") == 0
    labels = {row["path"]: row["label"] for row in rows_of(tmp_path / "out.csv")}
    assert labels == {
        "1.jpg": "", "patient/NGS/0001-1000/3.jpg": "NGS", "unknown/2.jpg": "",
    }  # fmt: skip


def test_the_nearest_folder_of_a_classs_name_is_the_label(tmp_path):
    classes = ("BLA", "NGS")
    assert label_of("NGS/BLA/1.jpg", tmp_path, classes) == "BLA"
    assert label_of("1.jpg", tmp_path / "NGS", classes) == "NGS"
    assert label_of("1/NGS.jpg", tmp_path, classes) == ""


def test_unreadable_images_are_named_left_out_and_a_failure_unless_skipped(
    runs, cells, tmp_path, capsys
):
    folder = shutil.copytree(cells / "NGS", tmp_path / "NGS")
    good = len(open_any_images(folder).paths)
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "empty.png").write_bytes(b"")
    run, out = runs("supervised"), tmp_path / "out.csv"
    assert predict(folder, run, out) == 3
    told = capsys.readouterr().err
    assert "broken.jpg" in told
    assert "empty.png" in told
    assert "2 image(s) could not be read" in told
    assert len(rows_of(out)) == good
    assert predict(folder, run, out, "--skip-bad", "--force") == 0


def test_not_one_readable_image_leaves_no_table(runs, tmp_path, capsys):
    folder = tmp_path / "cells"
    folder.mkdir()
    (folder / "broken.jpg").write_bytes(b"no image")
    out = tmp_path / "out.csv"
    assert predict(folder, runs("supervised"), out, "--skip-bad") == 3
    assert "not one of 1 image(s)" in capsys.readouterr().err
    assert not list(tmp_path.glob("out.csv*"))


def test_images_of_another_size_are_noted(runs, cells, tmp_path, capsys):
    folder = tmp_path / "cells"
    folder.mkdir()
    pixels = cv2.imread(str(cells / read_folder(cells).paths[0]))
    cv2.imwrite(str(folder / "1.png"), cv2.resize(pixels, (50, 40)))
    assert predict(folder, runs("supervised"), tmp_path / "out.csv") == 0
    assert "were resized; sizes: 50 x 40 (1)" in capsys.readouterr().out


def test_paths_are_no_formulas(runs, cells, tmp_path):
    folder = tmp_path / "cells"
    folder.mkdir()
    source = cells / read_folder(cells).paths[0]
    for name in ("=1+1.jpg", "@a.jpg", "-b.jpg", 'quote",\n.jpg'):
        shutil.copyfile(source, folder / name)
    assert predict(folder, runs("supervised"), tmp_path / "out.csv") == 0
    paths = [row["path"] for row in rows_of(tmp_path / "out.csv")]
    assert paths == ["./-b.jpg", "./=1+1.jpg", "./@a.jpg", 'quote",\n.jpg']


def test_a_table_that_is_there_is_kept_unless_forced(runs, cells, tmp_path, capsys):
    out = tmp_path / "out.csv"
    out.write_text("kept")
    assert predict(cells / "NGS", runs("supervised"), out) == 2
    assert "is there already" in capsys.readouterr().err
    assert out.read_text() == "kept"
    assert predict(cells / "NGS", runs("supervised"), out, "--force") == 0
    assert rows_of(out)


def test_a_stop_leaves_no_half_table(runs, cells, tmp_path, monkeypatch, capsys):
    def stop(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("bmjax.data.open_images.label_of", stop)
    assert predict(cells / "NGS", runs("supervised"), tmp_path / "out.csv") == 130
    assert "was not written" in capsys.readouterr().err
    assert not list(tmp_path.glob("out.csv*"))


@pytest.mark.slow
def test_the_nearest_prototype_is_the_one_that_the_atlas_has(runs, cells, tmp_path):
    """Counted over the training images, as the run has counted them."""
    run = runs("swav")
    assert predict(cells, run, tmp_path / "out.csv") == 0
    rows = {row["path"]: row for row in rows_of(tmp_path / "out.csv")}
    atlas = json.loads((run / "atlas.json").read_text())
    tested = {row["path"] for row in rows_of(run / "predictions.csv")}
    first = [int(row["prototype"]) for path, row in rows.items() if path not in tested]
    found = np.bincount(first, minlength=len(atlas["prototypes"]))
    counted = np.array([entry["images"] for entry in atlas["prototypes"]])
    assert np.abs(found - counted).sum() <= 4  # two images between two prototypes
    for number, entry in enumerate(atlas["prototypes"]):
        for cell in entry["nearest"]:
            row = rows[cell["path"]]
            assert float(row["cosine"]) >= cell["cosine"] - 2e-3
            if int(row["prototype"]) == number:
                assert float(row["cosine"]) == pytest.approx(cell["cosine"], abs=2e-3)


@pytest.mark.slow
def test_a_pretrained_run_without_its_probe_is_refused(runs, cells, tmp_path, capsys):
    run = shutil.copytree(runs("swav"), tmp_path / "run")
    (run / "features" / "linear.npz").unlink()
    assert predict(cells, run, tmp_path / "out.csv") == 2
    assert "has no linear classifier yet" in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_probe_is_named(runs, cells, tmp_path, capsys):
    run = shutil.copytree(runs("swav"), tmp_path / "run")
    path = run / "features" / "linear.npz"
    with np.load(path) as arrays:
        whole = dict(arrays)
    path.write_bytes(b"PK cut short")
    assert predict(cells, run, tmp_path / "out.csv") == 5
    assert "linear.npz' is damaged" in capsys.readouterr().err
    np.savez(path, **{**whole, "mean": whole["mean"][:3]})
    assert predict(cells, run, tmp_path / "out.csv") == 5
    assert "mean is float32[3], expected float32[" in capsys.readouterr().err


@pytest.mark.slow
def test_an_exported_file_without_a_classifier_is_refused(
    runs, cells, tmp_path, capsys
):
    weights = tmp_path / "weights.safetensors"
    assert export([str(runs("swav")), f"--out={weights}"]) == 0
    assert predict(cells, weights, tmp_path / "out.csv") == 2
    assert "holds no classifier" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        ("nowhere", "neither a run's folder nor a .safetensors file"),
        ("", "holds no checkpoint"),
        ("file.pth", "neither a run's folder nor a .safetensors file"),
    ],
)
def test_what_is_no_run_is_refused(cells, tmp_path, capsys, run, sentence):
    (tmp_path / "file.pth").write_bytes(b"weights")
    assert predict(cells, tmp_path / run, tmp_path / "out.csv") == 2
    assert sentence in capsys.readouterr().err


def test_a_run_without_checkpoint_is_refused(runs, cells, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copyfile(runs("supervised") / "config.json", run / "config.json")
    assert predict(cells, run, tmp_path / "out.csv") == 2
    assert "holds no checkpoint" in capsys.readouterr().err


def test_folders_without_images_are_refused(tmp_path, capsys):
    assert predict(tmp_path, "any", tmp_path / "out.csv") == 3
    assert "no JPEG or PNG image" in capsys.readouterr().err
    assert predict(tmp_path / "nowhere", "any", tmp_path / "out.csv") == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "sentence"),
    [("nowhere/out.csv", "no folder that exists"), ("", "is a folder")],
)
def test_a_table_that_cannot_be_is_refused_first(
    cells, tmp_path, capsys, out, sentence
):
    assert predict(cells, "any", tmp_path / out) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--batch-size=0", "give 1 or more"),
        ("--threads=-1", "give 0 or more"),
        ("--devices=-1", "give 0 or more"),
    ],
)
def test_numbers_that_cannot_be_are_usage_errors(
    cells, tmp_path, capsys, option, sentence
):
    out = tmp_path / "out.csv"
    assert main([str(cells), "--run=any", f"--out={out}", option]) == 2
    assert sentence in capsys.readouterr().err


def test_a_batch_that_no_devices_share_is_refused(cells, tmp_path, capsys):
    given = [str(cells), "--run=any", f"--out={tmp_path / 'out.csv'}"]
    assert main([*given, "--batch-size=3", "--devices=2"]) == 2
    assert "does not divide by 2 devices" in capsys.readouterr().err


def test_the_count_has_exact_intervals():
    lines = differential(("BLA", "NGS", "XYZ"), Counter(BLA=3, NGS=17))
    low, high = beta.ppf(0.025, 3, 18), beta.ppf(0.975, 4, 17)
    assert lines[1].split()[:8] == [
        "BLA", "3", "15.00", "%", f"{100 * low:.2f}", "to", f"{100 * high:.2f}", "%",
    ]  # fmt: skip
    assert lines[3].split()[1:5] == ["0", "0.00", "%", "0.00"]
    assert lines[4].split()[:2] == ["all", "20"]


def test_help_starts_no_jax():
    code = (
        "import sys\nfrom bmjax.predict.__main__ import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'numpy', 'cv2', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.slow
def test_the_run_says_what_it_was_made_of(runs, cells, tmp_path, capsys):
    run = runs("swav")
    assert predict(cells / "NGS", run, tmp_path / "out.csv") == 0
    config = json.loads((run / "config.json").read_text())
    expected = f"{config['model']['name']} of swav, step 2, linear classifier"
    assert expected in capsys.readouterr().out
    assert np.isclose(
        sum(float(v) for k, v in rows_of(tmp_path / "out.csv")[0].items() if "p_" in k),
        1,
        atol=1e-4,
    )


def test_the_least_sure_cells_are_explained(runs, cells, tmp_path, capsys):
    run = runs("supervised")
    page = tmp_path / "why.html"
    more = (f"--explain={page}", "--explain-cells=5")
    assert predict(cells / "NGS", run, tmp_path / "out.csv", *more) == 0
    assert str(page) in capsys.readouterr().out
    rows = rows_of(tmp_path / "out.csv")
    sure = {row["path"]: float(row[f"p_{row['predicted']}"]) for row in rows}
    shown = [path for path in sure if f">{path}<" in page.read_text()]
    assert len(shown) == 5
    assert max(sure[path] for path in shown) <= sorted(sure.values())[5] + 1e-6
    assert "Class activation" in page.read_text()
    for wrong, said in (
        (f"--explain={page}", "is there already"),
        ("--explain=why.pdf", "should end in .html"),
    ):
        assert predict(cells / "NGS", run, tmp_path / "new.csv", wrong) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "new.csv").exists()
