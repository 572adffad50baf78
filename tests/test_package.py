"""What the package says of itself is said once, and its commands have one entry."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import bmjax
from bmjax.__main__ import main
from bmjax.methods import METHODS
from bmjax.run.command_line import find_config, shipped_configs

ROOT = Path(__file__).parents[1]


def test_the_version_is_in_one_place_and_the_citation_has_it():
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.+)$", citation, re.M).group(1) == bmjax.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]


def test_every_data_file_of_the_package_is_in_the_wheel():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["bmjax"]
    package = ROOT / "bmjax"
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    files = {
        path
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert files == packed


def test_every_folder_of_modules_is_a_package():
    for module in (ROOT / "bmjax").rglob("*.py"):
        assert (module.parent / "__init__.py").exists(), module


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "data",
        "predict",
        "count",
        "agree",
        "embed",
        "report",
        "few-labels",
        "noise",
        "export",
        "benchmark",
    ],
)
def test_the_help_of_every_command_needs_no_jax(command):
    code = (
        "import sys\nfrom bmjax.__main__ import main\n"
        f"try:\n    code = main([{command!r}, '--help'])\n"
        "except SystemExit as end:\n    code = end.code\n"
        "assert not code\nassert 'jax' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "bmjax" in done.stdout


def test_an_unknown_command_is_exit_2_with_the_nearest_name(capsys):
    assert main(["trian"]) == 2
    assert "did you mean train?" in capsys.readouterr().err
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert main(["--version"]) == 0
    assert bmjax.__version__ in capsys.readouterr().out


def test_configurations_are_found_by_name_and_by_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, variant = find_config("swav:demo")
    assert (path, variant) == (shipped_configs() / "swav.py", "demo")
    (tmp_path / "mine.py").write_text("")
    assert find_config("mine.py:small") == (Path("mine.py"), "small")


def test_a_users_configuration_has_the_shipped_ones_to_build_on(tmp_path, monkeypatch):
    from bmjax.run.command_line import load_config

    (tmp_path / "configs").mkdir()  # another project's
    (tmp_path / "configs" / "swav.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "configs"]:
        monkeypatch.delitem(sys.modules, name)
    before = importlib.import_module("configs.swav")
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from configs import common, supcon\n"
        "def get_config(variant):\n"
        "    from configs import common as again\n"
        "    assert again is common\n"
        "    return supcon.get_config(variant)\n"
    )
    assert load_config(mine, "smoke").method.name == "supcon"
    assert sys.modules["configs.swav"] is before
    for name in [name for name in sys.modules if name.split(".")[0] == "configs"]:
        del sys.modules[name]  # other tests have the shipped ones


def _modules(*folders):
    """The name and the syntax tree of each module that has a name of its own."""
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            yield path, ast.parse(path.read_text())


def _defined(statement):
    """The public names that a statement at the top of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        names = [statement.name]
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        names = [target.id for target in targets if isinstance(target, ast.Name)]
    else:
        names = []
    return [name for name in names if not name.startswith("_") and name != "main"]


def test_no_two_files_of_the_package_have_one_name():
    names = Counter(path.name for path, _ in _modules("bmjax"))
    twice = {name for name, count in names.items() if count > 1}
    assert twice == {"__init__.py", "__main__.py"}


def test_no_two_public_definitions_have_one_name():
    places = {}
    for path, tree in _modules("bmjax", "experiments"):
        for statement in tree.body:
            for name in _defined(statement):
                places.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_nothing_outside_of_methods_asks_for_a_method_by_its_name():
    known = {
        "benchmark/against_torch.py",  # the methods that are written in torch too
        "benchmark/torch_step.py",  # likewise
        "benchmark/accelerator/plan.py",  # the paper's method is timed first
        "benchmark/accelerator/numerics.py",  # and checked
        "benchmark/accelerator/sharding.py",  # likewise
        "losses/__init__.py",  # a loss has its paper's name
        "report/facts.py",  # predictors of results older than `predictor`
        "report/words.py",  # titles for results older than `method_title`
    }
    names = METHODS.keys() - {"supervised", "linear"}  # words for other things too
    places = set()
    for path, tree in _modules("bmjax"):
        name = path.relative_to(ROOT / "bmjax").as_posix()
        strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
        if not name.startswith("methods/") and strings & names:
            places.add(name)
    assert places <= known
