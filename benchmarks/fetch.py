"""Images a second and memory of fetching, against img2dataset on the same loopback server; memory for 1,000,000 rows.

The server is a process of its own that answers from four loopback addresses, each answer a JPEG of 50 kB with a
name of its own in it. Both peers decode every image and store it as served. Pairs of runs, in turn, medians.
 - polite: 8 connections (for us 2 to each host), the server waits 50 ms before each answer
 - full speed: 64 connections, no waiting
img2dataset is installed into a scratch environment (or give the folder of one as the first argument).
The last line is a JSON object; a ratio above 1 means that we are faster.
"""

import asyncio
import io
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

PEER = "img2dataset==1.47.0"
HOSTS = [f"127.0.0.{host}" for host in range(1, 5)]
PAIRS, SAMPLE = 3, 0.1  # seconds between two looks at the memory
MODES = {"polite": (8, 0.05, 1_000), "full": (64, 0.0, 4_000)}  # connections, seconds to wait, images
ROWS, DOWNLOADING, MEMORY_LIMIT = 1_000_000, 20, 500  # rows, seconds of fetching after all are noted, MB


def picture() -> bytes:
    """A JPEG of about 50 kB, as large as those of the paper's archive."""
    small = np.random.default_rng(1).integers(0, 255, (90, 60, 3), np.uint8)
    noise = np.random.default_rng(2).integers(-3, 4, (720, 480, 3))
    pixels = np.asarray(Image.fromarray(small).resize((480, 720), Image.Resampling.BICUBIC)).astype(int) + noise
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


async def serve(wait: float) -> None:
    """Answer every request with the picture, marked with the name asked for; print the port, then what was seen."""
    body, open_now, most = picture(), Counter[str](), Counter[str]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = writer.get_extra_info("sockname")[0]
        open_now[host] += 1
        most[host] = max(most[host], open_now[host])
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                name = head.split(b" ", 2)[1]
                if name == b"/most":
                    marked, kind = json.dumps(most).encode(), b"application/json"
                else:
                    await asyncio.sleep(wait)
                    mark = b"\xff\xfe" + (len(name) + 2).to_bytes(2, "big") + name
                    marked, kind = body[:2] + mark + body[2:], b"image/jpeg"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n" % (kind, len(marked)))
                writer.write(b'ETag: "%b"\r\n\r\n' % name[1:] + marked)
                if b"onnection: close" in head:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            open_now[host] -= 1
            writer.close()

    first = await asyncio.start_server(answer, HOSTS[0], 0, backlog=1000)
    port = first.sockets[0].getsockname()[1]
    others = [await asyncio.start_server(answer, host, port, backlog=1000) for host in HOSTS[1:]]
    print(port, flush=True)
    await asyncio.gather(first.serve_forever(), *(other.serve_forever() for other in others))


