"""What was asked for, what came of it: a table on disk that outlives a kill, and the queue of what is left.

A run may be killed and opened many times; it ends with `finish`. What a server answered for good is not asked
again in the same run; a new run asks again for all that is not there.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sheetlens.common.errors import DAMAGE, UserError, kind_of
from sheetlens.common.refusals import Reason, code_of
from sheetlens.common.secrets import address_without_secrets
from sheetlens.fetch.http.addresses import text
from sheetlens.fetch.listing import LISTING, Request

TAKEN = 9e12  # `later` of a row that somebody is at work on
SCHEMA = """
CREATE TABLE IF NOT EXISTS state (run INTEGER, opening INTEGER);
INSERT INTO state SELECT 1, 0 WHERE NOT EXISTS (SELECT * FROM state);
CREATE TABLE IF NOT EXISTS files (
    image_id TEXT PRIMARY KEY, request TEXT, urls TEXT, routes TEXT, expected TEXT, fields TEXT, host TEXT,
    opening INTEGER, settled INTEGER DEFAULT 0, state TEXT DEFAULT 'waiting', reason TEXT DEFAULT '',
    reason_code TEXT DEFAULT '', wanted INTEGER DEFAULT 1,
    attempts INTEGER DEFAULT 0, later REAL DEFAULT 0, refused_at REAL DEFAULT 0,
    begun TEXT DEFAULT '', etag TEXT DEFAULT '', total INTEGER DEFAULT 0, spoilt TEXT DEFAULT '',
    source_url TEXT DEFAULT '', route TEXT DEFAULT '', path TEXT DEFAULT '', content_type TEXT DEFAULT '',
    bytes INTEGER DEFAULT 0, sha256 TEXT DEFAULT '', facts TEXT DEFAULT '{}'
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON files (host, later) WHERE state = 'waiting';
"""
STAGE = """
INSERT INTO files (image_id, request, urls, routes, expected, fields, host, opening, state, reason, reason_code, wanted)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (image_id) DO UPDATE SET
    fields = excluded.fields, opening = excluded.opening, host = excluded.host,
    urls = excluded.urls, routes = excluded.routes, expected = excluded.expected, attempts = 0, later = 0,
    total = CASE WHEN request = excluded.request THEN total ELSE 0 END,
    spoilt = CASE WHEN request = excluded.request THEN spoilt ELSE '' END,
    state = CASE WHEN {kept} THEN state ELSE excluded.state END,
    reason = CASE WHEN {kept} THEN reason ELSE excluded.reason END,
    reason_code = CASE WHEN {kept} THEN reason_code ELSE excluded.reason_code END,
    wanted = excluded.wanted,
    path = CASE WHEN {kept} THEN path ELSE '' END,
    request = excluded.request
WHERE opening < excluded.opening
RETURNING state
"""
# What came of it stands: the same request, here already or refused for good in this run, and not days ago.
KEPT = """(request = excluded.request AND excluded.state = 'waiting' AND (state = 'ok' OR state = 'refused'
    AND settled = (SELECT run FROM state) AND refused_at > unixepoch() - 86400))"""
# Columns that a journal of an earlier version lacks.
ADDED = {
    "reason_code": "TEXT DEFAULT ''",
    "wanted": "INTEGER DEFAULT 1",
    "refused_at": "REAL DEFAULT 0",
}


@dataclass(slots=True)
class Taken:
    """A request taken from the queue, with what earlier attempts left."""

    request: Request
    attempts: int
    begun: str  # address from which a part of the file is here already
    etag: str
    total: int
    content_type: str
    spoilt: str  # sha256 of the last body that was not what it should be


class Journal:
    """The journal of one folder of files."""

    def __init__(self, path: Path) -> None:
        """Open or make it; whoever was at work on a row before is gone."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)  # it must know addresses with what they hold of passwords, and nobody else need
        self._base = sqlite3.connect(path, isolation_level=None)
        self._staged = 0
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if kind_of(error) not in DAMAGE:  # a full disk passes, and the record of what is here must not
                raise
            raise UserError(f"{path} is damaged ({error}): delete it; its files will be fetched again") from None

    def _open(self) -> None:
        self._base.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + SCHEMA)
        known = {row[1] for row in self._base.execute("PRAGMA table_info(files)")}
        for name, kind in ADDED.items():
            if name not in known:
                self._base.execute(f"ALTER TABLE files ADD COLUMN {name} {kind}")
        self._base.execute("UPDATE state SET opening = opening + 1")
        self._base.execute("UPDATE files SET later = 0 WHERE state = 'waiting'")
        (self._opening,) = self._base.execute("SELECT opening FROM state").fetchone()

    def close(self) -> None:
        """Close it."""
        self._base.close()

    def finish(self) -> None:
        """End the run: the next opening begins a new one."""
        self._base.execute("UPDATE state SET run = run + 1")

    def arrived(self) -> Iterator[tuple[str, str, str, int]]:
        """What is noted as kept: image_id, request, path, bytes."""
        yield from self._base.execute("SELECT image_id, request, path, bytes FROM files WHERE state='ok' AND path!=''")

    def whole(self) -> Iterator[dict[str, str]]:
        """Every file that arrived, kept or not: image_id, path ("" if it was dropped), sha256."""
        for row in self._base.execute("SELECT image_id, path, sha256 FROM files WHERE state = 'ok' ORDER BY image_id"):
            yield dict(zip(("image_id", "path", "sha256"), row, strict=True))

    def forget(self, image_ids: Iterable[str]) -> None:
        """Files that are gone: they wait to be fetched again."""
        forget = "UPDATE files SET state = 'waiting', path = '', total = 0 WHERE image_id = ?"
        with self._transaction():
            self._base.executemany(forget, ((image_id,) for image_id in image_ids))

    def stage(self, requests: Iterable[tuple[Request, str]]) -> tuple[set[str], int]:
        """Note requests, each with its host; return the hosts of those that wait, and their number.

        A row that is there and was asked for in the same way keeps what came of it. A second row of
        the same image_id is refused under an image_id of its own.
        """
        hosts, waiting, statement = set(), 0, STAGE.format(kept=KEPT)
        with self._transaction():
            for request, host in requests:
                self._staged += 1
                state = self._base.execute(statement, self._row(request, host)).fetchone()
                if state is None:
                    again = Request(
                        f"{request.image_id}#{self._staged}", request.urls, request.routes, fields=request.fields,
                        refused=Reason("row_again"), wanted=False,
                    )  # fmt: skip
                    self._base.execute(statement, self._row(again, "")).fetchone()
                elif state[0] == "waiting":
                    hosts.add(host)
                    waiting += 1
        return hosts, waiting

    def _row(self, request: Request, host: str) -> tuple[Any, ...]:
        expected = json.dumps([request.bytes, request.md5, request.sha256])
        fields = json.dumps(
            {key: text(value) if isinstance(value, str) else value for key, value in request.fields.items()}
        )
        urls = json.dumps(request.urls)
        state = "refused" if request.refused else "waiting"
        digest = digest_of(request)
        return (
            request.image_id, digest, urls, json.dumps(request.routes), expected, fields, host, self._opening, state,
            str(request.refused), code_of(request.refused), request.wanted,
        )  # fmt: skip

    def take(self, host: str, most: int) -> list[Taken]:
        """Take requests of a host that are due."""
        rows = self._base.execute(
            "UPDATE files SET later = ? WHERE image_id IN (SELECT image_id FROM files WHERE state = 'waiting'"
            " AND host = ? AND later <= ? AND opening = ? ORDER BY later LIMIT ?)"
            " RETURNING image_id, urls, routes, expected, fields, attempts, begun, etag, total, content_type, spoilt",
            (TAKEN, host, time.time(), self._opening, most),
        ).fetchall()
        return [_taken(row) for row in rows]

    def soonest(self, host: str) -> float | None:
        """When the next request of a host is due (seconds since 1970); None if none waits."""
        query = "SELECT min(later) FROM files WHERE state = 'waiting' AND host = ? AND later < ? AND opening = ?"
        return self._base.execute(query, (host, TAKEN, self._opening)).fetchone()[0]

    def begin(self, image_id: str, url: str, etag: str, total: int, content_type: str) -> None:
        """Note that a body has begun, so that it can be taken up again."""
        values = (url, etag, total, content_type, image_id)
        statement = "UPDATE files SET begun = ?, etag = ?, total = ?, content_type = ? WHERE image_id = ?"
        self._base.execute(statement, values)

    def retry(self, image_id: str, seconds: float, spoilt: str) -> None:
        """Put a request back for later."""
        self._base.execute(
            "UPDATE files SET attempts = attempts + 1, later = ?, spoilt = ? WHERE image_id = ?",
            (time.time() + seconds, spoilt, image_id),
        )

    def refuse(self, image_id: str, reason: str, settled: bool) -> None:
        """A file that is not to be had; settled: the server said so, it is not asked again in this run."""
        self._base.execute(
            "UPDATE files SET state = 'refused', reason = ?, reason_code = ?, refused_at = ?,"
            " settled = iif(?, (SELECT run FROM state), 0) WHERE image_id = ?",
            (str(reason), code_of(reason), time.time(), settled, image_id),
        )

    def give_up(self, host: str, reason: Reason) -> int:
        """All that waits for a host is not to be had in this run; return how many."""
        statement = (
            "UPDATE files SET state = 'refused', reason = ?, reason_code = ?, settled = 0"
            " WHERE state = 'waiting' AND host = ? AND opening = ?"
        )
        return self._base.execute(statement, (str(reason), code_of(reason), host, self._opening)).rowcount

    def done(self, image_id: str, facts: Mapping[str, Any], **columns: Any) -> None:
        """A file is here, whole and checked."""
        columns |= {"state": "ok", "reason": "", "reason_code": "", "facts": json.dumps(facts, default=str)}
        names = ", ".join(f"{name} = ?" for name in columns)
        self._base.execute(f"UPDATE files SET {names} WHERE image_id = ?", (*columns.values(), image_id))  # noqa: S608

    def missing(self) -> list[tuple[str, int, int, str, bool]]:
        """For each label that lacks files: label, how many, of how many, the main reason, whether some may come yet.

        What the source itself left out, such as a licence that is not wanted, is not missing.
        """
        query = """
            WITH asked AS (
                SELECT json_extract(fields, '$.label') AS label, state != 'ok' AS lacks, settled, reason, reason_code
                FROM files WHERE opening = ? AND wanted
            ),
            reasons AS (
                SELECT label, min(reason) AS reason,
                    row_number() OVER (PARTITION BY label ORDER BY count(*) DESC, reason_code) AS place
                FROM asked WHERE lacks GROUP BY label, reason_code
            )
            SELECT label, sum(lacks), count(*),
                (SELECT reason FROM reasons WHERE reasons.label = asked.label AND place = 1),
                max(lacks AND settled = 0)
            FROM asked GROUP BY label HAVING sum(lacks) > 0"""
        return self._base.execute(query, (self._opening,)).fetchall()

    def rows(self) -> Iterator[dict[str, Any]]:
        """The listing: rows of LISTING sorted by image_id, and `facts`, what `finished` returned."""
        names = ("source_url", "route", "path", "content_type", "bytes", "sha256", "state", "reason", "reason_code")
        query = f"SELECT image_id, fields, facts, urls, routes, {', '.join(names)} FROM files WHERE opening = ?"  # noqa: S608
        for image_id, fields, facts, urls, routes, *values in self._base.execute(
            query + " ORDER BY image_id", (self._opening,)
        ):
            found = dict(zip(names, values, strict=True))
            status = "ok" if found.pop("state") == "ok" else "refused"
            asked = {"source_url": next(iter(json.loads(urls)), ""), "route": next(iter(json.loads(routes)), "")}
            if status == "refused":
                found.pop("content_type")  # of a body that began, and was not to be had
            known = {key: value for key, value in found.items() if value}
            row = LISTING | json.loads(fields) | asked | known
            row["source_url"] = address_without_secrets(row["source_url"])
            yield row | {"image_id": image_id, "status": status, "facts": json.loads(facts)}

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._base)


class _Transaction:
    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN")

    def __exit__(self, kind: object, *_: object) -> None:
        self._base.execute("ROLLBACK" if kind else "COMMIT")


def digest_of(request: Request) -> str:
    """A short digest of what is asked for, in which the columns of the listing have no part."""
    asked = json.dumps([request.image_id, request.urls, request.bytes, request.md5, request.sha256])
    return hashlib.sha256(asked.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _taken(row: tuple[Any, ...]) -> Taken:
    image_id, urls, routes, expected, fields, *rest = row
    size, md5, sha256 = json.loads(expected)
    request = Request(
        image_id, tuple(json.loads(urls)), tuple(json.loads(routes)), size, md5, sha256, json.loads(fields)
    )
    return Taken(request, *rest)
