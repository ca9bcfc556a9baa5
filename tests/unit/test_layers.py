"""Layers of our own compute what torch's compute."""

import pytest
import torch
from torch import nn

from sheetlens.layers import BatchNorm2d, MaximaOf2x2


def trained(kind, images, gradient):
    """What a training step makes of images: normalised, gradients, statistics."""
    torch.manual_seed(1)
    layer = kind(images.shape[1])
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    images = images.clone().requires_grad_()
    layer = layer.to(torch.promote_types(images.dtype, torch.float32))
    layer(images).backward(gradient)
    statistics = [layer.running_mean, layer.running_var, layer.num_batches_tracked]
    return [layer(images).detach(), images.grad, layer.weight.grad, layer.bias.grad, *statistics]


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("far", [0, 100])
def test_normalisation_in_training(dtype, close, far):
    """Against torch's in double precision; also where the mean is a hundred times the deviation."""
    images, gradient = (torch.randn(5, 10, 33, 21) + shift for shift in (far, 0))
    images, gradient = (some.to(dtype).contiguous(memory_format=torch.channels_last) for some in (images, gradient))
    ours = trained(BatchNorm2d, images, gradient)
    theirs = trained(nn.BatchNorm2d, images.double(), gradient.double())
    for found, expected in zip(ours, theirs, strict=True):
        scale = expected.abs().max().item()
        torch.testing.assert_close(found.to(expected), expected, rtol=0, atol=close * scale * (1 + far / 10))
    assert ours[0].dtype == ours[1].dtype == dtype
    assert ours[0].is_contiguous(memory_format=torch.channels_last)


def test_normalisation_is_our_own_in_training_alone():
    images = torch.randn(2, 10, 8, 8).contiguous(memory_format=torch.channels_last)
    layer = BatchNorm2d(10)
    assert "_Normalise" in type(layer(images).grad_fn).__name__
    assert "_Normalise" not in type(layer.eval()(images).grad_fn).__name__


@pytest.mark.parametrize("side", [8, 9])
def test_maxima_are_those_of_max_pooling(side):
    images = torch.randn(2, 3, side, side + 1).contiguous(memory_format=torch.channels_last)
    assert torch.equal(MaximaOf2x2()(images), nn.functional.max_pool2d(images, 2))
