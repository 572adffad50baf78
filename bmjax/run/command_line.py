"""The command line: a configuration file, its overrides, and what can be wrong."""

import difflib
import importlib.util
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from bmjax.errors import ConfigError


def read_flags(argv: Sequence[str]) -> tuple[ConfigDict, Path]:
    """Read --config, --workdir and the overrides.

    Args:
        argv: arguments without the program's name.

    Returns:
        the configuration, locked, and the workdir, absolute.

    Raises:
        ConfigError: anything that a user can get wrong here.
    """
    values = flags.FlagValues()
    holder = config_flags.DEFINE_config_file(
        "config", None, "configuration file", flag_values=values, lock_config=True
    )
    flags.DEFINE_string("workdir", None, "folder of the run", flag_values=values)
    _check_config(argv)
    try:
        # ml_collections looks for overrides in sys.argv itself.
        before, sys.argv = sys.argv, [sys.argv[0], *argv]
        rest = values(sys.argv)[1:]
    except flags.Error as error:
        raise ConfigError(_sentence(error, argv)) from None
    finally:
        sys.argv = before
    if rest:
        raise ConfigError(
            f"argument {rest[0]!r} is unexpected; overrides are written --config.key="
            "value"
        )
    if not values.workdir:
        raise ConfigError("--workdir is missing; give a folder of this run's own")
    return holder.value, Path(values.workdir).expanduser().absolute()


def _check_config(argv: Sequence[str]) -> None:
    """Load the file once by itself, so that each mistake gets its own sentence."""
    argv = list(argv)
    given = [a.partition("=")[2] for a in argv if a.startswith("--config=")]
    given += [after for a, after in pairwise(argv) if a == "--config"]
    if not given or not given[-1]:
        raise ConfigError(
            "--config is missing; give --config=configs/swav.py:demo for a first run"
        )
    name, _, variant = given[-1].partition(":")
    config = load_config(Path(name), variant)
    known = list(_keys(config))
    for argument in argv:
        flag, _, _ = argument.partition("=")
        for prefix in ("--config.", "--noconfig."):
            if flag.startswith(prefix) and flag[len(prefix) :] not in known:
                key = flag[len(prefix) :]
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.3)
                hint = f"; did you mean config.{near[0]}?" if near else ""
                raise ConfigError(f"config.{key} is no key of {name}{hint}")


def load_config(path: Path, variant: str = "") -> ConfigDict:
    """Execute a configuration file and return get_config(variant).

    The folder above the file's own joins the import path, for its `from configs
    import common`.

    Raises:
        ConfigError: no such file, no `get_config` in it, or an error inside it.
    """
    if not path.is_file():
        raise ConfigError(
            f"--config={str(path)!r} is no file; the configurations are in configs/"
        )
    above = str(path.resolve().parent.parent)
    if above not in sys.path:
        sys.path.append(above)
    spec = importlib.util.spec_from_file_location("bmjax_config", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--config={str(path)!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        get_config = module.get_config
    except AttributeError:
        raise ConfigError(
            f"--config={str(path)!r} defines no get_config(variant)"
        ) from None
    except Exception as error:
        raise ConfigError(
            f"--config={str(path)!r} fails with {type(error).__name__}: {error}"
        ) from None
    try:
        return get_config(variant)
    except Exception as error:
        raise ConfigError(f"--config={str(path)!r}: {error}") from None


def _keys(config: ConfigDict, prefix: str = ""):
    for key, value in config.items():
        yield prefix + key
        if isinstance(value, ConfigDict):
            yield from _keys(value, f"{prefix}{key}.")


def _sentence(error: Exception, argv: Sequence[str]) -> str:
    text = str(error).splitlines()[0]
    if "before a value for --config" in text:
        return "--config has to come before its overrides; write it first"
    if isinstance(error, flags.UnrecognizedFlagError):
        return f"--{error.flagname} is no option; --help lists them"
    return text.replace("flag --config.", "config.")
