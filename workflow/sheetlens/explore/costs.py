"""What a network costs: parameters, arithmetic, and the memory of a GPU that its training takes."""

from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from sheetlens.common import files
from sheetlens.config import Recipe
from sheetlens.prepare.resize import SIZE
from sheetlens.train.device import choose_device
from sheetlens.train.networks import rebuild
from sheetlens.train.optimisation import make_optimiser


def measure_costs(model: Path) -> dict[str, Any]:
    """What the network of a model folder costs.

    `parameters`, and `trained` of them; `flops` of reading one sheet, a multiplication and an addition being two;
    `gpu_memory`, bytes that a training step takes on each GPU, without the image set: None where no GPU was trained on
    or is here; `device` and `precision` of the training.
    """
    facts = files.read_json(model / "model.json")
    with torch.device("meta"):  # shapes alone: nothing is computed
        network, sheet = rebuild(facts).eval(), torch.zeros(1, 3, SIZE, SIZE)
    trained = sum(tensor.numel() for tensor in network.parameters() if tensor.requires_grad)
    network.requires_grad_(True)  # where nothing is trained, attention takes a way that the counter does not see
    with FlopCounterMode(display=False) as counter:
        network(sheet)
    return {
        "network": facts["network"],
        "definition": facts.get("definition"),
        "parameters": sum(tensor.numel() for tensor in network.parameters()),
        "trained": trained,
        "flops": counter.get_total_flops(),
        "gpu_memory": _gpu_memory(facts) if facts["device"] == "cuda" and torch.cuda.is_available() else None,
        "device": facts["device"],
        "precision": facts["precision"],
    }


def _gpu_memory(facts: dict[str, Any]) -> int:
    """Peak of the second of two steps of a training: with the optimiser's state."""
    settings = facts["settings"]
    device = choose_device("cuda", facts["precision"], deterministic=settings["deterministic"])
    sheets = facts["did_not_fit"][-1]["sheets"] if "did_not_fit" in facts else settings["batch_size"]
    sheets = -(-sheets // facts.get("processes", 1))
    network = rebuild(facts).train().to(device.name, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser, _ = make_optimiser(network, 1e-4, 2, Recipe.model_validate(settings["recipe"]))
    images = torch.rand(sheets, 3, SIZE, SIZE, device=device.name).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(sheets, dtype=torch.int64, device=device.name)
    for _ in range(2):
        torch.cuda.reset_peak_memory_stats()
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.name, torch.bfloat16, enabled=device.bfloat16):
            logits = network(images)
        cross_entropy(logits.float(), labels).backward()
        optimiser.step()
    return torch.cuda.max_memory_allocated()
