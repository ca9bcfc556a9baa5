import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright


class Server:
    """The command `sheetlens review` (or `label`), to be killed and started again at the same address."""

    def __init__(self, run: Path, *options: object, command: str = "review") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.arguments, self.address = [run, "--port", self.port, *options], f"http://127.0.0.1:{self.port}/"
        self.command = command

    def start(self) -> None:
        command = [sys.executable, "-m", "sheetlens", self.command, *map(str, self.arguments)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 180  # on a machine that has much else to do
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(self.address).close()
                return
            except urllib.error.URLError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


def until(page, expression: str, seconds: float = 60) -> None:
    """Wait for an expression to be true; Playwright's own waiting needs the eval that the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


@pytest.fixture(scope="module")  # while it is open no other event loop can run, and other tests have theirs
def chromium():
    """The system's Chromium; none is ever downloaded."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        pytest.skip("there is no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def serve():
    """Start servers of runs; they end with the test."""
    servers = []

    def start(run: Path, *options: object, command: str = "review") -> Server:
        servers.append(Server(run, *options, command=command))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def reviewer(chromium):
    """Open the page at an address as a reviewer of that name, in a browser profile of their own."""
    contexts = []

    def open_page(place: Server | Path, name: str, waits: bool = True, held: str = ""):
        contexts.append(chromium.new_context(viewport={"width": 1280, "height": 800}))
        page = contexts[-1].new_page()
        page.held = []
        if held:
            page.route(f"**/{held}", lambda route: page.held.append(route))  # until the test lets it go on
        page.goto(place.as_uri() if isinstance(place, Path) else place.address)
        if waits:
            until(page, "document.getElementById('picture').naturalWidth > 0")
        page.fill("#reviewer", name)
        page.press("#reviewer", "Enter")
        return page

    yield open_page
    for context in contexts:
        context.close()
