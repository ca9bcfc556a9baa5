"""Networks beside those of the paper's Tables 1 and 2: their layers, by name."""

from functools import reduce
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sheetlens.config.closed import Closed

PAPER_NETWORKS = ("table1", "table2")
INPUT_SIZE = 256  # pixels on a side, Tables 1 and 2
HIDDEN = 500  # width of the linear layer before the output, Tables 1 and 2

Count = Annotated[int, Field(ge=1)]


class Network(Closed):
    """The layers of a network: groups as in the paper's tables."""

    groups: tuple[tuple[Count, Count], ...] = Field(
        min_length=1,
        description="Output channels and kernel width of each group: convolution, normalisation, ReLU, pooling.",
    )
    pooling: Literal["max", "average"] = Field(default="max", description="What the 2x2 pooling of a group keeps.")
    hidden: Count = Field(default=HIDDEN, description="Width of the linear layer before the output.")

    @property
    def side(self) -> int:
        """Pixels on a side behind the last group, below 1 where none are left: no padding, pooling by half."""
        return reduce(lambda side, group: (side - group[1] + 1) // 2, self.groups, INPUT_SIZE)

    @model_validator(mode="after")
    def _pixels_are_left(self) -> Self:
        if self.side < 1:
            raise ValueError(
                f"the groups leave none of a sheet's {INPUT_SIZE} pixels: take fewer groups or smaller kernels"
            )
        return self

    @property
    def facts(self) -> dict[str, Any]:
        """The definition as JSON has it, defaults included: all that is needed to build the network again."""
        return self.model_dump(mode="json")
