"""The configuration that a part measures, at the paper's size or very small."""

from typing import Any

from ml_collections import ConfigDict

from bmjax.run.command_line import find_config, load_config


def part_config(task: dict[str, Any]) -> ConfigDict:
    """The configuration of a task: its method, precision and overrides.

    The network's size of an override is the paper's and is left out where all is small.
    """
    options, small = task["options"], task["scale"] == "small"
    path, _ = find_config(options["config"])
    config = load_config(path, "smoke" if small else "")
    config.data.root = ""
    config.mesh.devices = task["devices"]
    if options["precision"] == "bfloat16":
        config.model.dtype = "bfloat16"
    else:
        config.train.precision = options["precision"]
    for key, value in options.get("overrides", {}).items():
        if not (small and key == "model.name"):
            config.update_from_flattened_dict({key: value})
    return config
