"""What every section of the config is."""

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """A section of the config: unknown keys are errors, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
