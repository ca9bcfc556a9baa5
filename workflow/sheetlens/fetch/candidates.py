"""The pictures that a source could fetch: kept on disk, sampled by class with a seed.

A source collects in steps (a page of a search, an archive). What a step found is written at once, with a
note that it is done, so that a killed run goes on with the next step; memory holds one step at most.
"""

import hashlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.licences import allows
from sheetlens.fetch.listing import LISTING, Request
from sheetlens.fetch.records.terms import WITHHELD, withhold
from sheetlens.fetch.records.texts import clean, picture_name, slug

HOST = re.compile(r"https?://(?:[^/?#@]*@)?([\w.-]+|\[[\da-f:.]+\])(?=[:/?#]|$)", re.IGNORECASE)  # of a web address
JPEG = re.compile(r"\.jpe?g(?=$|[?#])", re.IGNORECASE)  # before a master of the same size, which may be huge
# A place that is taken out leaves no bytes behind (secure_delete).
PRAGMAS = "pragma synchronous = off; pragma cache_size = -65536; pragma secure_delete = on;"
SCHEMA = """
create table if not exists picture
    (image_id text primary key, label text, rank blob, ways text, fields text, same text unique);
create table if not exists step (name text primary key, value text);
create table if not exists left_out (label text, reason text, number integer, primary key (label, reason));
create table if not exists record (id text primary key, label text, terms text, pictured integer default 0);
create table if not exists note (name text primary key, value text);
"""
T = TypeVar("T")


