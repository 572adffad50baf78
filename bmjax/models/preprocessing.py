"""What images must be like for the weights of a network: part of the weights."""

from typing import NamedTuple

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Preprocessing(NamedTuple):
    """How pixels become a network's images.

    Attributes:
      size: height and width, pixels.
      resize: the kernel for images of another size, one of
        `bmjax.data.images.resize.RESIZES`.
      mean: of each channel, red, green, blue, of values in 0 to 1.
      std: deviation of each channel.
    """

    size: int
    resize: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


# torchvision's presets (transforms/_presets.py), with which its and SwAV's residual
# networks are trained; DinoBloom's evaluation of marrow cells (dinov2/eval/utils.py).
FOR_TORCHVISION = Preprocessing(224, "bilinear", *_IMAGENET)
FOR_DINOBLOOM = FOR_TORCHVISION
# DINOv2's evaluation (dinov2/data/transforms.py), without its crop from 256 pixels.
FOR_DINOV2 = Preprocessing(224, "bicubic", *_IMAGENET)
# DINOv3's for web images (README.md of facebookresearch/dinov3).
FOR_DINOV3 = Preprocessing(224, "bilinear", *_IMAGENET)
# timm's for its plain vision transformers (vision_transformer.py, default_cfgs).
FOR_TIMM_VIT = Preprocessing(224, "bicubic", *_HALF)
