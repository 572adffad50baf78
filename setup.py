"""The packages of the wheel; all else is in pyproject.toml.

The configurations stay at the top of a clone, where they are read, and are installed as
`bmjax.configs`, where `bmjax train --config=swav` finds them.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["bmjax", "bmjax.*"]), "bmjax.configs"],
    package_dir={"bmjax.configs": "configs"},
)
