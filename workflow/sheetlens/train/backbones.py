"""Known networks with a head for k classes; their weights, of which nothing is executed.

One mechanism for all: a maker gives the layers up to the last features and the module that the weights of a file belong
to. The installed ones are made by `efficientnet_lite`, the others by torchvision and timm.
"""

import difflib
import pickle
import sys
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from sheetlens.common import files
from sheetlens.common.errors import UserError, of_the_disk
from sheetlens.config import Network
from sheetlens.config.networks import INSTALLED, TIMM
from sheetlens.prepare.resize import SIZE
from sheetlens.train.efficientnet_lite import PIXELS, EfficientNetLite, FusedLite, installed_weights

# What torchvision's weights were trained with, all of those of the config.
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
PLACELESS = "vit_b_16"  # its answer comes from a token that stands for no place of the sheet
HUB_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
State = dict[str, torch.Tensor]
Normalisation = dict[str, list[float]]


class Features(nn.Sequential):
    """A backbone's layers up to the last features with places, shape (n, channels, height, width).

    Of a transformer with a class token, all layers up to that token, shape (n, channels).
    """

    frozen = False

    def train(self, mode: bool = True) -> "Features":
        """Switch between training and evaluation; what is frozen stays in evaluation."""
        return super().train(mode and not self.frozen)

    def fused(self) -> "Features":
        """The same for reading alone, in fewer passes over memory where we know how."""
        layers = OrderedDict(self.named_children())
        made = {name: FusedLite(one) if isinstance(one, EfficientNetLite) else one for name, one in layers.items()}
        return Features(OrderedDict(made)).eval()

    def lower_precision(self) -> None:
        """Let those that know how compute in bfloat16; what they give stays float32."""
        for layer in self:
            if isinstance(layer, FusedLite):
                layer.bfloat16()


