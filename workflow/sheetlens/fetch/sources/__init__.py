"""The sources of sheets: one module each, of the name in the config, where the table of all stands.

A source on the network is a module that ends with its `SOURCE`; the engine does the rest. `demo` and `folder` have
nothing to fetch, and are called by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the rules look into a folder where the network's packages need not be
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
    from pathlib import Path

    from sheetlens.fetch.engine import Alternatives
    from sheetlens.fetch.http.rate_limits import Limit
    from sheetlens.fetch.http.session import Session
    from sheetlens.fetch.listing import Plan, Request

    Progress = Callable[[int, int], None]
    Check = Callable[[Path], None]


@dataclass(frozen=True)
class Source:
    """What is to be known of a source: its plan, and its requests or a way of its own to bring files.

    `requests(settings, session, folder)` may keep what it found in `folder`. `limits` are politeness limits it
    knows of (host or host/path -> Limit).
    """

    plan: Callable[[Any], list[Plan]]
    requests: Callable[[Any, Session, Path], AsyncIterator[Request]] | None = None
    alternatives: Alternatives | None = None
    fetch: Callable[[Any, Session, Path, Progress, Check], Awaitable[Iterable[Mapping[str, Any]]]] | None = None
    limits: Mapping[str, Limit] | None = None


def find_source(name: str) -> Source:
    """The source on the network that the config names."""
    source: Source = import_module(f"sheetlens.fetch.sources.{name}").SOURCE
    return source
