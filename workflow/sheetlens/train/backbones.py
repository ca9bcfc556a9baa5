"""Torchvision's networks with a head for k classes; their weights, of which nothing is executed."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Network
from sheetlens.prepare.resize import SIZE

# What torchvision's weights were trained with, all of those of the config.
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
PLACELESS = "vit_b_16"  # its prediction comes from a token that stands for no place of the sheet
State = dict[str, torch.Tensor]


class Features(nn.Sequential):
    """A backbone's layers up to the last features with places, shape (n, channels, height, width).

    Of a transformer with a class token, all layers up to that token, shape (n, channels).
    """

    frozen = False

    def train(self, mode: bool = True) -> "Features":
        """Switch between training and evaluation; what is frozen stays in evaluation."""
        return super().train(mode and not self.frozen)


def build_backbone(definition: Network, weights: State | None = None) -> tuple[OrderedDict[str, nn.Module], int]:
    """The layers of a backbone before its head, and the number of features they give; random weights unless given.

    Raises UserError for weights of another network.
    """
    from torchvision.models import get_model  # a second to import, for those who need it

    name = str(definition.backbone)
    whole = get_model(name, weights=None, **({"image_size": SIZE} if name == PLACELESS else {}))
    head, last = [(name, layer) for name, layer in whole.named_modules() if isinstance(layer, nn.Linear)][-1]
    if weights is not None:
        _load(whole, name, head, weights)
    if name == PLACELESS:
        whole.heads = nn.Identity()
        features, pooling = Features(OrderedDict(transformer=whole)), {}
    else:
        parts = list(whole.named_children())
        end = [part for part, _ in parts].index("avgpool")
        after = [layer for layer in parts[-1][1].children() if isinstance(layer, nn.LayerNorm)]  # ConvNeXt's
        features = Features(OrderedDict(parts[:end]))
        pooling = {"flatten": nn.Sequential(nn.AdaptiveAvgPool2d(1), *after, nn.Flatten())}
    layers: OrderedDict[str, nn.Module] = OrderedDict(features=features, **pooling)
    if definition.train == "head":
        features.frozen = True
        for layer in layers.values():
            layer.requires_grad_(False)
    return layers, last.in_features


def _load(whole: nn.Module, name: str, head: str, weights: State) -> None:
    """Load all weights but those of the head, which is of other classes."""
    kept = OrderedDict((key, value) for key, value in weights.items() if not key.startswith(f"{head}."))
    try:
        if name == PLACELESS:
            from torchvision.models.vision_transformer import interpolate_embeddings

            kept = interpolate_embeddings(SIZE, whole.patch_size, kept)  # from sheets of 224 pixels
        missing, unexpected = whole.load_state_dict(kept, strict=False)
        odd = [key for key in missing if not key.startswith(f"{head}.")] + unexpected
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        odd = [str(error).split("\n")[-1].strip()]
    if odd:
        raise UserError(f"the weights are not those of torchvision's {name} ({odd[0]}): give those of the backbone")


def read_weights(definition: Network) -> State | None:
    """The weights that a backbone starts from, None for random ones.

    Raises UserError for a file that is not the one named, and where torchvision's weights cannot be had.
    """
    chosen = definition.weights
    if chosen is None:
        return None
    if chosen.torchvision:
        return _download(str(definition.backbone), chosen.torchvision)
    path = Path(str(chosen.path))
    if not path.is_file():
        raise UserError(f"the file with the weights, {path}, is not there")
    if (found := files.sha256(path)) != chosen.sha256:
        raise UserError(f"{path} has the SHA-256 {found}, and the config says {chosen.sha256}")
    try:
        state: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise UserError(f"{path} holds no weights that can be read ({str(error).splitlines()[0]})") from None
    if not (isinstance(state, dict) and all(isinstance(value, torch.Tensor) for value in state.values())):
        raise UserError(f"{path} holds something else than a table of tensors by name")
    return state


def _download(backbone: str, name: str) -> State:
    from torchvision.models import get_model_weights

    known = get_model_weights(backbone).__members__
    if name not in known:
        raise UserError(f"torchvision has no weights {name} for {backbone}: it has {', '.join(known)}")
    try:
        state: State = known[name].get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network; another hash than in the file's name
        raise UserError(
            f"torchvision's weights {name} for {backbone} cannot be downloaded ({error}): bring the file of"
            f" {known[name].url} here and name it with path and sha256"
        ) from None
    return state
