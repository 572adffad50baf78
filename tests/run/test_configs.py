"""Configurations: the paper's numbers, and variants that say what they change."""

import importlib
from pathlib import Path

import pytest

from bmjax.errors import ConfigError
from bmjax.methods import METHODS
from bmjax.run.validate import validate

FOLDER = Path(__file__).parents[2] / "configs"
NAMES = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem[0] != "_")
NAMES.remove("common")


def load(name):
    return importlib.import_module(f"configs.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_is_possible_and_unknown_ones_are_refused(name):
    module = load(name)
    for variant in ("", *module.VARIANTS):
        config = module.get_config(variant)
        config.data.root = config.data.root or "somewhere"
        validate(config)
    with pytest.raises(ValueError, match=r'variant "huge" is unknown; use one of'):
        module.get_config("huge")


def test_every_method_has_a_configuration_of_its_name():
    assert {load(name).get_config().method.name for name in NAMES} == set(METHODS)
    assert set(METHODS) <= set(NAMES)


def test_the_papers_numbers_are_in_the_configurations():
    swav = load("swav").get_config()
    assert (swav.method.prototypes, swav.method.queue_length) == (1000, 1280)
    assert (swav.method.epsilon, swav.method.iterations) == (0.03, 3)
    assert (swav.data.batch_size, swav.train.duration) == (256, "200 epochs")
    assert (swav.method.queue_from, swav.optim.freeze_prototypes) == (
        "15 epochs",
        "2 epochs",
    )
    assert load("supcon").get_config().method.temperature == 0.2
    assert load("mixup").get_config().method.alpha == 0.1
    multicrop = load("swav").get_config("multicrop")
    sizes = (multicrop.augment.large_size, multicrop.augment.small_size)
    assert (multicrop.augment.large, multicrop.augment.small, sizes) == (
        2,
        6,
        (224, 96),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_follows_another_can_be_set_alone(name):
    followed = {
        ("augment", "large_size"): ("data", "size"),
        ("augment", "small_size"): ("data", "size"),
        ("optim", "final_weight_decay"): ("optim", "weight_decay"),
        ("method", "teacher_still_from"): ("train", "duration"),
    }
    for (section, key), (source_section, source) in followed.items():
        config = load(name).get_config()
        if key in config[section]:
            before = config[source_section][source]
            config[section][key] = "7 steps" if key == "teacher_still_from" else 7
            assert config[source_section][source] == before, f"{section}.{key}"


def test_as_run_is_a_quarter_of_everything_and_joins_with_20_epochs():
    plain = load("supervised").get_config()
    written = load("supervised").get_config("as_written")
    assert plain.to_dict() == written.to_dict()
    run = load("supervised").get_config("20epochs,as_run")
    assert run.data.batch_size * 4 == plain.data.batch_size
    assert run.data.per_class * 4 == plain.data.per_class
    assert (run.optim.hold, run.train.duration) == ("1 epoch", "20 epochs")
    assert run.data.split == "holdout"


def test_a_method_cannot_stand_on_a_head_it_does_not_use():
    for name in METHODS:
        config = load(name).get_config("smoke")
        is_classifier = config.model.head == "classifier"
        config.model.head = "mlp" if is_classifier else "classifier"
        with pytest.raises(ConfigError, match=r"config\.model\.head"):
            validate(config)
