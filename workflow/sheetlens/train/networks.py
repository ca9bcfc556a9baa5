"""The two networks of Schuettpelz et al. 2017, built from the paper's layer tables, and others beside them."""

from collections import OrderedDict
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sheetlens.config import Network
from sheetlens.prepare.resize import SIZE
from sheetlens.train.backbones import Features, State, build_backbone
from sheetlens.train.cpu_layers import Dropout, Linear, MaximaOf2x2, NormalisedMaxima

# One pair for each group "convolution, batch normalisation, ReLU, 2x2 pooling": output channels and
# kernel width. The kernels follow from the output shapes the tables print (no padding, stride 1).
TABLES: dict[str, tuple[tuple[int, int], ...]] = {
    "table1": ((16, 5), (32, 5), (64, 5), (48, 3)),
    "table2": ((10, 5), (40, 5)),
}
HIDDEN = 500  # width of the linear layer before the output, Tables 1 and 2


def fuse_batchnorm(network: nn.Sequential) -> nn.Sequential:
    """The same network for reading alone: each batch normalisation is part of the convolution before it.

    Those within a backbone of torchvision or timm stay as they are.
    The layers that are left are shared with `network`, and are in evaluation mode from here on.
    """
    network.eval()
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in network.named_children():
        if isinstance(layer, nn.BatchNorm2d):
            before = next(reversed(layers))
            layers[before] = fuse_conv_bn_eval(layers[before], layer)  # type: ignore[type-var]
        elif isinstance(layer, Features):
            layers[name] = layer.fused()
        else:
            layers[name] = layer
    return nn.Sequential(layers)


def for_inference(network: nn.Sequential) -> nn.Sequential:
    """The same network for reading many sheets: folded, and without what only a gradient needs."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in fuse_batchnorm(network).named_children():
        if isinstance(layer, nn.MaxPool2d):
            layers[name] = MaximaOf2x2()
        else:
            layers[name] = Linear(layer) if isinstance(layer, nn.Linear) else layer
    return nn.Sequential(layers)


def for_training(network: nn.Sequential) -> nn.Sequential:
    """The same network for training, with the same layers, without work that brings nothing.

    What is pooled after its normalisation is pooled before. The bias of a convolution that is normalised stays what it
    is: normalising takes it away again, so that its gradient would be the noise of rounding, summed over all pixels.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in network.named_children():
        name_before, before = next(reversed(layers.items()), ("", network))
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d) and before.bias is not None:
            before.bias.requires_grad_(False)
        if isinstance(layer, nn.MaxPool2d) and type(before) is nn.BatchNorm2d:
            layers[name_before] = NormalisedMaxima(before)
        else:
            layers[name] = Linear(layer) if isinstance(layer, nn.Linear) else layer
    return nn.Sequential(layers)


def build_network(
    network: str | Network, classes: int, dropout: float = 0.5, weights: State | None = None
) -> nn.Sequential:
    """Build a network of the paper by its name, or one by its definition, with fresh weights from torch's random state.

    A backbone starts from `weights` if there are some (see `read_weights`).

    Takes float images in [0, 1], shape (N, 3, 256, 256), and returns logits, shape (N, classes).
    The softmax of the tables belongs to the loss and to the reader of the logits.
    Raises KeyError for a name that is not in TABLES.
    Source: Tables 1 and 2; dropout 0.5 is the default of Mathematica, which the paper used.
    """
    definition = Network(groups=TABLES[network], hidden=HIDDEN) if isinstance(network, str) else network
    if definition.backbone:
        layers, features = build_backbone(definition, weights)
        layers["dropout"] = Dropout(dropout)
        layers["output"] = nn.Linear(features, classes)
        return nn.Sequential(layers)
    layers, channels, side = OrderedDict(), 3, SIZE
    for number, (width, kernel) in enumerate(definition.groups, start=1):
        layers[f"convolution{number}"] = nn.Conv2d(channels, width, kernel)
        layers[f"normalisation{number}"] = nn.BatchNorm2d(width)
        if definition.pooling == "max":
            # The tables pool after the ReLU. Both orders give the same numbers (the maximum of
            # rectified values is the rectified maximum); this one rectifies a quarter as many.
            layers[f"pool{number}"] = nn.MaxPool2d(2)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        if definition.pooling == "average":
            layers[f"pool{number}"] = nn.AvgPool2d(2)
        channels, side = width, (side - kernel + 1) // 2
    layers["flatten"] = nn.Flatten()
    layers["dropout"] = Dropout(dropout)
    layers["hidden"] = nn.Linear(channels * side**2, definition.hidden)
    layers["relu"] = nn.ReLU(inplace=True)
    layers["output"] = nn.Linear(definition.hidden, classes)
    return nn.Sequential(layers)


def rebuild(facts: dict[str, Any]) -> nn.Sequential:
    """The network that a `model.json` speaks of, with fresh weights."""
    network = Network.model_validate(facts["definition"]) if "definition" in facts else facts["network"]
    return build_network(network, len(facts["classes"]), facts["settings"]["dropout"])
