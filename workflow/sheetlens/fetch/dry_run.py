"""Say what fetching would do, without the network: how many, how large, which hosts, which licences."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from sheetlens.config import Dataset, Fetch, read_files
from sheetlens.fetch.http.rate_limits import Limit, Politeness
from sheetlens.fetch.listing import Plan
from sheetlens.fetch.sources import find_source

SERVICE = "only the service can tell"
LOCAL = {"drawn": "drawn by the package itself", "here": "files that are here already"}  # by kind of source
SIZES = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def explain_study(configs: Sequence[Path]) -> Iterator[str]:
    """Lines for a person: what all data sets of a study would ask for. Raises UserError as `read_files` does."""
    study = read_files(configs)
    for name, dataset in study.chosen.items():
        yield from explain(name, dataset, study.fetch)
    own = (yaml.safe_load(configs[-1].read_text(encoding="utf-8")) or {}).get("datasets") or {}
    if own and not study.run and (others := [name for name in study.chosen if name not in own]):
        yield (
            f"{' and '.join(others)} are those of {configs[0]} and would be fetched, too. For yours alone write"
            f" `run: [{', '.join(own)}]` and `study: own` into {configs[-1]}"
        )


def explain(name: str, dataset: Dataset, polite: Fetch) -> Iterator[str]:
    """Lines for a person: what a data set's source would be asked for."""
    yield f"{name}: {dataset.title}, from {dataset.source}"
    if dataset.kind in LOCAL:
        yield f"  {LOCAL[dataset.kind]}; the network is not needed"
        return
    source = find_source(dataset.source)
    plans = source.plan(dataset.source_settings)
    for plan in plans:
        yield f"  {plan.what}"
        yield f"    images   {SERVICE if plan.images is None else f'{plan.images:,}'}"
        yield f"    size     {SERVICE if plan.bytes is None else _size(plan.bytes)}"
        yield f"    licence  {plan.licence or SERVICE}"
        if plan.unknown:
            yield f"    known only on the way: {', '.join(plan.unknown)}"
    yield from _hosts(plans, source.limits, polite)


def _hosts(plans: list[Plan], limits: Mapping[str, Limit] | None, polite: Fetch) -> Iterator[str]:
    politeness = Politeness(polite, limits)
    for host in sorted({host for plan in plans for host in plan.hosts}):
        limit = politeness.limit(host)
        many = f"at most {limit.rate:g} requests a second, {limit.connections} at a time"
        mirror = f", asked for at {polite.mirrors[host]}" if host in polite.mirrors else ""
        wants = "; wants a contact, and `fetch.contact` is empty" if limit.contact and not polite.contact else ""
        yield f"  host {host}: {many}{mirror}{wants}"


def _size(count: int) -> str:
    unit, size = next(((unit, size) for unit, size in SIZES if count >= size), ("bytes", 1))
    return f"{count / size:,.0f} {unit}"
