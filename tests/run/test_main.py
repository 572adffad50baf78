"""The command line: every mistake is one sentence with its exit code."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bmjax.main import main
from bmjax.run.command_line import read_flags
from bmjax.run.workdir import excluded

SMOKE = "--config=configs/swav.py:smoke"
SUPERVISED = "--config=configs/supervised.py:smoke"
VIT = (SMOKE, "--config.model.name=dinov2_nano14")


@pytest.fixture
def run(capsys, tmp_path):
    def run(*arguments, workdir=tmp_path / "run"):
        code = main([*arguments, *([f"--workdir={workdir}"] if workdir else [])])
        return code, capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config=configs/nowhere.py"], "is no file"),
        (["--config=configs/common.py"], "defines no get_config"),
        (["--config=configs/swav.py:huge"], 'variant "huge" is unknown'),
        (["--config=configs/swav.py:vit,resnet"], "are two networks; give one"),
        ([], "--config is missing"),
        (["--config.seed=1", SMOKE], "before its overrides"),
        ([SMOKE, "--config.data.sise=3"], "did you mean config.data.size?"),
        ([SMOKE, "--config.data.size=big"], "config.data.size=big"),
        ([SMOKE, "--config.data.size=0"], "config.data.size = 0 is out of range"),
        ([SMOKE, "more"], "argument 'more' is unexpected"),
        ([SMOKE, "--sead=1"], "--sead is no option"),
        ([SMOKE, "--config.data.fold=1"], "config.data.fold = 1 is out of range"),
        (
            [SMOKE, "--config.data.split=kfold", "--config.data.fold=5"],
            "takes 0 to 4",
        ),
        ([SMOKE, "--config.data.split=thirds"], "use one of holdout, kfold"),
        (
            [
                SMOKE,
                "--config.data.batch_size=6",
                "--config.method.queue_length=12",
                "--config.mesh.devices=4",
            ],
            "does not divide by 4 devices",
        ),
        (
            [SMOKE, "--config.train.accumulate=3"],
            "does not divide by 4 devices x 3 chunks; use a multiple of 12",
        ),
        ([SMOKE, "--config.model.dtype=float16"], "use one of float32, bfloat16"),
        (
            [SUPERVISED, "--config.method.class_weights=square"],
            "use one of none, inverse, sqrt, effective, CLASS:WEIGHT,...",
        ),
        ([SUPERVISED, "--config.method.class_weights=ABC:2"], "'ABC' is not known"),
        ([SUPERVISED, "--config.method.class_weights=ABE:-2"], "weight above 0"),
        ([SMOKE, "--config.init_from=/nowhere"], "'/nowhere' does not exist"),
        ([SMOKE, "--config.init_from=/nowhere::ema"], "'/nowhere::ema' does not exist"),
        ([SMOKE, "--config.mesh.devices=64"], "config.mesh.devices = 64"),
        ([SMOKE, "--config.model.name=resnet19"], "config.model.name"),
        ([SMOKE, "--config.method.name=swaw"], "config.method.name"),
        ([SMOKE, "--config.method.queue_length=17"], "use 16 or 32"),
        ([SMOKE, "--config.augment.large=1"], "compares large views; use 2"),
        ([SMOKE, "--config.train.duration=3"], "config.train.duration"),
        ([SMOKE, "--config.seed=-1"], "config.seed = -1 is out of range"),
        ([SMOKE, "--config.probe.batch_size=0"], "config.probe.batch_size = 0"),
        ([SMOKE, "--config.probe.sampling=odd"], "config.probe.sampling"),
        ([SMOKE, "--config.tsne.perplexity=0.5"], "config.tsne.perplexity = 0.5"),
        ([SMOKE, "--config.model.head=classifier"], "linear, mlp, mlp_bn"),
        ([SMOKE, "--config.augment.large_scale=(0.5,)"], "is no range"),
        ([SMOKE, "--config.augment.large_scale=(1.0,0.2)"], "is no range"),
        ([SMOKE, "--config.logs.every=often"], "config.logs.every"),
        ([SMOKE, "--config.model.name=resnet10_w33"], "did you mean 'resnet10_w32'?"),
        ([SMOKE, "--config.optim.learning_rate=-1"], "is out of range"),
        ([SMOKE, "--config.model.pooling=max"], "config.model.pooling = 'max'"),
        ([SMOKE, "--config.model.pooling=cls"], "use one of auto, average"),
        ([SMOKE, "--config.model.interpolation=size"], "needs learned positions"),
        (
            [*VIT, "--config.model.interpolation=linear"],
            "use one of offset, size_antialias, size",
        ),
        ([SMOKE, "--config.model.drop_path=0.1"], "needs a vision transformer"),
        ([*VIT, "--config.model.drop_path=1"], "config.model.drop_path = 1.0 is out"),
        ([*VIT], "config.data.size = 32 does not divide into the patches of 14 pixels"),
        (["--config=configs/swav.py"], "the TCIA collection"),
    ],
)
def test_a_mistake_in_the_command_is_one_sentence_and_exit_2(run, arguments, sentence):
    code, said = run(*arguments)
    assert code == 2
    assert said.err.startswith("bmjax: ")
    assert said.err.count("\n") == 1
    assert sentence in said.err
    assert "Traceback" not in said.err


def test_without_a_workdir_it_says_so(run):
    code, said = run(SMOKE, workdir=None)
    assert (code, "--workdir is missing" in said.err) == (2, True)


def test_without_data_it_names_the_collection_the_tool_and_the_demo(run):
    _, said = run("--config=configs/swav.py")
    for name in ("TCIA", "bmjax.data", ":demo"):
        assert name in said.err


def test_a_workdir_that_is_a_file_or_anothers_is_refused(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, said = run(SMOKE, workdir=tmp_path / "file")
    assert (code, "is a file" in said.err) == (2, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    code, said = run(SMOKE, workdir=tmp_path / "other")
    assert (code, "thesis.tex" in said.err) == (2, True)


def test_a_workdir_that_cannot_be_made_is_refused_before_anything_is_compiled(run):
    workdir = Path("/proc/nowhere/run")  # nobody can write there, root neither
    code, said = run(SMOKE, "--config.data.synthetic_images=230", workdir=workdir)
    assert (code, "cannot be written" in said.err) == (2, True)
    assert said.err.count("\n") == 1
    assert "compiled" not in said.out


def test_a_relative_workdir_is_absolute_in_every_message(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    arguments = [SUPERVISED.replace("configs/supervised.py", "supervised")]
    assert read_flags([*arguments, "--workdir=file"])[1] == tmp_path / "file"
    code, said = run(*arguments, workdir="file")
    assert (code, str(tmp_path / "file") in said.err) == (2, True)


def test_an_archive_is_no_folder_of_images(run, tmp_path):
    archive = tmp_path / "cells.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../outside/A/1.jpg", b"")
    code, said = run(SMOKE, f"--config.data.root={archive}")
    assert (code, "is a file" in said.err) == (3, True)
    assert not (tmp_path / "outside").exists()


def test_missing_and_empty_data_folders_are_exit_3(run, tmp_path):
    code, said = run(SMOKE, f"--config.data.root={tmp_path / 'nowhere'}")
    assert (code, "does not exist" in said.err) == (3, True)
    (tmp_path / "empty").mkdir()
    code, said = run(SMOKE, f"--config.data.root={tmp_path / 'empty'}")
    assert (code, "no JPEG or PNG image" in said.err) == (3, True)


def test_a_failed_start_leaves_the_workdir_free(run, tmp_path):
    assert run(SMOKE, "--config.data.fold=3")[0] == 2
    assert not (tmp_path / "run" / "config.json").exists()


def test_help_is_exit_0_and_names_every_exit_code():
    done = subprocess.run(
        [sys.executable, "-m", "bmjax.main", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    for code in ("2 usage", "3 data", "4 ", "5 checkpoint", "75 ", "130 "):
        assert code in done.stdout


def test_help_and_the_package_itself_need_no_jax():
    modules = (
        "bmjax, bmjax.main, bmjax.run.command_line, bmjax.run.workdir, bmjax.run.logs"
    )
    code = f"import sys, {modules}; print('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("1", ["1"]),
        ("(1,)", ["1"]),
        ("0,2", ["0", "2"]),
        ("007", ["007"]),
        ("1e3", ["1e3"]),
        ("('ART','BLA')", ["ART", "BLA"]),
        ("ART", ["ART"]),
        ("('ART',1)", ["ART", "1"]),
        ("()", []),
    ],
)
def test_classes_whose_names_look_like_numbers_can_be_left_out(tmp_path, value, names):
    config, _ = read_flags(
        [SMOKE, f"--config.data.exclude={value}", f"--workdir={tmp_path}"]
    )
    assert excluded(config.data.exclude) == names


def test_the_configuration_file_is_executed_once(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import pathlib\nimport ml_collections\n"
        f"with open({str(tmp_path / 'log')!r}, 'a') as log:\n    log.write('x')\n"
        "def get_config(variant):\n"
        "    return ml_collections.ConfigDict({'data': {'size': 3}})\n"
    )
    argv = [f"--config={file}", "--config.data.size=5", f"--workdir={tmp_path}"]
    config, _ = read_flags(argv)
    assert config.data.size == 5
    assert (tmp_path / "log").read_text() == "x"
