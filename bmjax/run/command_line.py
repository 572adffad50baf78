"""The command line: a configuration, its overrides, and what can be wrong."""

import ast
import contextlib
import difflib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from absl import flags
from ml_collections import ConfigDict, FrozenConfigDict, config_flags

from bmjax.errors import ConfigError
from bmjax.files import user_path

_PACKAGE = "configs"  # the package that shipped configurations import `common` from
_CLASS_NAMES = (
    "config.data.exclude"  # the key whose values are names, whatever they look like
)


def read_flags(argv: Sequence[str]) -> tuple[ConfigDict, Path]:
    """Read --config, --workdir and the overrides.

    The configuration file is executed once; ml_collections parses the overrides of
    what it gave.

    Args:
        argv: arguments without the program's name.

    Returns:
        the configuration, locked, and the workdir, absolute.

    Raises:
        ConfigError: anything that a user can get wrong here.
    """
    name, rest = _split_config(argv)
    path, variant = find_config(name)
    config = load_config(path, variant)
    _check_keys(rest, config, str(path))
    rest = [_names_as_strings(argument) for argument in rest]
    values = flags.FlagValues()
    holder = config_flags.DEFINE_config_dict(
        "config",
        config,
        flag_values=values,
        lock_config=True,
        sys_argv=["bmjax", *rest],
    )
    flags.DEFINE_string("workdir", None, "folder of the run", flag_values=values)
    try:
        rest = values(["bmjax", *rest])[1:]
    except flags.Error as error:
        raise ConfigError(_sentence(error)) from None
    if rest:
        raise ConfigError(
            f"argument {rest[0]!r} is unexpected; overrides are written --config.key="
            "value"
        )
    if not values.workdir:
        raise ConfigError("--workdir is missing; give a folder of this run's own")
    return holder.value, user_path("--workdir", values.workdir).absolute()


def check_start(config: ConfigDict) -> None:
    """Raise ConfigError for what a run cannot even be started with.

    Devices are made out of a CPU before the settings are read, each with threads and
    memory of its own; a batch is dealt out, so that no more can be of use.
    """
    wanted = {"mesh.devices": int, "data.batch_size": int, "train.precision": str}
    wanted |= {"data.root": str, "method.name": str}
    values = {}
    for key, kind in wanted.items():
        section, name = key.split(".")
        inside = config.get(section)
        value = inside.get(name) if isinstance(inside, ConfigDict) else None
        if not isinstance(value, kind):
            raise ConfigError(
                f"config.{key} = {value!r} should be "
                f"{'a whole number' if kind is int else 'a text'}; a configuration has "
                "all sections and keys of configs/common.py"
            )
        values[key] = value
    devices, batch = values["mesh.devices"], values["data.batch_size"]
    if devices > max(batch, 1):
        raise ConfigError(
            f"config.mesh.devices = {devices} are more than the images of a batch that "
            f"is dealt out to them, config.data.batch_size = {batch}; use fewer "
            "devices or a larger batch"
        )


def _split_config(argv: Sequence[str]) -> tuple[str, list[str]]:
    """The last value of --config, and all other arguments."""
    names, rest, overrides = [], [], False
    takes_value = False
    for argument in argv:
        flag, equals, value = argument.partition("=")
        if takes_value:
            names.append(argument)
            takes_value = False
        elif flag == "--config":
            if overrides and not names:
                raise ConfigError(
                    "--config has to come before its overrides; write it first"
                )
            if equals:
                names.append(value)
            takes_value = not equals
        else:
            overrides = overrides or flag.startswith("--config.")
            rest.append(argument)
    if not names or not names[-1]:
        raise ConfigError(
            "--config is missing; give --config=swav:demo for a first run"
        )
    return names[-1], rest


