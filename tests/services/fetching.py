"""Run the engine in a test."""

import asyncio
from pathlib import Path

from sheetlens.config import Fetch
from sheetlens.fetch.engine import Engine
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Request


def bring(settings: Fetch, folder: Path, requests: list[Request], finish: bool = True, **options) -> dict[str, dict]:
    """Fetch requests into `folder`/originals; return the rows of the listing by image_id."""

    async def stream():
        for request in requests:
            yield request

    async def run():
        async with Session(settings, seed=1) as session:
            engine = Engine(session, folder / "originals", folder / "fetch", **options)
            await engine.bring(stream())
            rows = {row["image_id"]: row for row in engine.journal.rows()}
            if finish:
                engine.finish()
            engine.journal.close()
            return rows

    return asyncio.run(run())
