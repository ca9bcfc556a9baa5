"""Layers that compute the same as torch's own, faster on the CPU."""

import math
from typing import Any

import torch
from torch import nn

VECTOR = 16  # channels: torch's normalisation of bfloat16 is fast where they are a multiple of what is added up at once
TOGETHER = 16  # pixels whose channels are counted as so many channels of one: torch sums few of them slowly


def ours(tensor: torch.Tensor) -> bool:
    """Whether our own way is taken: on the CPU, where `torch.compile` is not to find its own."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


class Dropout(nn.Dropout):
    """Dropout that on the CPU draws one random bit a feature where that is enough, at 0.5: 60 times faster."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Drop features, any shape."""
        if not self.training or self.p != 0.5 or not ours(features):
            return super().forward(features)
        words = torch.empty(-(-features.numel() // 64), dtype=torch.int64).random_(-(2**63), None)
        octets = words.view(torch.uint8)
        kept = torch.cat([octets.bitwise_and(1 << bit) for bit in range(8)]).ne_(0)
        return features * kept[: features.numel()].mul_(2).to(features.dtype).view_as(features)


class MaximaOf2x2(nn.Module):
    """Max pooling of 2x2 pixels by two passes of maxima: torch's own notes the places, which only a gradient needs."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Pool images, shape (n, channels, height, width); the last line of an odd number is left out."""
        if not ours(images):
            return nn.functional.max_pool2d(images, 2)
        height, width = (side // 2 * 2 for side in images.shape[2:])
        rows = torch.maximum(images[:, :, 0:height:2], images[:, :, 1:height:2])
        return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


class Linear(nn.Module):
    """A linear layer by oneDNN in float32, too: torch leaves that to MKL, half as fast on processors of AMD."""

    def __init__(self, layer: nn.Linear) -> None:
        """Take weights and bias of a layer, which go on belonging to it."""
        super().__init__()
        self.layer = layer

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Combine features, shape (n, features)."""
        by_onednn = ours(features) and torch.backends.mkldnn.is_available()
        if not by_onednn or features.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return self.layer(features)
        return nn.functional.linear(features.to_mkldnn(), self.layer.weight, self.layer.bias).to_dense()


class NormalisedMaxima(nn.Module):
    """Batch normalisation and 2x2 max pooling for training: the largest of four is found before it is normalised.

    Normalising by a positive factor keeps the order of numbers, so either way gives the same; this one normalises a
    quarter as many, and sums up a quarter as many gradients. Of numbers that differ and are equal once normalised,
    the largest gets the gradient here, the first in torch.
    """

    def __init__(self, normalisation: nn.BatchNorm2d) -> None:
        """Take weights and statistics of a batch normalisation, which go on belonging to it."""
        super().__init__()
        self.normalisation = normalisation

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise and pool images, shape (n, channels, height, width); the last line of an odd number is left out."""
        layer, last = self.normalisation, images.is_contiguous(memory_format=torch.channels_last)
        slow = images.dtype == torch.float32 or layer.num_features % VECTOR
        if not (self.training and ours(images) and last and slow and layer.weight.min() > 0):
            return nn.functional.max_pool2d(layer(images), 2)
        maxima, mean, variance = _NormalisedMaxima.apply(images, layer.weight, layer.bias, layer.eps)
        count = images.numel() // layer.num_features
        layer.get_buffer("num_batches_tracked").add_(1)
        layer.get_buffer("running_mean").lerp_(mean, layer.momentum or 0)
        layer.get_buffer("running_var").lerp_(variance * (count / (count - 1)), layer.momentum or 0)
        return maxima


def scale_channels(images: torch.Tensor, slope: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """`slope * images + offset` with those of each channel, shape (channels,); float32, whatever the images' type."""
    count, channels, height, width = images.shape
    scaled = torch.addcmul(offset.repeat(width), _lines(images).float(), slope.repeat(width))
    return scaled.view(count, height, width, channels).permute(0, 3, 1, 2)


class _NormalisedMaxima(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> Any:
        mean, variance = _statistics(images)
        maxima, places = nn.functional.max_pool2d(images, 2, return_indices=True)
        scale, normalised = weight * (variance + eps).rsqrt(), torch.empty_like(maxima)
        normalised.copy_(scale_channels(maxima, scale, bias - mean * scale))
        context.save_for_backward(images, maxima, places, weight, mean, variance)
        context.eps = eps
        context.mark_non_differentiable(mean, variance)
        return normalised, mean, variance

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor, *_: Any) -> Any:
        images, maxima, places, weight, mean, variance = context.saved_tensors
        count, deviation = images.numel() // images.shape[1], (variance + context.eps).rsqrt()
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        bias_gradient = _sum(gradient.float())
        weight_gradient = _sum(scale_channels(maxima, deviation, -mean * deviation).mul_(gradient))
        scale = weight * deviation
        slope = -scale * deviation * weight_gradient / count
        offset = -scale * bias_gradient / count - slope * mean
        slopes, offsets = (some.to(images.dtype).repeat(images.shape[3]) for some in (slope, offset))
        scaled, result = torch.empty_like(maxima), torch.empty_like(images)
        scaled.copy_(scale_channels(gradient, scale, torch.zeros_like(scale)))
        few = torch.get_num_threads()  # sheets at a time are still in the processor's cache when more is added
        for some in zip(images.split(few), places.split(few), scaled.split(few), result.split(few), strict=True):
            sheets, there, above, total = some
            torch.ops.aten.max_pool2d_with_indices_backward.grad_input(
                above, sheets, [2, 2], [2, 2], [0, 0], [1, 1], False, there, grad_input=total
            )
            _lines(total).addcmul_(_lines(sheets), slopes).add_(offsets)
        return result, weight_gradient, bias_gradient, None


def _statistics(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of each channel; shorter sums of many channels are faster than torch's, and more exact."""
    channels = images.shape[1]
    together = math.gcd(TOGETHER, images.numel() // channels)
    wide = images.permute(0, 2, 3, 1).reshape(1, -1, 1, together * channels).permute(0, 3, 1, 2)
    unused = torch.zeros(together * channels)  # float32, so that the statistics are
    found = torch.batch_norm_update_stats(wide, unused, unused.clone(), 0)
    means, variances = (some.view(together, channels).double() for some in found)
    mean = means.mean(0)
    return mean.float(), (variances + (means - mean).square()).mean(0).float()


def _lines(images: torch.Tensor) -> torch.Tensor:
    """Images channels last, a line of pixels as one vector: (n, height, width * channels). Few channels are slow."""
    return images.permute(0, 2, 3, 1).flatten(2)


def _sum(images: torch.Tensor) -> torch.Tensor:
    """The sum of each channel."""
    return _lines(images).sum((0, 1)).view(-1, images.shape[1]).sum(0)
