"""Networks beside those of the paper's Tables 1 and 2: their layers, by name."""

from functools import reduce
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sheetlens.config.closed import Closed

PAPER_NETWORKS = ("table1", "table2")
INPUT_SIZE = 256  # pixels on a side, only to check definitions by

Count = Annotated[int, Field(ge=1)]
Backbone = Literal["resnet18", "resnet50", "efficientnet_v2_s", "convnext_tiny", "vit_b_16", "swin_t"]
GROUPS, BACKBONE = {"groups", "pooling", "hidden"}, {"backbone", "weights", "train"}  # the keys of the two kinds


class Weights(Closed):
    """Weights that a backbone starts from: a file here, or torchvision's own."""

    path: str | None = Field(
        default=None, min_length=1, description="File with torchvision's weights: .safetensors, or .pth of tensors."
    )
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", description="SHA-256 of the file.")
    torchvision: Literal["IMAGENET1K_V1", "IMAGENET1K_V2"] | None = Field(
        default=None, description="Weights that torchvision downloads and checks."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) != (self.sha256 is None) or (self.path is None) == (self.torchvision is None):
            raise ValueError("give either path and sha256, or torchvision")
        return self


class Network(Closed):
    """The layers of a network: groups as in the paper's tables, or a backbone of torchvision with a head."""

    groups: tuple[tuple[Count, Count], ...] = Field(
        default=(),
        description="Output channels and kernel width of each group: convolution, normalisation, ReLU, pooling.",
    )
    pooling: Literal["max", "average"] = Field(default="max", description="What the 2x2 pooling of a group keeps.")
    hidden: Count = Field(default=500, description="Width of the linear layer before the output, behind groups.")
    backbone: Backbone | None = Field(default=None, description="A network of torchvision, in place of groups.")
    weights: Weights | None = Field(default=None, description="What a backbone starts from; none: random weights.")
    train: Literal["all", "head"] = Field(
        default="all", description="What of a backbone is trained: all of it, or the last linear layer alone."
    )

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if bool(self.groups) == bool(self.backbone):
            raise ValueError("a network has either groups or a backbone")
        kind, others = ("a backbone", GROUPS) if self.backbone else ("groups", BACKBONE)
        for name in sorted(others):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} does not go with {kind}")
        if reduce(lambda side, group: (side - group[1] + 1) // 2, self.groups, INPUT_SIZE) < 1:
            raise ValueError(
                f"the groups leave none of a sheet's {INPUT_SIZE} pixels: take fewer groups or smaller kernels"
            )
        if self.train == "head" and not self.weights:
            raise ValueError("train is 'head', and the backbone has no weights that are worth keeping: give weights")
        return self

    @property
    def facts(self) -> dict[str, Any]:
        """The definition as JSON has it, defaults included: all that is needed to build the network again."""
        return self.model_dump(mode="json", include=BACKBONE if self.backbone else GROUPS, exclude_none=True)
