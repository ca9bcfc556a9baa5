"""The reference loop of `train_peers.py`, which reads JPEGs, on this machine: on its GPU if it has one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.gpu.parts import Facts
from benchmarks.gpu.scale import Scale
from benchmarks.train import PEERS, RATE, contend, make_sheets


def measure(scale: Scale) -> Iterator[Facts]:
    """Sheets a second that the reference loop trains on, for each network."""
    with tempfile.TemporaryDirectory() as folder:
        make_sheets(Path(folder), scale.peer_sheets)
        for network in scale.sheets:
            found = contend([*PEERS, "reference", network, folder, str(scale.batch), str(RATE)])
            if found["gpu"] != torch.cuda.is_available():
                raise SystemExit("the torch of PEER_PYTHON does not see the GPU that is here")
            yield {"network": network, "batch": scale.batch, "sheets_per_second": found["train"]}
