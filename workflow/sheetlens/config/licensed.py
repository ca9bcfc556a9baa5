"""What the sections of all sources have in common whose pictures are others' to license."""

from pydantic import Field, field_validator

from sheetlens.common.licences import known
from sheetlens.config.closed import Closed


class Licensed(Closed):
    """A source that says of each picture what may be done with it."""

    licences: tuple[str, ...] = Field(
        default=(),
        description="Licences that will do: SPDX ids, or kinds for any version (CC0, CC-BY); empty: any or none.",
    )

    @property
    def here(self) -> tuple[str, ...]:
        """The files that it reads: a change of one that is here makes the listing out of date."""
        return ()

    @field_validator("licences")
    @classmethod
    def _can_be_met(cls, licences: tuple[str, ...]) -> tuple[str, ...]:
        for licence in licences:
            if not known(licence):
                raise ValueError(
                    f"'{licence}' is no SPDX id or kind of a Creative Commons licence, such as CC0 or CC-BY-4.0"
                )
        return licences
