"""Run the stand-ins: prints the port once it listens, ends with its parent."""

import asyncio
import logging
import os
import sys

from aiohttp import web

from tests.services.server import make

ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]


async def main() -> None:
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # clients that go away are what is tested
    runner = web.AppRunner(make(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    first = web.TCPSite(runner, ADDRESSES[0], 0)
    await first.start()
    port = runner.addresses[0][1]
    for address in ADDRESSES[1:]:
        await web.TCPSite(runner, address, port).start()
    print(port, flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
