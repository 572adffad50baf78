"""Validate a configuration before touching data or devices."""

from ml_collections import ConfigDict

from bmjax.data.images.folder import TCIA
from bmjax.data.splits.make_split import check_split
from bmjax.errors import ConfigError, check_known
from bmjax.files import user_path
from bmjax.methods import METHODS
from bmjax.methods.spec import MethodSpec
from bmjax.models import check_image_size, has_class_features, spec_of
from bmjax.models.weight_files.networks_in_file import split_address
from bmjax.run.class_lineages import check_lineages
from bmjax.run.run_settings import Settings, read_config
from bmjax.run.validation_settings import check_validation


def validate(config: ConfigDict) -> Settings:
    """Return the settings, or raise ConfigError for all that can be seen wrong in them.

    A value that fails only at the end of a run costs the run, so what evaluation needs
    is looked at here too.
    """
    settings = read_config(config)
    spec = METHODS[settings.method_name]
    check_known("config.model.head", settings.model.head, spec.heads)
    check_lineages(settings.model.lineages, settings.model.head)
    model = settings.model
    spec_of(
        model.name,
        pooling=model.pooling,
        interpolation=model.interpolation,
        drop_path=model.drop_path,
    )
    data, augment = settings.data, settings.augment
    sizes = {"data.size": data.size, "augment.large_size": augment.large_size}
    if augment.small:
        sizes["augment.small_size"] = augment.small_size
    for key, size in sizes.items():
        check_image_size(settings.model.name, size, f"config.{key}")
    check_split(data.split, data.fold)
    check_validation(settings)
    if data.couples and data.batch_size % 2:
        raise ConfigError(
            f"config.data.couples puts images in twos, and config.data.batch_size = "
            f"{data.batch_size} is odd; use an even one"
        )
    _check_method(settings, spec)
    start, _ = split_address(user_path("config.init_from", settings.init_from))
    if settings.init_from and not start.exists():
        raise ConfigError(
            f"config.init_from = {settings.init_from!r} does not exist; give the "
            "workdir of a trained run, or a file of weights (.safetensors, .pth)"
        )
    if not (data.root or data.synthetic_images):
        raise ConfigError(
            f"config.data.root is empty; give a folder of images, such as {TCIA}, with "
            "--config.data.root=FOLDER, make synthetic cells with python -m bmjax.data "
            "synthesize, or run the variant :demo, which needs no data"
        )
    return settings


def _check_method(settings: Settings, spec: MethodSpec) -> None:
    name = settings.method_name
    if settings.data.pretrain_on == "all" and spec.uses_labels:
        without = ", ".join(n for n, other in METHODS.items() if not other.uses_labels)
        raise ConfigError(
            f"config.data.pretrain_on = 'all' would show {name} the labels of the test "
            f"images; use 'train', or a method without labels ({without})"
        )
    if settings.augment.large < spec.large_views:
        raise ConfigError(
            f"config.augment.large = {settings.augment.large}, but {name} compares "
            f"large views; use {spec.large_views}"
        )
    model = settings.model
    if spec.needs_patches and not has_class_features(model.name, model.pooling):
        raise ConfigError(
            f"{name} hides patches and learns from class tokens, and config.model.name "
            f"= {model.name!r} with config.model.pooling = {model.pooling!r} gives no "
            "class token as features; use a vision transformer, such as "
            "'dinov2_vits14', with pooling 'cls'"
        )
    spec.check(settings.method, settings.data.batch_size)
