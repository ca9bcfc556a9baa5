"""How much each part of the run does: in full on a GPU, and as a rehearsal on the CPU."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Amounts of work.

    `sheets` to train on and to validate with, by network, for `epochs` in steps of `batch`; `compiled` are the networks
    that are compiled, too; `peer_sheets` for the reference loop; `drawn` sheets for the accuracy over `seeds`,
    `accuracy_epochs` each; `read` sheets for features; `batches` that are tried with each of so many `backbones`
    (None: all), `steps` of each; `shared` sheets to train on for two processes.
    """

    sheets: dict[str, tuple[int, int]]
    compiled: tuple[str, ...]
    epochs: int
    batch: int
    peer_sheets: int
    drawn: int
    seeds: tuple[int, ...]
    accuracy_epochs: int
    read: int
    backbones: int | None
    batches: tuple[int, ...]
    steps: int
    shared: int


FULL = Scale(
    sheets={"table1": (10_888, 3_111), "table2": (12_872, 3_678)},  # as in the paper
    compiled=("table1", "table2"),
    epochs=20,
    batch=256,
    peer_sheets=1024,
    drawn=640,
    seeds=(1, 2, 3, 4, 5),
    accuracy_epochs=8,
    read=8192,
    backbones=None,
    batches=(64, 256, 1024),
    steps=5,
    shared=1024,
)
REHEARSAL = Scale(
    sheets={"table1": (16, 8), "table2": (16, 8)},
    compiled=("table2",),  # half a minute on a CPU, and Table 1 twice that
    epochs=1,
    batch=8,
    peer_sheets=16,
    drawn=20,
    seeds=(1, 2),
    accuracy_epochs=1,
    read=32,
    backbones=1,  # all are trained elsewhere, and the largest take a CPU half a minute each
    batches=(2,),
    steps=1,
    shared=24,
)