def find_config(name: str) -> tuple[Path, str]:
    """Find the file that --config names.

    Args:
        name: "configs/swav.py:demo", the path of any file, or "swav:demo", a shipped
            configuration, from any folder.

    Returns:
        the file and the variant.

    Raises:
        ConfigError: there is no such file and no such configuration.
    """
    text, _, variant = name.partition(":")
    path = user_path("--config", text)
    if path.is_file():
        return path, variant
    folder = shipped_configs()
    known = {
        file.stem: file
        for file in sorted(folder.glob("*.py"))
        if file.stem not in ("common", "__init__")
    }
    if text in known:
        return known[text], variant
    near = difflib.get_close_matches(path.stem, known, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ConfigError(
        f"--config={text!r} is no file and no shipped configuration{hint}; give one of "
        f"{', '.join(known)}, or the path of a file"
    )


def shipped_configs() -> Path:
    """The folder of the shipped configurations: a clone's, or the installed one."""
    package = Path(__file__).resolve().parents[1]
    installed = package / _PACKAGE
    return installed if installed.is_dir() else package.parent / _PACKAGE


def _check_keys(argv: Sequence[str], config: ConfigDict, name: str) -> None:
    """Raise ConfigError with the nearest key for an override of no key."""
    known = list(_keys(config))
    for argument in argv:
        flag, _, _ = argument.partition("=")
        for prefix in ("--config.", "--noconfig."):
            if flag.startswith(prefix) and flag[len(prefix) :] not in known:
                key = flag[len(prefix) :]
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.3)
                hint = f"; did you mean config.{near[0]}?" if near else ""
                raise ConfigError(f"config.{key} is no key of {name}{hint}")


def _names_as_strings(argument: str) -> str:
    """Quote names that look like numbers: 1, 007 and 1e3 may be class folders."""
    flag, equals, value = argument.partition("=")
    if flag != f"--{_CLASS_NAMES}" or not equals:
        return argument
    try:
        given = ast.literal_eval(value)
    except ValueError:  # bare names: ml_collections takes them as they are
        return argument
    except SyntaxError:  # numbers with leading zeros
        given = None
    items = given if isinstance(given, tuple | list) else (given,)
    if given is not None and all(isinstance(item, str) for item in items):
        return argument
    bare = value.strip().removeprefix("(").removesuffix(")")
    names = tuple(n.strip().strip("'\"") for n in bare.split(",") if n.strip())
    return f"{flag}={names!r}"


def load_config(path: Path, variant: str = "") -> ConfigDict:
    """Execute a configuration file and return get_config(variant).

    `from configs import common` in it takes a file beside it, or a shipped one. The
    folder above the file's own joins the import path.

    Raises:
        ConfigError: no such file, no `get_config` in it, or an error inside it.
    """
    if not path.is_file():
        raise ConfigError(
            f"--config={str(path)!r} is no file; the configurations are in configs/"
        )
    spec = importlib.util.spec_from_file_location("bmjax_config", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--config={str(path)!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    with _configs_importable(path.resolve().parent):
        try:
            spec.loader.exec_module(module)
            get_config = module.get_config
        except AttributeError:
            raise ConfigError(
                f"--config={str(path)!r} defines no get_config(variant)"
            ) from None
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"--config={str(path)!r} fails with {type(error).__name__}: {error}"
            ) from None
        try:
            config = get_config(variant)
        except SystemExit as error:
            raise ConfigError(
                f"--config={str(path)!r} fails with SystemExit: {error}"
            ) from None
        except Exception as error:
            raise ConfigError(f"--config={str(path)!r}: {error}") from None
    if not isinstance(config, ConfigDict) or isinstance(config, FrozenConfigDict):
        raise ConfigError(
            f"--config={str(path)!r}: get_config(variant) gives a "
            f"{type(config).__name__}, expected a ConfigDict of ml_collections"
        )
    return config


@contextlib.contextmanager
def _configs_importable(folder: Path) -> Iterator[None]:
    """Make `configs` the file's own folder and the shipped one, while it is executed.

    Another `configs` on the import path, such as one of the user's project, neither
    gets in the way nor is replaced.
    """
    shipped = shipped_configs()
    if folder != shipped and str(folder.parent) not in sys.path:
        sys.path.append(str(folder.parent))
    before = {name: sys.modules.pop(name) for name in _config_modules()}
    package = ModuleType(_PACKAGE)
    package.__path__ = list(dict.fromkeys([str(folder), str(shipped)]))
    sys.modules[_PACKAGE] = package
    try:
        yield
    finally:
        for name in _config_modules():
            del sys.modules[name]
        sys.modules.update(before)


def _config_modules() -> list[str]:
    return [n for n in sys.modules if n == _PACKAGE or n.startswith(f"{_PACKAGE}.")]


def _keys(config: ConfigDict, prefix: str = ""):
    for key, value in config.items():
        yield prefix + key
        if isinstance(value, ConfigDict):
            yield from _keys(value, f"{prefix}{key}.")


def _sentence(error: Exception) -> str:
    text = str(error).splitlines()[0]
    if isinstance(error, flags.UnrecognizedFlagError):
        return f"--{error.flagname} is no option; --help lists them"
    return text.replace("flag --config.", "config.")
