"""The few types that everything shares, and the legend of shape letters.

B batch, V views of an image, H W C height width channels, D embedding dimension,
N classes, K prototypes, Q queue length. `pixels` are uint8, `images` are float; both
are NHWC. `labels` are int [B], `targets` float [B, N]; `scores` are embeddings @
prototypes and `codes` what Sinkhorn makes of them; `key` is one random key.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array

Tree = Any  # a pytree of arrays


class Batch(NamedTuple):
    """What the host hands to the devices."""

    pixels: Array  # uint8 [B, H, W, C]
    labels: Array  # int32 [B]


class Views(NamedTuple):
    """What a method sees of a batch after augmentation on the device.

    Views of one size stand together; a method with small and large crops has two
    entries. The batch axis is always first, so that sharding over it survives.
    """

    images: tuple[Array, ...]  # each float [B, V, H, W, C], normalized
    labels: Array  # int32 [B]
    targets: Array | None = None  # float [B, N], for methods that mix labels
    # bool [B, V, rows, columns], patches of the first views, for methods that hide some
    masks: Array | None = None


class Network(NamedTuple):
    """A network as two pure functions.

    `init(key, images) -> (params, batch_stats)`.
    `apply(params, batch_stats, images, *, train, key=None) -> (outputs, batch_stats)`,
    where images is float [B, H, W, C] or a tuple of such arrays of several sizes (the
    backbone then runs once for each and the head once on all features, in order), and
    outputs holds `features` [B, F] and, by head, `embeddings` [B, D] and `logits`
    [B, N]. The batch statistics are what belongs to a network and is not trained by
    gradients: running means, masks, periods of rotary positions; {} where there is
    nothing. With `train` false they come back unchanged. `key` is for networks that
    draw in training (stochastic depth); the others ignore it, and without one nothing
    is drawn.

    A network that cuts images into patches, and whose features are its class token's,
    has a side of these in pixels, `patch`, and

    `tokens(params, batch_stats, images, *, train, key=None, mask=None,
    mask_token=None) -> (class_tokens [B, F], patches [B, rows * columns, F],
    batch_stats)`, for images [B, H, W, C] of one size; `mask_token` [F, 1] stands in
    the place of the patches where `mask`, bool [B, rows, columns], is true;
    `project(params, tokens) -> embeddings [n, D]`, its head on any tokens [n, F], for
    heads without statistics of a batch.
    """

    init: Callable[..., tuple[Tree, Tree]]
    apply: Callable[..., tuple[dict[str, Array], Tree]]
    num_classes: int = 0  # N of the classifier; 0: it has none
    patch: int = 0  # 0: no patches, and neither of the two below
    tokens: Callable[..., tuple[Array, Array, Tree]] | None = None
    project: Callable[[Tree, Array], Array] | None = None


def _unchanged(params: Tree, state: Tree, step: Array) -> tuple[Tree, Tree]:
    del step
    return params, state


class Method(NamedTuple):
    """A way to learn, as pure functions; `bmjax/methods` has one file for each.

    init(key, views)                                   -> params, batch_stats, state
    views(key, batch)                                  -> Views
    embed(key, params, batch_stats, state, views)      -> embeddings, batch_stats
    loss(params, embeddings, state, views, step)       -> scalar, (state, metrics)
    predict(params, batch_stats, images)               -> {"features", "logits"?, ...}
    after_update(params, state, step)                  -> params, state

    `embed` is the heavy part and works image by image (batch norm apart); what it gives
    is an array or a tree of arrays, batch first. `loss` is light and may couple the
    whole batch. So a step may embed a batch in chunks, each with a key of its own.
    `step` is the number of updates made so far. `after_update` is where prototypes get
    length 1 and teachers move; most methods have none. `frozen` names parameters that
    are never trained, as "network.backbone".
    """

    init: Callable[..., tuple[Tree, Tree, Tree]]
    views: Callable[..., Views]
    embed: Callable[..., tuple[Tree, Tree]]
    loss: Callable[..., tuple[Array, tuple[Tree, dict[str, Array]]]]
    predict: Callable[..., dict[str, Array]]
    after_update: Callable[..., tuple[Tree, Tree]] = _unchanged
    frozen: tuple[str, ...] = ()
