"""The parts of the run in order of worth, and one of them in a process of its own."""

import importlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.gpu.scale import FULL, REHEARSAL

Facts = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """`benchmarks.gpu.<module>.measure(scale, **options)` yields its facts, one JSON line each; `limit` in seconds."""

    name: str
    module: str
    limit: int
    options: dict[str, bool] = field(default_factory=dict)


PARTS = (
    Part("machine", "machine", 40),
    Part("tests", "tests", 60),
    Part("train", "whole", 45, {"compile": False, "deterministic": True}),
    Part("train-any-order", "whole", 45, {"compile": False, "deterministic": False}),
    Part("reference", "reference", 45),
    Part("train-compiled-any-order", "whole", 100, {"compile": True, "deterministic": False}),
    Part("accuracy", "accuracy", 90),
    Part("features", "features", 30),
    Part("backbones", "backbones", 75),
    Part("two-processes", "two_processes", 45),
    Part("train-compiled", "whole", 100, {"compile": True, "deterministic": True}),
)
TOTAL = 480  # seconds for all of them: what does not fit any more is not begun
SLOWER = 6  # times as long as a GPU, each part and all, a rehearsal on a busy CPU may take


def measure(part: Part, rehearse: bool) -> Iterator[Facts]:
    """The facts of a part, measured in this process."""
    module = importlib.import_module(f"benchmarks.gpu.{part.module}")
    yield from module.measure(REHEARSAL if rehearse else FULL, **part.options)


def main() -> None:
    """Run the part that is named, and print its facts and nothing else: what others print goes to standard error."""
    name, *rehearse = sys.argv[1:]
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for facts in measure(next(part for part in PARTS if part.name == name), bool(rehearse)):
        print(json.dumps(facts), file=lines, flush=True)


if __name__ == "__main__":
    main()
