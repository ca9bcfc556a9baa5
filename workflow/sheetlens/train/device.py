"""Where and in which arithmetic a network computes: chosen once, with the reason."""

import ctypes
import os
import sys
from dataclasses import dataclass

import torch

from sheetlens.common.errors import UserError

# glibc's mallopt parameters (malloc.h) and the values that keep freed memory in the process. By default
# every large tensor is given back to the kernel and faulted in again at the next step: half the time.
MALLOPT = ((-4, 0), (-1, -1), (-2, 64 * 2**20))  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
# Instructions that oneDNN can be held to (ONEDNN_MAX_CPU_ISA) and that emulate bfloat16, several times as slowly.
EMULATING = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI")


@dataclass(frozen=True)
class Device:
    """A torch device ("cpu", "cuda" or "mps"), the arithmetic of training, and why these."""

    name: str
    precision: str
    reason: str

    @property
    def bfloat16(self) -> bool:
        """Whether training runs under bfloat16 autocast."""
        return self.precision == "bfloat16"


def choose_device(
    device: str = "auto", precision: str = "auto", threads: int = 2, deterministic: bool = True
) -> Device:
    """Choose the device and the arithmetic, and set torch to it.

    `device` is "auto", "cpu", "cuda" or "mps" (the GPU of a Mac, which "auto" leaves alone); `precision` "auto",
    "float32" or "bfloat16"; `threads` counts CPU
    threads; without `deterministic` a GPU may try which algorithms are the fastest. Raises UserError when a GPU is
    asked for and none is there.
    """
    keep_freed_memory()
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be deterministic
    # Not `use_deterministic_algorithms`, which loads torch's compiler: two seconds at the start of each command.
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    torch.backends.cudnn.benchmark = not deterministic
    # Torch would then also fill each new tensor before it is written: a third of a training's time, for nothing
    # unless an operator reads what nobody wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # TF32 has ten bits of a fraction: enough to choose an epoch by, not for numbers that are to be float32.
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    if device == "mps":
        return _apple(precision, deterministic)
    gpu = torch.cuda.is_available()
    if device == "cuda" and not gpu:
        raise UserError("train.device is 'cuda', but torch finds no GPU here: use 'auto' or 'cpu'")
    name = "cuda" if gpu and device != "cpu" else "cpu"
    where = torch.cuda.get_device_name() if name == "cuda" else f"CPU with {threads} threads"
    where += "" if deterministic else ", not deterministic"
    why = "asked for" if device != "auto" else "a GPU is there" if gpu else "no GPU is there"
    on_gpu = name == "cuda"
    able = torch.cuda.is_bf16_supported(False) if on_gpu else _cpu_has_bfloat16()  # not emulated
    if precision != "auto":
        return Device(name, precision, f"{where} ({why}), {precision} (asked for)")
    if able:
        return Device(name, "bfloat16", f"{where} ({why}), bfloat16 (the hardware has it)")
    return Device(name, "float32", f"{where} ({why}), float32 (no bfloat16 in hardware)")


def _cpu_has_bfloat16() -> bool:
    held_to = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", ""))
    return torch.cpu._is_avx512_bf16_supported() and held_to.upper() not in EMULATING


def _apple(precision: str, deterministic: bool) -> Device:
    if not torch.backends.mps.is_available():
        raise UserError("train.device is 'mps', but torch finds no GPU of Apple's here: use 'auto' or 'cpu'")
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")  # what it cannot compute is computed on the CPU
    chosen = "float32" if precision == "auto" else precision
    told = "" if deterministic else ", not deterministic"
    return Device("mps", chosen, f"GPU of this Mac{told} (asked for), {chosen}")


def keep_freed_memory() -> None:
    """Let the process keep freed memory, 1.4 to 2.4 times faster training on the CPU (glibc only)."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt:
            for parameter, value in MALLOPT:
                mallopt(parameter, value)
