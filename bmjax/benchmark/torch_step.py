"""The peer: the same networks in plain PyTorch, channels last. Imports torch alone.

Started by `bmjax.benchmark.peer`; reads a task, then a number of steps and what is to
be done in each ("train", "predict" or "peak"), a line at a time, from standard input,
and answers with seconds. Residual networks are torchvision's, written out, and vision
transformers stand in `bmjax.benchmark.torch_vit`; the steps are those that
`bmjax.benchmark.against_torch` makes on the other side: images lie ready in memory,
normalized, and stay the same.
"""

import json
import math
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bmjax.benchmark.torch_vit import TorchAttention, TorchVit


def main() -> None:
    """Answer until standard input ends."""
    task = json.loads(sys.stdin.readline())
    if task["device"] == "cpu":
        torch.set_num_threads(task["threads"])
    set_precision(task)
    torch.manual_seed(0)
    jobs, flops = make_jobs(task)
    wait = torch.cuda.synchronize if task["device"] == "cuda" else lambda: None
    _say({"versions": {"torch": torch.__version__}, "flops": flops})
    for line in sys.stdin:
        steps, name = line.split()
        jobs[name]()
        wait()
        started = time.perf_counter()
        for _ in range(int(steps)):
            jobs[name]()
        wait()
        _say({"seconds": time.perf_counter() - started})


def set_precision(task: dict) -> None:
    """Multiply float32 numbers as the task says, and let cuDNN look for its fastest."""
    fast = task["precision"] != "float32"
    torch.backends.cuda.matmul.allow_tf32 = fast
    torch.backends.cudnn.allow_tf32 = fast
    torch.backends.cudnn.benchmark = True


