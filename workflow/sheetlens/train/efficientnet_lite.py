"""EfficientNet-Lite0, the backbone whose ImageNet weights are installed with the package.

Tan & Le 2019 (arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, as TensorFlow's `efficientnet/lite`
published it in 2020. The few layers stand here by hand, with the names of the weights' file: timm, which has them,
brings 42 MB and 1.7 s of imports, and these have none. Padding is TensorFlow's "same".
"""

import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from sheetlens.common.errors import UserError
from sheetlens.config.networks import INSTALLED
from sheetlens.train.cpu_layers import ours

# Blocks, kernel width, stride, expansion and output channels of the stages (table 1 of the paper).
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
STEM, HEAD, IMAGENET_CLASSES = 32, 1280, 1000
FIRST_READ = 3  # the first stage whose blocks are features: those of 16 pixels on a side and fewer, for sheets of 256
MIDDLE = (3, 4)  # the stages of 16 pixels on a side, the first that are read: what is no sheet at all is told by these
PIXELS = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}  # what the weights were trained with: (value - 127) / 128


class Same(nn.Conv2d):
    """A convolution with TensorFlow's padding: what is missing for whole strides, the odd pixel right and below."""

    def __init__(self, channels: int, width: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        """Take the channels it reads and gives, and its kernel's width, stride and groups."""
        super().__init__(channels, width, kernel, stride, groups=groups, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Convolve images, shape (n, channels, height, width)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in images.shape[2:])
        padded = functional.pad(images, (width // 2, width - width // 2, height // 2, height - height // 2))
        return functional.conv2d(padded, self.weight, None, self.stride, groups=self.groups)


class Fused(nn.Module):
    """A convolution with its normalisation, and ReLU6 or a sum behind it: one pass over memory where oneDNN has it."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, convolution: Same, normalisation: nn.BatchNorm2d, limited: bool) -> None:
        """Take the layers, and whether ReLU6 is behind them."""
        super().__init__()
        scale, shift, mean, variance = (
            getattr(normalisation, name) for name in ("weight", "bias", "running_mean", "running_var")
        )
        weight, bias = fuse_conv_bn_weights(convolution.weight, None, mean, variance, normalisation.eps, scale, shift)
        self.register_buffer("weight", weight.detach().contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias.detach())
        self.kernel, self.stride = convolution.kernel_size[0], convolution.stride[0]
        self.groups, self.limited = convolution.groups, limited

    def forward(self, images: torch.Tensor, summand: torch.Tensor | None = None) -> torch.Tensor:
        """Convolve images, shape (n, channels, height, width), and add the summand of the result's shape, if any."""
        # Padded by one more on all sides, the first line and column of a stride of 2 are too many: dropping them is a
        # quarter of the work of padding, which these layers otherwise leave to a copy.
        shifted = self.stride == 2 and images.shape[-1] % 2 == 0
        padding = [self.kernel // 2 + shifted] * 2
        fast = ours(images) and not torch.is_grad_enabled() and torch.backends.mkldnn.is_available()
        result = (self._by_onednn if fast else self._by_torch)(images, summand, padding)
        return result[:, :, 1:, 1:].contiguous(memory_format=torch.channels_last) if shifted else result

    def _by_onednn(self, images: torch.Tensor, summand: torch.Tensor | None, padding: list[int]) -> torch.Tensor:
        shape = (self.weight, self.bias, padding, [self.stride] * 2, [1, 1], self.groups)
        if summand is not None:
            plus = torch.ops.mkldnn._convolution_pointwise.binary
            return plus(images, summand, *shape, "add", 1.0, None, [], None)
        behind = ("hardtanh", [0.0, 6.0]) if self.limited else ("none", [])
        return torch.ops.mkldnn._convolution_pointwise(images, *shape, *behind, "")

    def _by_torch(self, images: torch.Tensor, summand: torch.Tensor | None, padding: list[int]) -> torch.Tensor:
        result = functional.conv2d(images, self.weight, self.bias, self.stride, padding, groups=self.groups)
        result = functional.relu6(result) if self.limited else result
        return result if summand is None else result + summand


class Block(nn.Module):
    """An inverted bottleneck: 1x1 convolution to more channels, one within each channel, 1x1 back; plus what came."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        """Take the channels it reads and gives, and the kernel, the stride and the expansion."""
        super().__init__()
        inside = channels * expansion
        self.expanding = expansion > 1
        if self.expanding:
            self._expand_conv, self._bn0 = Same(channels, inside), _normalisation(inside)
        self._depthwise_conv, self._bn1 = Same(inside, inside, kernel, stride, inside), _normalisation(inside)
        self._project_conv, self._bn2 = Same(inside, width), _normalisation(width)
        self.skips = stride == 1 and channels == width

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, height, width) to (n, width, height / stride, width / stride)."""
        inside = functional.relu6(self._bn0(self._expand_conv(images))) if self.expanding else images
        inside = functional.relu6(self._bn1(self._depthwise_conv(inside)))
        result = self._bn2(self._project_conv(inside))
        return result + images if self.skips else result


class FusedBlock(nn.Module):
    """The same for reading alone."""

    def __init__(self, block: Block) -> None:
        """Take a block in evaluation mode."""
        super().__init__()
        self.expand = Fused(block._expand_conv, block._bn0, True) if block.expanding else nn.Identity()
        self.inside = Fused(block._depthwise_conv, block._bn1, True)
        self.back = Fused(block._project_conv, block._bn2, False)
        self.skips = block.skips

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See `Block`."""
        return self.back(self.inside(self.expand(images)), images if self.skips else None)


class EfficientNetLite(nn.Module):
    """The layers up to the last features with places, of several depths.

    `forward` gives the channels of all blocks from FIRST_READ on and of the head, each pooled to the places of the
    last, shape (n, channels, height / 32, width / 32): plants on paper are told apart by what lies between the edges of
    the first and the things of ImageNet of the last layers (benchmarks/features.py). `logits` are those of ImageNet.
    """

    def __init__(self) -> None:
        """Random weights."""
        super().__init__()
        self._conv_stem, self._bn0 = Same(3, STEM, 3, 2), _normalisation(STEM)
        blocks, channels, read, middle = list[Block](), STEM, list[int](), list[int]()
        for stage, (count, kernel, stride, expansion, width) in enumerate(STAGES):
            for number in range(count):
                blocks.append(Block(channels, width, kernel, 1 if number else stride, expansion))
                channels = width
                read += [channels] if stage >= FIRST_READ else []
                middle += [channels] if stage in MIDDLE else []
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = Same(channels, HEAD), _normalisation(HEAD)
        self._fc = nn.Linear(HEAD, IMAGENET_CLASSES)
        self.first_read, self.channels, self.middle = len(blocks) - len(read), sum(read) + HEAD, sum(middle)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features of normalised images, shape (n, 3, height, width)."""
        stem = functional.relu6(self._bn0(self._conv_stem(images)))
        return _read_blocks(stem, self._blocks, self.first_read, self._last)

    def _last(self, images: torch.Tensor) -> torch.Tensor:
        return functional.relu6(self._bn1(self._conv_head(images)))

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the classes of ImageNet, shape (n, 1000)."""
        return self._fc(self(images)[:, -HEAD:].mean((2, 3)))


class FusedLite(nn.Module):
    """The same for reading alone: 1.7 times as fast, with bfloat16 in hardware 3 times."""

    def __init__(self, network: EfficientNetLite) -> None:
        """Take the network, which is in evaluation mode from here on and keeps its layers."""
        super().__init__()
        network.eval()
        self.stem = Fused(network._conv_stem, network._bn0, True)
        self.blocks = nn.ModuleList(FusedBlock(block) for block in network._blocks)  # type: ignore[arg-type]
        self.last = Fused(network._conv_head, network._bn1, True)
        self.first_read, self.middle = network.first_read, network.middle

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See `EfficientNetLite`; float32 whatever it computes in."""
        return _read_blocks(self.stem(images.to(self.stem.weight.dtype)), self.blocks, self.first_read, self.last)


def _read_blocks(
    images: torch.Tensor, blocks: nn.ModuleList, first: int, last: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """What every block from the `first` on gives, and the `last` convolution, in float32 at the places of the last."""
    found = []
    for number, block in enumerate(blocks):
        images = block(images)
        if number >= first:
            found.append(images)
    found.append(last(images))
    places = (found[-1].shape[2], found[-1].shape[3])
    return torch.cat([functional.adaptive_avg_pool2d(some.float(), places) for some in found], dim=1)


def installed_weights(name: str) -> Path:
    """The file with the weights of a backbone, from the package that is installed for it; UserError without."""
    package, file, _ = INSTALLED[name]
    found = find_spec(package.replace("-", "_"))  # found and not imported: nothing of it is executed
    places = (found.submodule_search_locations or []) if found else []
    for place in places:
        if (path := Path(place) / "models" / file).is_file():
            return path
    raise UserError(f"the weights of {name} are not installed: install the package {package}")


def _normalisation(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