class Candidates:
    """The candidates of one data set, in a SQLite file. Other settings start a new collection."""

    def __init__(self, path: Path, settings: Any, *places: str) -> None:
        """Open or begin the file.

        `settings` are those of a source with `classes`, `seed` and `licences`; `places` are files and folders
        here that the source reads: if they change, the collection begins anew. How many images are wanted
        of a class may change without that.
        """
        self.path, self.settings = path, settings
        looked_for = settings.model_dump_json(exclude={"classes": {"__all__": {"images"}}})
        wanted = hashlib.sha256(f"{SCHEMA}{looked_for}{_state(places)}".encode()).hexdigest()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.base = self._open(path)
        if self.recall("settings") != wanted:
            self.base.close()
            self.base = self._begin(path)
            self.note("settings", wanted)
            self.note("begun", datetime.now(UTC).date().isoformat())
            self.base.commit()

    def _open(self, path: Path) -> sqlite3.Connection:
        base = sqlite3.connect(path)
        try:
            base.executescript(PRAGMAS + SCHEMA)
        except sqlite3.DatabaseError:  # cut short by a crash of the machine
            base.close()
            return self._begin(path)
        return base

    def _begin(self, path: Path) -> sqlite3.Connection:
        for left in (path, path.with_name(f"{path.name}-journal")):
            left.unlink(missing_ok=True)
        return self._open(path)

    @contextmanager
    def step(self, name: str) -> Iterator[bool]:
        """Whether a step is still to do; when the block ends well, it is done, and all it found is written."""
        done = self.base.execute("select 1 from step where name = ?", (name,)).fetchone()
        try:
            yield done is None
        except BaseException:
            self.base.rollback()
            raise
        self.base.execute("insert or ignore into step values (?, '')", (name,))
        self.base.commit()

    def note(self, name: str, value: Any) -> None:
        """Keep a fact about the collection, such as a DOI."""
        self.base.execute("insert or replace into note values (?, ?)", (name, json.dumps(value)))

    def recall(self, name: str) -> Any:
        """A fact that was kept, or None."""
        found = self.base.execute("select value from note where name = ?", (name,)).fetchone()
        return json.loads(found[0]) if found else None

    def forget(self, step: str) -> None:
        """Let a step be done again."""
        self.base.execute("delete from step where name = ?", (step,))
        self.base.commit()

    def add(
        self,
        label: str,
        ways: Sequence[tuple[str, str]],
        fields: Mapping[str, Any],
        licence: tuple[str, bool],
        same: str = "",
        sizes: Sequence[str] = (),
    ) -> bool:
        """Add a picture of a class, unless its addresses or its licence will not do; was one of its addresses usable?

        `ways` are addresses, each with the size asked for there, in the order to try them; `fields` are
        columns of LISTING; `licence` is what `licences.resolve` says. The same picture twice is kept once: what has
        the same `same`. Its addresses are then tried in the order of their `sizes`.
        """
        name, asserted = licence
        usable = [
            (url, f"{host[1].lower()} {size}", sizes.index(size) if size in sizes else number)
            for number, (url, size) in enumerate(ways)
            if (host := HOST.match(url))
        ]
        if not usable:
            self.leave_out(
                label, "whose address is none of the web" if any(url for url, _ in ways) else "without an address"
            )
        elif not allows(self.settings.licences, name if asserted else ""):
            self.leave_out(label, f"under {clean(name)}" if asserted else "whose licence nobody asserted")
        else:
            columns = {**fields, "licence": name, "licence_asserted": asserted}
            self._keep(label, usable, {key: clean(value) for key, value in columns.items() if key in LISTING}, same)
        return bool(usable)

    def _keep(self, label: str, ways: Sequence[tuple[str, str, int]], fields: Mapping[str, Any], same: str) -> None:
        """Keep a picture, together with the other sizes of it that are known already."""
        found = self.base.execute("select image_id, ways, fields from picture where same = ?", (same,)).fetchone()
        if not found:
            if not self._insert(label, ways, fields, same or None):
                self.leave_out(label, "named twice")
            return
        image_id, before, kept = found[0], [tuple(way) for way in json.loads(found[1])], json.loads(found[2])
        new = [way for way in ways if way[0] not in {url for url, *_ in before}]
        self.leave_out(label, "that are another size of one that is kept" if new else "named twice")
        if new and fields["licence"] == kept.get("licence", ""):  # what is empty is not kept
            both = sorted([*before, *new], key=lambda way: (way[2], not JPEG.search(way[0]), way[0]))
            self.base.execute("delete from picture where image_id = ?", (image_id,))
            self._insert(label, both, fields if both[0] in new else kept, same)

    def _insert(
        self, label: str, ways: Sequence[tuple[str, str, int]], fields: Mapping[str, Any], same: str | None
    ) -> bool:
        kept = {key: value for key, value in fields.items() if value not in ("", None)}
        name = f"{slug(label)}/{picture_name(kept, ways[0][0])}"
        rank = hashlib.sha256(f"{self.settings.seed}:{name}".encode()).digest()
        values = (name, label, rank, json.dumps(ways), json.dumps(kept), same)
        return bool(self.base.execute("insert or ignore into picture values (?, ?, ?, ?, ?, ?)", values).rowcount)

    def know(self, key: str, label: str, record: Mapping[str, str]) -> bool:
        """Keep the record of a specimen until its pictures come, without a protected place; is its id new?

        The first record of an id counts; a later one that protects the place protects it there, too.
        """
        known = {term: value for term, value in withhold(record).items() if value}
        statement = "insert or ignore into record (id, label, terms) values (?, ?, ?)"
        new = bool(self.base.execute(statement, (key, label, json.dumps(known))).rowcount)
        if not new and WITHHELD in known and (first := self.known(key)):
            place = json.dumps(withhold(first[1] | {WITHHELD: known[WITHHELD]}))
            self.base.execute("update record set terms = ? where id = ?", (place, key))
        return new

    def known(self, key: str) -> tuple[str, dict[str, str]] | None:
        """Class and terms of a record that was kept, or None."""
        found = self.base.execute("select label, terms from record where id = ?", (key,)).fetchone()
        return (found[0], json.loads(found[1])) if found else None

    def pictured(self, key: str) -> None:
        """Note that a media row names a picture of a record by a usable address."""
        self.base.execute("update record set pictured = 1 where id = ?", (key,))

    def unpictured(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Id, class and terms of the records that no media row names a picture of."""
        for key, label, known in self.base.execute("select id, label, terms from record where not pictured"):
            yield key, label, json.loads(known)

    def leave_out(self, label: str, reason: str) -> None:
        """Count a picture that is no candidate, by reason."""
        self.base.execute(
            "insert into left_out values (?, ?, 1) on conflict do update set number = number + 1", (label, reason[:200])
        )

    def left_out(self, label: str) -> Counter[str]:
        """How many pictures are no candidates, by reason."""
        rows = self.base.execute("select reason, number from left_out where label = ?", (label,))
        return Counter(dict(rows.fetchall()))

    def count(self, label: str) -> int:
        """How many candidates a class has."""
        return int(self.base.execute("select count(*) from picture where label = ?", (label,)).fetchone()[0])

    def cite(self, service: str, **facts: Any) -> None:
        """Write `citation.json` beside the collection: where the records come from, and what was left out."""
        found = {
            label: {"candidates": self.count(label), "left_out": dict(self.left_out(label))}
            for label in sorted(self.settings.classes)
        }
        values = {
            "service": service,
            "searched": self.recall("begun"),
            **facts,
            "seed": self.settings.seed,
            "classes": found,
        }
        files.write_json(self.path.with_name("citation.json"), values)

    def explain(self, *sentences: str) -> None:
        """Keep why there may be no pictures, for the error that says so."""
        self.note("why", [*(self.recall("why") or ()), *sentences])

    def _account(self, label: str, have: int) -> str:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out(label).most_common(5))
        return f"{have:,} exist" + (f" (left out: {reasons})" if reasons else "")

    def sample(self) -> Iterator[Request]:
        """Yield as many pictures of each class as are wanted (None: all), chosen by the seed alone.

        The choice depends on seed and names, not on the order in which pages came.
        Raises UserError when a class has fewer.
        """
        wanted = {label: chosen.images for label, chosen in self.settings.classes.items()}
        for label, number in wanted.items():
            have = self.count(label)
            if have < (number or 1):
                reasons = [] if have else list(self.recall("why") or ())
                if have or self.left_out(label):
                    reasons.append("ask for fewer (`images`) or allow more licences (`licences`)")
                asked = "1 image is asked for" if number in (None, 1) else f"{number:,} images are asked for"
                why = ": " * bool(reasons) + "; ".join(reasons)
                raise UserError(f"class '{label}': {asked} and {self._account(label, have)}{why}")
        for label, number in wanted.items():
            rows = self.base.execute(
                "select image_id, ways, fields from picture where label = ? order by rank limit ?",
                (label, -1 if number is None else number),
            )
            for image_id, ways, fields in rows:
                urls, routes, _ = zip(*json.loads(ways), strict=True)
                yield Request(image_id, urls, routes, fields={"label": label, **json.loads(fields)})


def required(answer: Any, name: str, kind: type[T], service: str) -> T:
    """A part of a service's answer; raise UserError where it is not there or of another kind."""
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, kind):
        raise UserError(f"{service} answered without `{name}`, which every answer should have: run again later")
    return found


def _state(places: Sequence[str]) -> list[tuple[str, int, int]]:
    """Names, sizes and times of the files that are here."""
    roots = [files.at_home(place) for place in places if "://" not in place]
    found = sorted(path for root in roots for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file())
    return [(path.as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in found]
