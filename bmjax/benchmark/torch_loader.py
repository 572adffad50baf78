"""The peer: torch's DataLoader as most people write it. Imports torch and Pillow alone.

Started by `bmjax.benchmark.peer`; reads a task, then numbers of batches, from standard
input, and answers with seconds.
"""

import json
import random
import sys
import time

_WORKERS = 2


def main() -> None:
    """Answer until standard input ends."""
    import PIL
    import torch

    torch.set_num_threads(1)
    task = json.loads(sys.stdin.readline())
    loader = torch.utils.data.DataLoader(
        _Cells(task),
        batch_size=task["batch_size"],
        shuffle=True,
        drop_last=True,
        num_workers=_WORKERS,
        persistent_workers=True,
    )
    _say({"versions": {"torch": torch.__version__, "Pillow": PIL.__version__}})
    for line in sys.stdin:
        _say({"seconds": _seconds(loader, int(line))})


def _seconds(loader, steps: int) -> float:
    """Time `steps` batches of one pass, warm, and let the workers come to rest."""
    batches = iter(loader)
    next(batches)
    started = time.perf_counter()
    for _ in range(steps):
        try:
            next(batches)
        except StopIteration:
            batches = iter(loader)
            next(batches)
    seconds = time.perf_counter() - started
    for _ in batches:
        pass
    return seconds


def _say(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


class _Cells:
    """Decode, crop, flip, to float, normalize: on the host, image by image."""

    def __init__(self, task: dict):
        import torch

        self.task = task
        self.mean = torch.tensor(task["mean"])[:, None, None]
        self.std = torch.tensor(task["std"])[:, None, None]

    def __len__(self) -> int:
        return len(self.task["paths"])

    def __getitem__(self, index: int):
        import numpy as np
        import torch
        from PIL import Image

        task = self.task
        image = Image.open(task["paths"][index]).convert("RGB")
        side = random.uniform(*task["scale"]) ** 0.5
        width, height = (max(1, round(side * length)) for length in image.size)
        left = random.randint(0, image.size[0] - width)
        top = random.randint(0, image.size[1] - height)
        image = image.resize(
            (task["size"], task["size"]),
            Image.Resampling.BILINEAR,
            box=(left, top, left + width, top + height),
        )
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return (pixels - self.mean) / self.std, task["labels"][index]


if __name__ == "__main__":
    main()