def count_torch_flops(backbone: nn.Module, images: Tensor) -> dict[str, int]:
    """Useful operations of a train step and of inference on one view.

    Those of convolutions and matrix products alone, which are all but a hundredth; a
    multiplication and its addition are two. Backward takes twice the forward pass, the
    first layer's once: no gradient of images is wanted.
    """
    forward = []

    def note(layer: nn.Module, _, output: Tensor) -> None:
        if isinstance(layer, TorchAttention):  # scores, and the mean by them
            forward.append(4 * output.numel() * output.shape[1])
        else:
            forward.append(2 * output.numel() * layer.weight[0].numel())

    counted = (nn.Conv2d, nn.Linear, TorchAttention)
    layers = [module for module in backbone.modules() if isinstance(module, counted)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.inference_mode():
        backbone(images)
    for hook in hooks:
        hook.remove()
    return {"train": 3 * sum(forward) - forward[0], "predict": sum(forward)}


def make_jobs(task: dict) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    """Build the network; return what can be asked for, each a step, and operations.

    Args:
        task: "kind" ("resnet" or "vit"), "network" (a `ResNetSpec` or a `VitSpec` as a
            dict), "size", "batch_size", "classes", "optimizer" and, for SwAV, "swav";
            "device", "precision" and "compiled" as `bmjax.benchmark.against_torch`
            explains them.
    """
    layout, device = torch.channels_last, torch.device(task["device"])
    mixed = torch.autocast(
        task["device"], torch.bfloat16, enabled=task["precision"] == "bfloat16"
    )
    if task["kind"] == "vit":
        backbone = TorchVit(task["network"], task["size"])
    else:
        backbone = TorchResNet(task["network"])
    shape = (task["batch_size"], 3, task["size"], task["size"])
    if task["swav"]:
        learner = Swav(backbone, task["swav"])
        views = [torch.randn(shape).to(device, memory_format=layout) for _ in range(2)]
    else:
        learner = Classifier(backbone, task["classes"])
        views = [torch.randn(shape).to(device, memory_format=layout)]
        labels = torch.arange(task["batch_size"], device=device) % task["classes"]
    learner = learner.to(device, memory_format=layout)
    flops = count_torch_flops(backbone, views[0])
    flops["train"] *= len(views)
    if task["compiled"]:
        backbone.compile()
    optimizer = torch_optimizer(learner, task["optimizer"])

    def train() -> None:
        learner.train()
        optimizer.zero_grad(set_to_none=True)
        with mixed:
            loss = learner(views) if task["swav"] else learner(views, labels)
        loss.backward()
        if task["optimizer"]["larc_trust"]:
            adapt(list(learner.parameters()), **task["optimizer"])
        optimizer.step()
        if task["swav"]:
            learner.after_update()

    @torch.inference_mode()
    def predict() -> Tensor:
        learner.eval()
        with mixed:
            return backbone(views[0])

    matrix = torch.randn(task["peak"], task["peak"], device=device)
    if task["precision"] == "bfloat16":
        matrix = matrix.bfloat16()
    return {
        "train": train,
        "predict": predict,
        "peak": lambda: matrix @ matrix,
    }, flops


def torch_optimizer(learner: nn.Module, numbers: dict) -> torch.optim.Optimizer:
    """The configuration's, "sgd" or "adamw"."""
    params, rate = learner.parameters(), numbers["learning_rate"]
    decay = 0.0 if numbers["larc_trust"] else numbers["weight_decay"]
    if numbers["name"] == "adamw":
        return torch.optim.AdamW(
            params, lr=rate, betas=numbers["betas"], weight_decay=decay, fused=True
        )
    return torch.optim.SGD(
        params, lr=rate, momentum=numbers["momentum"], weight_decay=decay
    )


@torch.no_grad()
def adapt(
    params: list[Tensor], *, larc_trust: float, weight_decay: float, **_: object
) -> None:
    """LARC without clipping on the gradients, one array at a time."""
    gradients = [param.grad for param in params]
    sizes, slopes = torch._foreach_norm(params), torch._foreach_norm(gradients)
    for param, gradient, size, slope in zip(
        params, gradients, sizes, slopes, strict=True
    ):
        if size > 0 and slope > 0:
            rate = larc_trust * size / (slope + weight_decay * size + 1e-8)
            gradient.add_(param, alpha=weight_decay).mul_(rate)


class Classifier(nn.Module):
    """Cross-entropy on the logits of a linear layer."""

    def __init__(self, backbone: nn.Module, classes: int):
        super().__init__()
        self.backbone = backbone
        self.fc = nn.Linear(backbone.features, classes)

    def forward(self, views: list[Tensor], labels: Tensor) -> Tensor:
        """Images in, loss out."""
        return F.cross_entropy(self.fc(self.backbone(views[0])), labels)


class Swav(nn.Module):
    """SwAV on two views: a linear head, prototypes, a queue that is full, Sinkhorn."""

    def __init__(self, backbone: nn.Module, numbers: dict):
        super().__init__()
        self.backbone, self.numbers = backbone, numbers
        dim = numbers["embedding_dim"]
        self.head = nn.Linear(backbone.features, dim)
        self.prototypes = nn.Linear(dim, numbers["prototypes"], bias=False)
        queue = F.normalize(torch.randn(2, numbers["queue_length"], dim), dim=-1)
        self.register_buffer("queue", queue)
        self.after_update()

    def forward(self, views: list[Tensor]) -> Tensor:
        """Two views of a batch in, loss out; the queue moves on."""
        batch = len(views[0])
        embeddings = F.normalize(self.head(self.backbone(torch.cat(views))), dim=-1)
        scores = self.prototypes(embeddings)
        temperature = self.numbers["temperature"]
        pairs = list(zip(embeddings.split(batch), scores.split(batch), strict=True))
        loss = 0.0
        for view, (embedding, score) in enumerate(pairs):
            with torch.no_grad():
                old = self.queue[view] @ self.prototypes.weight.T
                codes = self.sinkhorn(torch.cat([score, old]))[:batch]
                kept = self.queue[view, : self.queue.shape[1] - batch].clone()
                self.queue[view] = torch.cat([embedding, kept])
            prediction = F.log_softmax(pairs[1 - view][1] / temperature, dim=-1)
            loss = loss - (codes * prediction).sum(dim=-1).mean() / 2
        return loss

    def sinkhorn(self, scores: Tensor) -> Tensor:
        """Codes of scores [B, K], each row of sum 1; on logarithms, as on our side."""
        rows, columns = scores.shape
        logs = scores.float() / self.numbers["epsilon"]
        logs -= torch.logsumexp(logs.flatten(), dim=0)
        for _ in range(self.numbers["iterations"]):
            logs -= torch.logsumexp(logs, dim=0, keepdim=True) + math.log(columns)
            logs -= torch.logsumexp(logs, dim=1, keepdim=True) + math.log(rows)
        return logs.exp_() * rows

    @torch.no_grad()
    def after_update(self) -> None:
        """Bring the prototypes back to length 1."""
        weight = self.prototypes.weight
        weight.copy_(F.normalize(weight, dim=-1))


class TorchResNet(nn.Module):
    """Stem, stages of blocks, global average pooling."""

    def __init__(self, spec: dict):
        super().__init__()
        width, expansion = spec["width"], 4 if spec["bottleneck"] else 1
        size, stride = (3, 1) if spec["small_stem"] else (7, 2)
        layers = [*_conv(3, width, size, stride=stride), nn.ReLU(inplace=True)]
        if not spec["small_stem"]:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        channels = width
        for stage, blocks in enumerate(spec["stage_sizes"]):
            outputs = width * 2**stage * expansion
            inner = spec["groups"] * spec["group_width"] * 2**stage
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                layers.append(TorchBottleneck(channels, outputs, inner, stride, spec))
                channels = outputs
        self.layers = nn.Sequential(*layers)
        self.features = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] in, features [B, F] out."""
        return self.layers(images).mean(dim=(2, 3))


class TorchBottleneck(nn.Module):
    """A basic block or a bottleneck, with its shortcut."""

    def __init__(self, inputs: int, outputs: int, inner: int, stride: int, spec: dict):
        super().__init__()
        if spec["bottleneck"]:
            layers = [
                *_conv(inputs, inner, 1),
                nn.ReLU(inplace=True),
                *_conv(inner, inner, 3, stride=stride, groups=spec["groups"]),
                nn.ReLU(inplace=True),
                *_conv(inner, outputs, 1),
            ]
        else:
            layers = [
                *_conv(inputs, outputs, 3, stride=stride),
                nn.ReLU(inplace=True),
                *_conv(outputs, outputs, 3),
            ]
        self.layers = nn.Sequential(*layers)
        changes = stride > 1 or inputs != outputs
        shortcut = _conv(inputs, outputs, 1, stride=stride) if changes else ()
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, images: Tensor) -> Tensor:
        """Images in, images out."""
        return F.relu(self.layers(images) + self.shortcut(images), inplace=True)


def _conv(inputs: int, outputs: int, size: int, *, stride: int = 1, groups: int = 1):
    return (
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


def _say(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