class Server:
    """The server in a process of its own."""

    def __init__(self, wait: float) -> None:
        """Take the seconds it waits before each answer."""
        self.wait = wait

    def __enter__(self) -> "Server":
        """Start it."""
        command = [sys.executable, __file__, "--serve", str(self.wait)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert self.process.stdout  # noqa: S101
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.process.kill()

    def urls(self, count: int) -> list[str]:
        """As many addresses, from all hosts in turn."""
        return [f"http://{HOSTS[number % 4]}:{self.port}/{number}.jpg" for number in range(count)]

    def most_connections(self) -> int:
        """Most connections to one host at a time, so far."""
        import urllib.request

        with urllib.request.urlopen(f"http://{HOSTS[0]}:{self.port}/most") as response:
            return max(json.load(response).values())


def watched(
    command: list[str], environment: dict[str, str], enough: Callable[[], bool] = lambda: False
) -> tuple[float, float]:
    """Run a command to its end or until it is enough; seconds and highest memory (PSS of all processes, MB)."""
    start, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603
        while process.poll() is None and not enough():
            held = 0
            root = psutil.Process(process.pid)
            for one in (root, *root.children(recursive=True)):
                try:
                    held += one.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                    continue
            peak = max(peak, held)
            time.sleep(SAMPLE)
        took = time.monotonic() - start
        if process.poll() is None:
            process.kill()
        elif process.returncode:
            log.seek(0)
            sys.exit(log.read())
    return took, peak / 1e6


def fetch_ours(
    folder: Path, urls: list[str], connections: int, enough: Callable[[], bool] = lambda: False
) -> tuple[float, float]:
    """Fetch with Sheetlens; seconds and MB."""
    table = folder / "table.csv"
    with table.open("w") as file:
        file.write("url,label,image_id\n")
        file.writelines(f"{url},{number % 2},{number % 2}/{number}.jpg\n" for number, url in enumerate(urls))
    limit = {"rate": 1e6, "connections": connections // len(HOSTS)}
    asking = {"allow": ["127.0.0.0/8"], "hosts": dict.fromkeys(HOSTS, limit), "connections": connections}
    command = [sys.executable, "-m", "sheetlens", "fetch", "urls", "--settings", json.dumps({"table": str(table)})]
    command += ["--originals", str(folder / "originals"), "--listing", str(folder / "listing.parquet")]
    return watched(command, os.environ | {"SHEETLENS_FETCH": json.dumps(asking)}, enough)


def fetch_peer(peer: Path, folder: Path, urls: list[str], connections: int) -> tuple[float, float]:
    """Fetch with img2dataset in one process, images decoded and stored as served; seconds and MB."""
    (folder / "urls.txt").write_text("\n".join(urls))
    command = [str(peer / "bin/img2dataset"), "--url_list", str(folder / "urls.txt"), "--input_format", "txt"]
    command += ["--output_folder", str(folder / "out"), "--output_format", "files", "--processes_count", "1"]
    command += ["--thread_count", str(connections), "--resize_mode", "no", "--skip_reencode", "True"]
    command += ["--compute_hash", "sha256", "--retries", "5", "--enable_wandb", "False"]
    return watched(command, dict(os.environ))


def compare(peer: Path, mode: str) -> dict[str, float]:
    """Pairs of runs in one mode."""
    connections, wait, count = MODES[mode]
    speeds: dict[str, list[float]] = {"ours": [], "peer": []}
    memories: dict[str, list[float]] = {"ours": [], "peer": []}
    reached = {"ours": 0, "peer": 0}
    for _ in range(PAIRS):
        for who in speeds:
            with Server(wait) as server, tempfile.TemporaryDirectory() as name:
                folder, urls = Path(name), server.urls(count)
                run = (
                    fetch_ours(folder, urls, connections)
                    if who == "ours"
                    else fetch_peer(peer, folder, urls, connections)
                )
                found = sum(1 for path in folder.rglob("*.jpg") if path.is_file())
                if found != count:
                    sys.exit(f"{who} brought {found} of {count} images")
                speeds[who].append(count / run[0])
                memories[who].append(run[1])
                reached[who] = max(reached[who], server.most_connections())
    ratios = [ours / theirs for ours, theirs in zip(speeds["ours"], speeds["peer"], strict=True)]
    for who in speeds:
        speed, memory = statistics.median(speeds[who]), statistics.median(memories[who])
        print(f"{mode:8}{who:6}{speed:10.0f} images/s{memory:8.0f} MB{reached[who]:5d} connections to one host")
    return {
        f"ratio_{mode}": statistics.median(ratios),
        f"{mode}_ours": statistics.median(speeds["ours"]),
        f"{mode}_peer": statistics.median(speeds["peer"]),
        f"{mode}_ours_mb": statistics.median(memories["ours"]),
        f"{mode}_peer_mb": statistics.median(memories["peer"]),
    }


def million() -> dict[str, float]:
    """Memory while 1,000,000 rows are noted and fetched for a while, and while all of them are listed."""
    noted = 0.0

    def enough() -> bool:
        nonlocal noted
        if not noted and (folder / "fetch/journal.sqlite").exists():
            with sqlite3.connect(folder / "fetch/journal.sqlite") as base:
                last = f"{(ROWS - 1) % 2}/{ROWS - 1}.jpg"
                try:
                    there = base.execute("SELECT 1 FROM files WHERE image_id = ?", (last,)).fetchone()
                except sqlite3.OperationalError:  # just being made
                    there = None
                noted = time.monotonic() if there else 0.0
        return bool(noted) and time.monotonic() - noted > DOWNLOADING

    with Server(0) as server, tempfile.TemporaryDirectory() as name:
        folder, urls = Path(name), server.urls(ROWS)
        seconds, noting = fetch_ours(folder, urls, 64, enough)
        base = sqlite3.connect(folder / "fetch/journal.sqlite")
        states = dict(base.execute("SELECT state, count(*) FROM files GROUP BY state"))
        # The rest counts as answered with 404, so that the next run only has to list everything.
        base.execute("UPDATE files SET state = 'refused', settled = 1, reason = '404' WHERE state = 'waiting'")
        base.commit()
        base.close()
        listing_seconds, listing = fetch_ours(folder, urls, 64)
    print(
        f"{sum(states.values()):,} rows: {noting:.0f} MB while noting all, fetching {states['ok']:,}, {seconds:.0f} s"
    )
    print(f"  {listing:.0f} MB while noting again and listing all, {listing_seconds:.0f} s")
    return {"ratio_memory": max(noting, listing) / MEMORY_LIMIT, "million_mb": max(noting, listing)}


def main() -> None:
    """Install the peer, compare, measure the memory."""
    with tempfile.TemporaryDirectory() as scratch:
        peer = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch)
        if not (peer / "bin/img2dataset").exists():
            venv.create(peer, with_pip=True)
            subprocess.run([peer / "bin/pip", "install", "--quiet", PEER], check=True)  # noqa: S603
        print(f"{platform.platform()}, {os.cpu_count()} cores, {PEER}, images of {len(picture()):,} bytes")
        facts = compare(peer, "polite") | compare(peer, "full") | million()
    facts = {key: round(value, 3) for key, value in facts.items()}
    print(json.dumps({"benchmark": "fetch", "ratio": facts["ratio_full"], **facts}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(float(sys.argv[2])))
    else:
        main()
