"""The engine: many files from many hosts, each host at its own pace, nothing lost to a kill, nothing twice.

Requests are streamed into the journal, which is also the queue: memory does not grow with their number.
"""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from sheetlens.common.errors import UserError
from sheetlens.common.refusals import OURS, Reason, RefusedFileError, code_of
from sheetlens.fetch.content_checks import BrokenImageError, check_image
from sheetlens.fetch.errors import LaterError, RefusedError, joined
from sheetlens.fetch.host_faults import HostFaults
from sheetlens.fetch.http.addresses import check_name, check_url, place, text
from sheetlens.fetch.http.session import LONGEST_PAUSE, Session
from sheetlens.fetch.http.transfer import Body, spoil, transfer
from sheetlens.fetch.listing import Request
from sheetlens.fetch.request_log import Journal, Taken, digest_of

BATCH = 500  # requests noted at a time
HANDFUL = 32  # requests that a host's workers take from the queue at a time
DECODERS = 4  # threads that check files
Alternatives = Callable[[Request, Session], Awaitable[list[tuple[str, str]]]]
log = logging.getLogger(__name__)


class Engine:
    """Brings the files of one data set below `originals`; its journal and parts of files are in `state`.

    `check(path)` decides in a thread whether a file is what it should be (BrokenImageError, RefusedError).
    `finished(request, path) -> facts` is called in a thread for each whole file, before it has its final
    name; its facts are journaled, and a RefusedError it raises refuses the file. After a kill it may be called
    again for a file whose facts were not yet noted, never for one whose facts were. With `keep=False` the
    file is then dropped and the listing keeps its hash. `alternatives(request, session)` names further
    (address, route) pairs when all addresses of a request were refused.
    """

    def __init__(
        self,
        session: Session,
        originals: Path,
        state: Path,
        *,
        check: Callable[[Path], Any] = check_image,
        finished: Callable[[Request, Path], dict[str, Any]] | None = None,
        keep: bool = True,
        alternatives: Alternatives | None = None,
        largest: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Open the journal; files it knows of that are gone will be fetched again."""
        self.session, self.originals, self.journal = session, originals, Journal(state / "journal.sqlite")
        self._parts, self._check, self._finished, self._keep = state / "parts", check, finished, keep
        self._alternatives, self._progress = alternatives, progress
        self._largest = largest or session.settings.largest
        self._workers: dict[str, list[asyncio.Task[None]]] = {}
        self._waiting: dict[str, deque[Taken]] = {}
        self._faults = HostFaults(session)
        self._struck: dict[str, dict[str, RefusedFileError]] = {}  # image_id -> address -> why not to ask there again
        self._more: dict[str, list[tuple[str, str]]] = {}  # image_id -> its alternatives, once asked for
        self._done = self._total = 0
        originals.mkdir(parents=True, exist_ok=True)
        self._parts.mkdir(parents=True, exist_ok=True)
        self._recover()

    async def bring(self, requests: AsyncIterator[Request]) -> None:
        """Fetch all requests that are not here yet; the journal then says what came of each.

        Raises OSError for the disk and UserError for what a person must put right first.
        """
        self._pool = ThreadPoolExecutor(DECODERS)
        try:
            async with asyncio.TaskGroup() as self._group:
                await self._stage(requests)
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            self._pool.shutdown(cancel_futures=True)

    def finish(self) -> None:
        """End the run, so that the next one asks again for what is missing."""
        for part in self._parts.iterdir():
            part.unlink()
        self.journal.finish()

    def _recover(self) -> None:
        """A file is noted before it gets its final name: give it the name now, or forget it if it is gone."""
        gone = []
        for image_id, request, path, size in self.journal.arrived():
            final, part = Path(path), self._parts / request
            if final.is_file() and final.stat().st_size == size:
                continue
            if part.is_file() and part.stat().st_size == size:
                part.replace(final)
            else:
                gone.append(image_id)
        self.journal.forget(gone)

    async def _stage(self, requests: AsyncIterator[Request]) -> None:
        batch: list[tuple[Request, str]] = []
        async for request in requests:
            batch.append(self._vetted(request))
            if len(batch) == BATCH:
                self._note(batch)
                await asyncio.sleep(0)
        self._note(batch)

    def _note(self, batch: list[tuple[Request, str]]) -> None:
        hosts, waiting = self.journal.stage(batch)
        batch.clear()
        self._total += waiting
        for host in hosts:
            self._start(host)

    def _vetted(self, request: Request) -> tuple[Request, str]:
        """The request with its host, or refused for what is wrong with its name or addresses."""
        reason = request.refused
        try:
            check_name(request.image_id)
            if not request.urls and not reason:
                raise RefusedError(Reason("no_address"))
            hosts = [check_url(url).host or "" for url in request.urls]
        except RefusedError as error:
            reason = reason or error.reason
        if not reason:
            return request, hosts[0]
        urls = tuple(text(url) for url in request.urls)
        wanted = not request.refused
        refused = Request(
            text(request.image_id), urls, request.routes, fields=request.fields, refused=reason, wanted=wanted
        )
        return refused, ""

    def _start(self, host: str) -> None:
        """See to it that a host has its workers."""
        workers = self._workers.setdefault(host, [])
        workers[:] = [worker for worker in workers if not worker.done()]
        for _ in range(self.session.politeness.limit(host).connections - len(workers)):
            workers.append(self._group.create_task(self._work(host)))

    async def _work(self, host: str) -> None:
        """Fetch what waits for a host until nothing does."""
        waiting = self._waiting.setdefault(host, deque())
        while True:
            if reason := self._faults.left_alone(host):
                waiting.clear()
                self._done += self.journal.give_up(host, reason)
                return
            if not waiting:
                waiting.extend(self.journal.take(host, HANDFUL))
            if waiting:
                await self._fetch(waiting.popleft(), host)
            elif soonest := self.journal.soonest(host):
                await asyncio.sleep(min(max(soonest - time.time(), 0.01), 5))
            else:
                return

    async def _fetch(self, taken: Taken, host: str) -> None:
        """Try the addresses of a request; note what came of it."""
        image_id, last = taken.request.image_id, taken.attempts + 1 >= self.session.settings.attempts
        try:
            await self._try_addresses(taken)
        except LaterError as error:
            if not last and (error.seconds or 0) <= LONGEST_PAUSE:
                pause = self.session.back_off(taken.attempts + 1, error)
                self.journal.retry(image_id, pause, taken.spoilt)
                return
            self.journal.refuse(image_id, _after(taken.attempts + 1, error.reason), settled=False)
        except RefusedError as error:
            self.journal.refuse(image_id, error.reason, settled=code_of(error.reason) not in OURS)
        except (OSError, UserError, sqlite3.Error):
            raise  # the disk, or what a person must put right first
        except Exception as error:  # whatever one row holds, it ends the row and not the fetch
            log.exception("%s", image_id)
            self.journal.refuse(image_id, Reason("unexpected", what=f"{type(error).__name__}: {error}"), settled=True)
        self._struck.pop(image_id, None)
        self._more.pop(image_id, None)
        self._done += 1
        self._progress(self._done, self._total)

    async def _try_addresses(self, taken: Taken) -> None:
        """Try each address that did not refuse before, then what a source has for the case that all refused."""
        request, later = taken.request, list[LaterError]()
        struck = self._struck.setdefault(request.image_id, {})
        waiting = deque(request.addresses() + self._more.get(request.image_id, []))
        while waiting:
            url, route = waiting.popleft()
            if url not in struck:
                try:
                    return await self._ask(taken, url, route)
                except LaterError as error:
                    later.append(error)
                except RefusedError as error:
                    struck[url] = error
            broken = all(error.status == 500 for error in later)  # many a server says so of what it cannot do
            if not waiting and broken and self._alternatives and request.image_id not in self._more:
                self._more[request.image_id] = await self._alternatives(request, self.session)
                waiting.extend(self._more[request.image_id])
        reason = joined([*struck.values(), *later])
        if later:
            pauses = [error.seconds or 0 for error in later]
            waited = [pause for pause in pauses if pause <= LONGEST_PAUSE]  # for the others it is another run
            raise LaterError(reason, max(waited or pauses))
        raise RefusedError(reason)

    async def _ask(self, taken: Taken, url: str, route: str) -> None:
        """Bring one file from one address and check it, watching how its host behaves."""
        request, host = taken.request, check_url(url).host or ""
        part = self._parts / digest_of(request)
        self._faults.check(host)
        begin = partial(self.journal.begin, request.image_id)
        try:
            body = await transfer(self.session, taken, url, part, begin, self._largest)
            try:
                facts = await asyncio.get_running_loop().run_in_executor(self._pool, self._examine, request, part)
            except BrokenImageError as error:
                spoil(taken, part, body.sha256, error.reason)
        except (LaterError, RefusedError) as error:
            if error.of_host if isinstance(error, LaterError) else error.stop:
                self._faults.failed(url, host, error)
            raise
        self._faults.worked(host)
        self._keep_file(request, part, facts, source_url=url, route=route, body=body)

    def _examine(self, request: Request, part: Path) -> dict[str, Any]:
        """In a thread: check a file, and hand it on."""
        try:
            self._check(part)
            return self._finished(request, part) if self._finished else {}
        except RefusedError:
            part.unlink(missing_ok=True)
            raise

    def _keep_file(
        self, request: Request, part: Path, facts: dict[str, Any], *, source_url: str, route: str, body: Body
    ) -> None:
        """Note a whole file, then give it its final name or drop it: a kill in between loses nothing."""
        final = place(self.originals, request.image_id)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            if final.is_dir():
                raise FileExistsError
        except (FileExistsError, NotADirectoryError):
            raise RefusedError(Reason("name_folder")) from None
        self.journal.done(
            request.image_id,
            facts,
            source_url=source_url,
            route=route,
            path=final.as_posix() if self._keep else "",
            content_type=body.content_type,
            bytes=body.bytes,
            sha256=body.sha256,
        )
        if self._keep:
            part.replace(final)
        else:
            part.unlink()


def _after(attempts: int, reason: str) -> Reason:
    """A reason with how often was asked, where that was more than once."""
    said = f"{reason} ({attempts} attempts)" if attempts > 1 else reason
    return Reason.of({"reason": said, "reason_code": code_of(reason)})


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first single exception of a group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
