"""The figures of a benchmark: what each key of its JSON line means."""

import textwrap
from collections.abc import Iterator
from typing import NamedTuple


class Figure(NamedTuple):
    """One key of the JSON line."""

    key: str
    label: str
    unit: str  # as `table` shows them; "" for none
    meaning: str


# Rates and ratios are medians over the turns; KEY_spread beside them is (largest -
# smallest) / median.
FIGURES = {
    "What": (
        Figure("method", "method", "", "config.method.name"),
        Figure("network", "network", "", "config.model.name"),
        Figure("convolutions", "convolutions", "", "config.model.convolutions"),
        Figure("dtype", "type of the activations", "", "config.model.dtype"),
        Figure("remat", "remat", "", "config.model.remat"),
        Figure("accumulate", "chunks of a batch", "", "config.train.accumulate"),
        Figure("batch_size", "images a step", "", "over all devices"),
        Figure("size", "pixels of an image", "", "side of what the host hands over"),
        Figure("views", "views, count x pixels", "", "[count, side] of each size"),
        Figure("classes", "classes", "", "of the data, or of the release"),
        Figure("threads", "threads", "", "that decode, or of both sides' compute"),
        Figure("workers", "processes that decode", "", "config.data.workers"),
        Figure("devices", "devices", "", "in the mesh"),
        Figure("platform", "platform", "", "cpu, gpu or tpu"),
        Figure("device_kind", "kind of device", "", "its maker's name for it"),
        Figure("processor", "processor", "", "of the host, with its vectors"),
        Figure("versions", "versions", "", "of Python, jax and jaxlib"),
    ),
    "Speed": (
        Figure(
            "images_per_second",
            "the compiled step",
            "images/s",
            "the step alone on one batch that stays on the devices",
        ),
        Figure("step_seconds", "a step takes", "s", "batch_size / images_per_second"),
        Figure(
            "useful_flops_per_second",
            "useful operations",
            "flop/s",
            "useful_flops / step_seconds",
        ),
        Figure(
            "matmul_flops_per_second",
            "a large matrix product",
            "flop/s",
            "on the same devices in turns with the step, in config.model.dtype",
        ),
        Figure(
            "peak_fraction",
            "share of the product's speed",
            "ratio",
            "useful operations a second over those of the matrix product, turn by turn",
        ),
        Figure(
            "loop_images_per_second",
            "the loop on data",
            "images/s",
            "--loop: decoding, transfer and step; --saving: the same on noise",
        ),
        Figure(
            "loop_over_step", "loop over step", "ratio", "--loop: of neighboring turns"
        ),
        Figure("compile_seconds", "compiling", "s", "the step's program"),
        Figure(
            "compiled_from_cache",
            "  from the cache",
            "",
            "whether it was compiled before, and only read",
        ),
    ),
    "Operations of a step": (
        Figure(
            "useful_flops",
            "useful",
            "flop",
            "multiplications and additions of convolutions and matrix products in "
            "network and loss, on all views and devices: a layer's forward pass and "
            "twice that backward, once for the first, none for what is frozen; by the "
            "network's shapes, whatever the lowering",
        ),
        Figure(
            "xla_flops",
            "XLA's count",
            "flop",
            "of all that the compiled program does, over all devices; loops once",
        ),
    ),
    "Memory on each device": (
        Figure(
            "temporary_bytes", "temporaries", "bytes", "that the step holds at once"
        ),
        Figure("argument_bytes", "arguments", "bytes", "state and batch"),
        Figure(
            "donated_bytes",
            "of them given away",
            "bytes",
            "arguments whose place the results take",
        ),
        Figure(
            "peak_memory_bytes",
            "the most held",
            "bytes",
            "in this run, by the fullest device or, where those do not tell, resident "
            "in this process",
        ),
        Figure("peak_memory_of", "  held by", "", "device or process"),
    ),
    "Collectives of a step": (
        Figure(
            "collectives",
            "collectives",
            "",
            "from the compiled program, by kind: count, and bytes of the results on "
            "one device",
        ),
    ),
    "Saving (--saving)": (
        Figure(
            "save_seconds",
            "a save takes",
            "s",
            "what it adds to the loop: digests of the state and of the files, writing, "
            "and removing an older one",
        ),
        Figure(
            "saving_over_loop",
            "one save in these steps",
            "ratio",
            "speed of the loop with a save at its end over that without, turn by turn",
        ),
        Figure("steps_per_epoch", "steps an epoch", "", "of the data"),
        Figure(
            "epoch_saving_over_loop",
            "one save an epoch",
            "ratio",
            "speed with one save in as many steps as an epoch has over that without, "
            "by the same measurements",
        ),
        Figure("checkpoint_bytes", "a checkpoint", "bytes", "on the disk"),
        Figure(
            "verify_seconds",
            "verifying it takes",
            "s",
            "that it is whole: the digests of all files, which lie in the memory",
        ),
    ),
    "Loader (--loader)": (
        Figure(
            "decode_images_per_second",
            "bare decoding",
            "images/s",
            "reading and decoding the same images in as many threads, nothing else",
        ),
        Figure("loader_images_per_second", "the loader", "images/s", "batches, warm"),
        Figure("loader_over_decode", "loader over decoding", "ratio", "turn by turn"),
        Figure(
            "torch_images_per_second",
            "torch's DataLoader",
            "images/s",
            "--python: Pillow, two workers",
        ),
        Figure("loader_over_torch", "loader over torch's", "ratio", "turn by turn"),
        Figure(
            "augment_on_device_images_per_second",
            "augmentation",
            "images/s",
            "of all views, on the devices",
        ),
        Figure("index_microseconds", "one index", "us", "of balanced sampling"),
        Figure("resident_megabytes", "resident memory", "MB", "of this process"),
        Figure(
            "epoch_growth_megabytes",
            "  grown by",
            "MB",
            "from a tenth of an epoch to its end",
        ),
        Figure("peer", "peer", "", "versions of torch and Pillow"),
    ),
    "Beside PyTorch (--compare=torch)": (
        Figure(
            "train_images_per_second",
            "train step",
            "images/s",
            "the step without augmentation, on images that lie ready",
        ),
        Figure("torch_train_images_per_second", "  torch's", "images/s", "the same"),
        Figure("train_over_torch", "  ours over torch's", "ratio", "turn by turn"),
        Figure(
            "predict_images_per_second",
            "inference",
            "images/s",
            "batch norm folded into the convolutions",
        ),
        Figure("torch_predict_images_per_second", "  torch's", "images/s", "the same"),
        Figure("predict_over_torch", "  ours over torch's", "ratio", "turn by turn"),
        Figure("peak_gigaflops", "matrix product", "GFLOP/s", "ours"),
        Figure("torch_peak_gigaflops", "  torch's", "GFLOP/s", "the same product"),
        Figure(
            "train_peak_fraction", "train step's share of it", "ratio", "useful, ours"
        ),
        Figure("torch_train_peak_fraction", "  torch's", "ratio", "useful, of its own"),
        Figure(
            "predict_peak_fraction", "inference's share of it", "ratio", "useful, ours"
        ),
        Figure(
            "torch_predict_peak_fraction", "  torch's", "ratio", "useful, of its own"
        ),
        Figure(
            "augmentation_over_train", "augmentation over step", "ratio", "of all views"
        ),
        Figure("loss_over_train", "the loss over step", "ratio", "of what couples"),
    ),
    "Trust": (
        Figure("time", "begun", "", "UTC"),
        Figure("steps", "steps a turn", "", "--steps"),
        Figure("turns", "turns", "", "--turns"),
        Figure("noisy", "noisy", "", "whether a rate's spread is above 0.2"),
    ),
}


def key_lines() -> Iterator[str]:
    """What each key of the JSON line means, for --help."""
    width = max(len(figure.key) for group in FIGURES.values() for figure in group) + 4
    for title, group in FIGURES.items():
        yield f"\n{title}"
        for figure in group:
            unit = f" ({figure.unit})" if figure.unit else ""
            yield textwrap.fill(
                figure.meaning + unit,
                width=80,
                initial_indent=f"  {figure.key}".ljust(width),
                subsequent_indent=" " * width,
            )
