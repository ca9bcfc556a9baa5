"""Layers of our own compute what torch's compute."""

import pytest
import torch
from torch import nn

from sheetlens.train.cpu_layers import Linear, MaximaOf2x2, NormalisedMaxima, scale_channels


def trained(kind, images, gradient):
    """What a training step makes of images: normalised and pooled, gradients, statistics."""
    torch.manual_seed(1)
    normalisation = nn.BatchNorm2d(images.shape[1])
    nn.init.uniform_(normalisation.weight, 0.5, 2)
    nn.init.normal_(normalisation.bias)
    images = images.clone().requires_grad_()
    layer = kind(normalisation.to(torch.promote_types(images.dtype, torch.float32)))
    pooled = layer(images)
    pooled.backward(gradient)
    statistics = [normalisation.running_mean, normalisation.running_var, normalisation.num_batches_tracked]
    return [pooled.detach(), images.grad, normalisation.weight.grad, normalisation.bias.grad, *statistics]


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize(("sheets", "channels", "far"), [(5, 10, 0), (16, 40, 0), (16, 10, 100)])
def test_normalised_maxima_in_training(dtype, close, sheets, channels, far):
    """Against torch's layers in double precision; also where the mean is a hundred times the deviation."""
    torch.manual_seed(0)
    images, gradient = torch.randn(sheets, channels, 33, 21) + far, torch.randn(sheets, channels, 16, 10)
    images, gradient = (some.to(dtype).contiguous(memory_format=torch.channels_last) for some in (images, gradient))
    ours = trained(NormalisedMaxima, images, gradient)
    theirs = trained(lambda layer: nn.Sequential(layer, nn.MaxPool2d(2)), images.double(), gradient.double())
    for found, expected in zip(ours, theirs, strict=True):
        scale = expected.abs().max().item()
        torch.testing.assert_close(found.to(expected), expected, rtol=0, atol=close * scale * (1 + far / 10))
    assert ours[0].dtype == ours[1].dtype == dtype
    assert ours[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("channels", "dtype", "sign", "ours"),
    [
        (10, torch.bfloat16, 1, True),
        (10, torch.bfloat16, -1, False),
        (16, torch.bfloat16, 1, False),
        (16, torch.float32, 1, True),
    ],
)
def test_maxima_are_found_first_where_it_is_faster_and_no_factor_turns_the_order(channels, dtype, sign, ours):
    images = torch.randn(3, channels, 8, 8).to(dtype).contiguous(memory_format=torch.channels_last)
    layer = nn.BatchNorm2d(channels)
    nn.init.constant_(layer.weight[:1].detach(), sign)
    pooled = NormalisedMaxima(layer)(images)
    torch.testing.assert_close(pooled, nn.functional.max_pool2d(layer(images), 2))
    assert ("_NormalisedMaxima" in type(pooled.grad_fn).__name__) is ours


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_each_channel_gets_its_own_scale(dtype):
    images = (100 * torch.rand(2, 3, 6, 5)).to(dtype).contiguous(memory_format=torch.channels_last)
    slope, offset = torch.rand(2, 3)
    expected = images * slope.view(1, 3, 1, 1) + offset.view(1, 3, 1, 1)
    torch.testing.assert_close(scale_channels(images, slope, offset), expected)


@pytest.mark.parametrize("side", [8, 9])
def test_maxima_are_those_of_max_pooling(side):
    images = torch.randn(2, 3, side, side + 1).contiguous(memory_format=torch.channels_last)
    assert torch.equal(MaximaOf2x2()(images), nn.functional.max_pool2d(images, 2))


@pytest.mark.parametrize("autocast", [False, True])
def test_a_linear_layer_by_onednn_learns_as_torchs(autocast):
    torch.manual_seed(0)
    layer, features, gradient = nn.Linear(300, 7), torch.randn(5, 300), torch.randn(5, 7)
    learnt = []
    for kind in (Linear, lambda layer: layer):
        layer.zero_grad()
        given = features.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found = kind(layer)(given)
        assert ("Dense" in type(found.grad_fn).__name__) is (kind is Linear and not autocast)
        found.backward(gradient.to(found.dtype))
        learnt.append([found.detach(), given.grad, layer.weight.grad, layer.bias.grad])
    assert learnt[0][0].dtype == (torch.bfloat16 if autocast else torch.float32)
    for ours, theirs in zip(*learnt, strict=True):
        torch.testing.assert_close(ours, theirs)
