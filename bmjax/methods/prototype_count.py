"""Whether there are more prototypes than images to share among them."""


def too_many_prototypes(prototypes: int, images: int) -> list[str]:
    """A sentence where a method has more prototypes than training images.

    Args:
        prototypes: config.method.prototypes.
        images: that train.
    """
    if prototypes <= images:
        return []
    return [
        f"config.method.prototypes = {prototypes:,} is more than the {images:,} "
        "training images, so that many of them can be no image's; use fewer"
    ]
