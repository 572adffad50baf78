"""Values, paths and configuration files that cannot be: one sentence and exit 2."""

import jax
import pytest

from bmjax.devices.mesh import make_mesh
from bmjax.errors import ConfigError
from bmjax.files import user_path
from bmjax.main import main
from bmjax.settings import is_zero, to_steps

SMOKE = "--config=supervised:smoke"


@pytest.fixture
def run(capsys, tmp_path):
    """Give a command that fails; return its code and its one sentence."""

    def run(*arguments, workdir=tmp_path / "run"):
        code = main([*arguments, f"--workdir={workdir}"])
        said = capsys.readouterr().err
        assert said.startswith("bmjax: ")
        assert said.count("\n") == 1
        assert not (tmp_path / "run" / "config.json").exists()
        return code, said

    return run


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("augment.large_scale=('a','b')", "large_scale = ('a', 'b') is no range"),
        ("augment.large_scale=(True,True)", "(True, True) is no range"),
        ("augment.blur_sigma=()", "blur_sigma = () is no range"),
        ("data.mean=('a','b','c')", "give one number from 0 to 1 for each of red"),
        ("data.mean=(0.5,0.5)", "give one number from 0 to 1 for each of red"),
        ("data.std=(0,0,0)", "give one number from 1e-06 to 1 for each of red"),
        ("optim.betas=('a',1)", "for each of the two moments"),
        ("optim.betas=(0.9,)", "for each of the two moments"),
        ("optim.betas=(0.9,1)", "for each of the two moments"),
        ("lora.layers=(1,2)", "should be names of layers"),
        ("probe.momentum=5", "config.probe.momentum = 5.0 is out of range"),
        ("probe.weight_decay=-3", "config.probe.weight_decay = -3.0 is out of range"),
        ("optim.learning_rate=nan", "learning_rate = nan is out of range"),
        ("train.duration=1e20 steps", "is no duration"),
        (f"train.duration={10**20} steps", "use 2,147,483,647 steps or fewer"),
        (f"train.duration={'9' * 400} epochs", "use 2,147,483,647 steps or fewer"),
        ("mesh.devices=1000000", "devices = 1000000 are more than the images"),
        ("data.root=~nosuch/x", "config.data.root='~nosuch/x' begins with a home"),
        ("init_from=~nosuch/x", "config.init_from='~nosuch/x' begins with a home"),
        ("data.split=~nosuch/x.csv", "begins with a home folder that is not known"),
        ("model.lineages=~nosuch/x", "begins with a home folder that is not known"),
        (f"data.root={'x' * 5000}", "cannot be looked at: File name too long"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_anything_is_written(
    run, override, sentence
):
    root = [] if override.startswith("data.root") else ["--config.data.root=/nowhere"]
    code, said = run(SMOKE, "--config.mesh.devices=1", *root, f"--config.{override}")
    assert (code, sentence in said) == (2, True), said


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return None", "gives a NoneType, expected a ConfigDict"),
        ("return {}", "gives a dict, expected a ConfigDict"),
        ("return ConfigDict()", "config.mesh.devices = None should be a whole number"),
        ("return FrozenConfigDict({'a': 1})", "gives a FrozenConfigDict"),
        ("raise SystemExit(0)", "fails with SystemExit: 0"),
        ("return get_config(variant)", "maximum recursion depth exceeded"),
        ("c = get('smoke'); c.data = None; return c", "config.data.batch_size = None"),
        ("c = get('smoke'); c.augment = None; return c", "should be a section with"),
        ("c = get('smoke'); c.seed = None; return c", "seed = None should be a whole"),
        ("c = get('smoke'); c.data.exclude = (.5,); return c", "be names of classes"),
        ("c = get('smoke'); c.method = ConfigDict(); return c", "config.method.name"),
    ],
)
def test_a_configuration_file_that_gives_something_else_is_refused(
    run, tmp_path, body, sentence
):
    file = tmp_path / "mine.py"
    file.write_text(
        "from ml_collections import ConfigDict, FrozenConfigDict\n"
        "from configs.supervised import get_config as get\n"
        f"def get_config(variant): {body}\n"
    )
    code, said = run(f"--config={file}")
    assert (code, sentence in said) == (2, True), said


@pytest.mark.parametrize("option", ["--workdir=~nosuch/x", "--config=~nosuch/x"])
def test_the_home_of_nobody_is_refused(capsys, option):
    assert main([SMOKE, "--workdir=x", option]) == 2
    assert "begins with a home folder that is not known" in capsys.readouterr().err


def test_a_path_that_is_not_there_yet_is_none_of_its_business(tmp_path):
    assert user_path("--out", tmp_path / "new") == tmp_path / "new"
    with pytest.raises(ConfigError, match=r"--out='.*' cannot be looked at"):
        user_path("--out", tmp_path / ("x" * 5000))


def test_durations_end_where_the_step_would_no_longer_be_counted():
    assert to_steps(f"{2**31 - 1} steps", steps_per_epoch=1, key="") == 2**31 - 1
    with pytest.raises(ConfigError, match="or fewer"):
        to_steps("3000000 epochs", steps_per_epoch=1000, key="")
    assert is_zero("0 epochs")
    assert not is_zero("0.001 epochs")


@pytest.mark.parametrize(
    "error", [AssertionError(), RuntimeError("Unable to initialize backend 'x'\nmore")]
)
def test_devices_that_jax_cannot_use_are_one_sentence(monkeypatch, error):
    def devices():
        raise error

    monkeypatch.setattr(jax, "devices", devices)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(ConfigError, match=r"^jax cannot use .*JAX_PLATFORMS='cuda'"):
        make_mesh()
