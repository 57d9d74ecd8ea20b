"""Runtime: what this machine can do, measured before it is asked to (chapter 9)."""

import time
from typing import NamedTuple

import torch
from torch import nn

from bertcore.cards import processor_name

# NVIDIA's compute capability: 8.0 (A100) and up multiply bf16 in their matrix units;
# 7.x (V100, T4) only fp16. `torch.cuda.is_bf16_supported()` says yes on a T4, too,
# because it counts slow emulation, so it is not asked.
BF16_SINCE, FP16_SINCE = (8, 0), (7, 0)


def find_device() -> torch.device:
    """The first GPU that CUDA shows, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision_for(device: torch.device | str) -> torch.dtype:
    """In which numbers to multiply on this device; weights stay float32."""
    device = torch.device(device)
    if device.type != "cuda":
        return torch.float32
    return precision_of(torch.cuda.get_device_capability(device))


def precision_of(capability: tuple[int, int]) -> torch.dtype:
    """In which numbers a GPU of this compute capability multiplies fastest.

    >>> precision_of((7, 5)), precision_of((9, 0))
    (torch.float16, torch.bfloat16)
    """
    if capability >= BF16_SINCE:
        return torch.bfloat16
    return torch.float16 if capability >= FP16_SINCE else torch.float32


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Machine(NamedTuple):
    """What was measured.

    `operations` a second in products of matrices (a multiplication and an addition
    are two), `bytes` a second read and written in a copy; `memory` of the device in
    bytes, None for a CPU.
    """

    device: torch.device
    name: str
    precision: torch.dtype
    operations: float
    bytes: float
    memory: int | None

    def __str__(self) -> str:
        kind = str(self.precision).removeprefix("torch.")
        memory = f", {self.memory / 2**30:.1f} GiB" if self.memory else ""
        return (
            f"{self.name}{memory}: {self.operations / 1e12:.3g} TFLOP/s in {kind} "
            f"products of matrices, {self.bytes / 1e9:.3g} GB/s in a copy"
        )


def measure(
    device: torch.device | str | None = None, precision: torch.dtype | None = None
) -> Machine:
    """Multiply and copy for about a second, and say how fast it went.

    Args:
        device: to measure; by default the one that training would take.
        precision: of the products; by default the device's fastest.
    """
    device = torch.device(device) if device else find_device()
    precision = precision or precision_for(device)
    cuda = device.type == "cuda"
    size = 8192 if cuda else 1024
    left, right = torch.randn(2, size, size, device=device).to(precision)
    product = _per_second(lambda: left @ right, device)
    source = torch.randn(2**28 if cuda else 2**24, device=device)
    target = torch.empty_like(source)
    copies = _per_second(lambda: target.copy_(source), device)
    memory = torch.cuda.get_device_properties(device).total_memory if cuda else None
    return Machine(
        device,
        device_name(device),
        precision,
        product * 2 * size**3,
        copies * 2 * source.nbytes,
        memory,
    )


def device_name(device: torch.device) -> str:
    """The device's own name; for a CPU also how many threads compute."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{processor_name()}, {threads} thread{'s' if threads > 1 else ''}"


def _per_second(work, device: torch.device, seconds: float = 0.3) -> float:
    """How many times a second, at best of three stretches."""
    for _ in range(3):
        work()
    synchronise(device)
    best = 0.0
    for _ in range(3):
        start, times = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / 3:
            work()
            times += 1
            if times % 4 == 0:
                synchronise(device)
        synchronise(device)
        best = max(best, times / (time.perf_counter() - start))
    return best


def compiled(module: nn.Module, device: torch.device) -> nn.Module:
    """The module, compiled; worth it on a GPU, in runs of several minutes.

    Raises:
        ValueError: on a CPU, where nothing is gained.
    """
    if device.type != "cuda":
        raise ValueError(
            f"compile=True on {device.type}: nothing is gained there, and it takes a "
            "minute; leave it out"
        )
    return torch.compile(module)