class Places(nn.Module):
    """A network of timm up to its last features, of whatever form, as features with places."""

    def __init__(self, network: Any) -> None:
        """Take the network, without its head."""
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images, shape (n, 3, height, width), to (n, channels, rows, columns)."""
        found = self.network.forward_features(images)
        if found.ndim == 3:  # a transformer's tokens: those that stand for no place first, then a square of places
            found = found[:, getattr(self.network, "num_prefix_tokens", 0) :].transpose(1, 2)
            return found.unflatten(2, (round(found.shape[2] ** 0.5), -1))
        last = found.shape[-1] == self.network.num_features != found.shape[1]
        return found.permute(0, 3, 1, 2) if last else found


def build_backbone(definition: Network, weights: State | None = None) -> tuple[OrderedDict[str, nn.Module], int]:
    """The layers of a backbone before its head, and the number of features they give; random weights unless given.

    Raises UserError for weights of another network, and for one that timm does not have.
    """
    name = str(definition.backbone)
    make = _make_installed if name in INSTALLED else _make_timms if name.startswith(TIMM) else _make_torchvisions
    layers, count = make(name, weights)
    if definition.train != "all":
        features = layers["features"]
        features.frozen = True  # type: ignore[assignment]
        for layer in layers.values():
            layer.requires_grad_(False)
    return layers, count


def pixel_statistics(definition: Network) -> Normalisation:
    """Mean and standard deviation by channel (0 to 1) of what the weights of a backbone were trained with."""
    name = str(definition.backbone)
    if name.startswith(TIMM):
        known = _timm(name).get_pretrained_cfg(name.removeprefix(TIMM))
        return {"mean": list(known.mean), "std": list(known.std)} if known else IMAGENET
    return PIXELS if name in INSTALLED else IMAGENET


def _pooled(*behind: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), *behind, nn.Flatten())


def _make_installed(name: str, weights: State | None) -> tuple[OrderedDict[str, nn.Module], int]:
    whole = EfficientNetLite()
    if weights is not None:
        _load(whole, name, "_fc", weights)
    del whole._fc
    return OrderedDict(features=Features(OrderedDict(network=whole)), flatten=_pooled()), whole.channels


def _make_timms(name: str, weights: State | None) -> tuple[OrderedDict[str, nn.Module], int]:
    timm = _timm(name)
    with torch.device("cpu"):  # some have tables that no file holds: they must be computed
        whole = _of_our_size(timm, name.removeprefix(TIMM))
    if weights is not None:
        renamed = getattr(sys.modules[type(whole).__module__], "checkpoint_filter_fn", None)
        head = (whole.pretrained_cfg or {}).get("classifier") or "head"
        try:
            weights = renamed(weights, whole) if renamed else weights
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _foreign(name, str(error).split("\n")[-1]) from None
        _load(whole, name, head if isinstance(head, str) else head[0], weights)
    features = Features(OrderedDict(network=Places(whole.eval())))
    return OrderedDict(features=features, flatten=_pooled()), int(whole.num_features)


def _of_our_size(timm: Any, name: str) -> Any:
    """A network of timm without a head, for sheets of SIZE pixels where it must know."""
    sizes: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True, "dynamic_img_pad": True}, {"img_size": SIZE}, {})
    for size in sizes:
        try:
            return timm.create_model(name, pretrained=False, num_classes=0, **size)
        except TypeError:  # this kind of network does not take such a word
            continue
    raise UserError(f"timm cannot make its network {name} for sheets of {SIZE} pixels")


def _timm(name: str) -> Any:
    if not find_spec("timm"):
        raise UserError(f"{name} is a network of timm, which is not installed here: `pip install timm`")
    import timm  # half a second, and torchvision's second, for those who need it

    wanted = name.removeprefix(TIMM)
    if not timm.is_model(wanted):
        near = difflib.get_close_matches(wanted, timm.list_models(), n=1)
        hint = f": did you mean {TIMM}{near[0]}?" if near else ": timm.list_models() names those it has"
        raise UserError(f"timm has no network {wanted}{hint}")
    return timm


def _make_torchvisions(name: str, weights: State | None) -> tuple[OrderedDict[str, nn.Module], int]:
    from torchvision.models import get_model  # a second to import, for those who need it

    whole = get_model(name, weights=None, **({"image_size": SIZE} if name == PLACELESS else {}))
    head, last = [(name, layer) for name, layer in whole.named_modules() if isinstance(layer, nn.Linear)][-1]
    if weights is not None:
        _load(whole, name, head, weights)
    if name == PLACELESS:
        whole.heads = nn.Identity()
        return OrderedDict(features=Features(OrderedDict(transformer=whole))), last.in_features
    parts = list(whole.named_children())
    end = [part for part, _ in parts].index("avgpool")
    after = [layer for layer in parts[-1][1].children() if isinstance(layer, nn.LayerNorm)]  # ConvNeXt's
    return OrderedDict(features=Features(OrderedDict(parts[:end])), flatten=_pooled(*after)), last.in_features


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
        raise _foreign(name, odd[0])


def _foreign(name: str, why: str) -> UserError:
    whose = name if name.startswith(TIMM) or name in INSTALLED else f"torchvision's {name}"
    return UserError(f"the weights are not those of {whose} ({why}): give those of the backbone")


def read_weights(definition: Network) -> State | None:
    """The weights that a backbone starts from, None for random ones.

    Raises UserError for a file that is not the one named, and where weights cannot be downloaded.
    """
    chosen, name = definition.weights, str(definition.backbone)
    if chosen is None:
        return None
    if chosen.torchvision:
        return _download(name, chosen.torchvision)
    if chosen.hub:
        return _read_state(_from_hub(chosen.hub))
    if chosen.installed:
        return _read_state(_checked(installed_weights(name), INSTALLED[name][2], "of the installed package"))
    path = Path(str(chosen.path))
    if not path.is_file():
        raise UserError(f"the file with the weights, {path}, is not there")
    return _read_state(_checked(path, str(chosen.sha256), "in the config"))


def _checked(path: Path, expected: str, where: str) -> Path:
    if (found := files.sha256(path)) != expected:
        raise UserError(f"{path} has the SHA-256 {found}, and the one {where} is {expected}: it is another file")
    return path


def _read_state(path: Path) -> State:
    """The tensors of a file by name; UserError for one that holds something else."""
    try:
        state: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise UserError(f"{path} holds no weights that can be read ({str(error).splitlines()[0]})") from None
    if not (isinstance(state, dict) and all(isinstance(value, torch.Tensor) for value in state.values())):
        raise UserError(f"{path} holds something else than a table of tensors by name")
    return state


def _from_hub(address: str) -> Path:
    """A file of weights of the hub, downloaded once; UserError where it cannot be had."""
    if not find_spec("huggingface_hub"):
        raise UserError(
            f"the weights {address} lie on a model hub, and its client is not installed: `pip install timm`"
        )
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    repository, commit = address.split("@")
    for name in HUB_FILES:
        try:
            return Path(hf_hub_download(repository, name, revision=commit))
        except EntryNotFoundError as error:
            if "offline" in str(error).lower() or "cannot find" in str(error).lower():  # of the copy here, no network
                raise _unreachable(address, error) from None
        except Exception as error:  # the client passes on what its libraries raise, of several families
            raise _unreachable(address, error) from None
    raise UserError(f"{address} has none of the files {', '.join(HUB_FILES)}: give the file with path and sha256")


def _unreachable(address: str, error: Exception) -> UserError:
    why = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return UserError(
        f"the weights {address} cannot be downloaded ({why}): bring the file here and name it with path and sha256"
    )


def _download(backbone: str, name: str) -> State:
    from torchvision.models import get_model_weights

    known = get_model_weights(backbone).__members__
    if name not in known:
        raise UserError(f"torchvision has no weights {name} for {backbone}: it has {', '.join(known)}")
    try:
        state: State = known[name].get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network; another hash than in the file's name
        if of_the_disk(error):
            raise
        raise UserError(
            f"torchvision's weights {name} for {backbone} cannot be downloaded ({error}): bring the file of"
            f" {known[name].url} here and name it with path and sha256"
        ) from None
    return state
