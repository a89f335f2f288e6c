"""Students and teacher, each a few lines; all take images of any shape from 8 × 8 pixels on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from dtkd_opt.errors import UsageError
from dtkd_opt.runtime.compiler import import_compiler
from dtkd_opt.runtime.threads import torch_seed

Shape = tuple[int, int, int]  # channels, height, width


def _logreg(shape: Shape, classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), classes))


def _mlp(hidden: int, shape: Shape, classes: int) -> nn.Module:
    inner = nn.Linear(prod(shape), hidden)
    return nn.Sequential(nn.Flatten(), inner, nn.ReLU(), nn.Linear(hidden, classes))


def _lenet(shape: Shape, classes: int) -> nn.Module:
    """After LeCun, Bottou, Bengio, Haffner, "Gradient-based learning …", 1998, with one less layer.

    Small images leave no room for a second kernel of five.
    """
    kernel = 5 if min(shape[1:]) >= 16 else 3
    first, second = nn.Conv2d(shape[0], 6, 5, padding=2), nn.Conv2d(6, 16, kernel)
    return _with_head([first, *_pool(), second, *_pool()], shape, classes)


def _cnn(shape: Shape, classes: int) -> nn.Module:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        return [conv, nn.BatchNorm2d(outputs), *_pool()]

    return _with_head([*block(shape[0], 16), *block(16, 32)], shape, classes)


def _with_head(layers: list[nn.Module], shape: Shape, classes: int) -> nn.Module:
    """Features, and then a hidden layer of 64."""
    features = nn.Sequential(*layers, nn.Flatten())
    with torch.no_grad():
        flat = features.eval()(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(features, nn.Linear(flat, 64), nn.ReLU(), nn.Linear(64, classes)).train()


class _Block(nn.Module):
    """Basic residual block of He, Zhang, Ren, Sun, "Deep residual learning …", 2016."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, H, W) → (n, outputs, H / stride, W / stride)."""
        inner = relu(self.norm1(self.conv1(x)))
        outer: Tensor = self.norm2(self.conv2(inner)) + self.shortcut(x)
        return relu(outer)


def _resnet(width: int, shape: Shape, classes: int) -> nn.Module:
    """Eight layers with weights: a stem, three blocks, the last layer."""
    stem = nn.Conv2d(shape[0], width, 3, padding=1, bias=False)
    return nn.Sequential(
        *(stem, nn.BatchNorm2d(width), *_pool()),
        _Block(width, width, 1),
        _Block(width, 2 * width, 2),
        _Block(2 * width, 4 * width, 2),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes)),
    )


def _pool() -> list[nn.Module]:
    """The same as ReLU first, which commutes with a maximum, on a quarter of the numbers."""
    return [nn.MaxPool2d(2), nn.ReLU()]


_MAKERS: dict[str, Callable[[Shape, int], nn.Module]] = {
    "logreg": _logreg,
    "mlp16": partial(_mlp, 16),
    "mlp64": partial(_mlp, 64),
    "lenet_s": _lenet,
    "cnn_m": _cnn,
    "resnet8": partial(_resnet, 16),
    "teacher": partial(_resnet, 32),
}
TEACHER = "teacher"
STUDENTS = tuple(name for name in _MAKERS if name != TEACHER)


def build_network(name: str, shape: Shape, classes: int, seed: int) -> nn.Module:
    """A network of random weights that turns (n, C, H, W) images into (n, classes) logits.

    Parameters
    ----------
    name
        One of STUDENTS, or TEACHER.
    shape, classes
        Channels, height and width of the images; number of classes.
    seed
        Same seed, same weights. The state of torch's own generator is left as it was.

    Raises
    ------
    UsageError
        When no network has this name.
    """
    if name not in _MAKERS:
        raise UsageError(f"no student is named {name!r}; there are {', '.join(STUDENTS)}")
    import_compiler()  # before what trains a network, or counts its operations
    with torch_seed(seed):
        return _MAKERS[name](shape, classes)
