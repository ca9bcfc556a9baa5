"""How files are asked for and brought here: politeness, patience, limits."""

import ipaddress
from typing import Annotated, Self

from pydantic import Field, model_validator

from sheetlens.config.closed import Closed


class HostLimit(Closed):
    """How much one server is asked for at a time."""

    rate: float = Field(gt=0, description="Most requests in a second.")
    connections: int = Field(ge=1, description="Most connections at a time.")


class Fetch(Closed):
    """How servers are asked. Nothing here changes what the files are, so no change makes a product out of date."""

    contact: str = Field(
        default="",
        pattern=r"^[\x20-\x7e]*$",
        description="E-mail or web address by which a server's keeper can reach you; some services demand it.",
    )
    hosts: dict[str, HostLimit] = Field(
        default={}, description="Limits of your own, by host name; the others have the defaults of the manual."
    )
    mirrors: dict[str, Annotated[str, Field(pattern=r"^https?://")]] = Field(
        default={}, description="Addresses to ask in place of a host, such as a mirror of your institution."
    )
    allow: tuple[str, ...] = Field(
        default=(), description="Private networks that may be asked, such as 10.0.0.0/8; empty: none."
    )
    connections: int = Field(default=64, ge=1, description="Most connections at a time, to all hosts together.")
    attempts: int = Field(default=6, ge=1, description="Most attempts for one file.")
    pause: float = Field(
        default=2.0, ge=0, description="Seconds before the second attempt; the pause doubles with each further one."
    )
    patience: float = Field(default=60.0, gt=0, description="Seconds to wait for an answer, or for its next part.")
    slowest: int = Field(default=1000, ge=0, description="Bytes in a second below which an answer is given up.")
    largest: int = Field(default=500_000_000, ge=1, description="Most bytes of one image.")
    missing: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of a class that may fail to arrive before the step fails, to be repeated (0 to 1).",
    )

    @model_validator(mode="after")
    def _networks_are_networks(self) -> Self:
        for network in self.allow:
            ipaddress.ip_network(network)
        return self
