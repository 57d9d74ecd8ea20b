"""Devices: what this machine can do, its precision, and several processes.

`measure` times products and copies before a run; `join` finds the processes that
`torchrun` started (chapter 9).
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from bertcore.cards import processor_name
from bertcore.sources import many

# NVIDIA's compute capability: 8.0 (A100) and up multiply bf16 in their matrix units;
# 7.x (V100, T4) only fp16. `torch.cuda.is_bf16_supported()` says yes on a T4, too,
# because it counts slow emulation, so it is not asked.
BF16_SINCE, FP16_SINCE = (8, 0), (7, 0)
# Where Linux says how much memory a container may use: versions 2 and 1 of cgroups.
CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def find_device() -> torch.device:
    """The first GPU that CUDA shows, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision_for(device: torch.device | str) -> torch.dtype:
    """The dtype to multiply in on this device; weights stay float32."""
    device = torch.device(device)
    if device.type != "cuda":
        return torch.float32
    return precision_of(torch.cuda.get_device_capability(device))


def precision_of(capability: tuple[int, int]) -> torch.dtype:
    """The dtype that a GPU of this compute capability multiplies fastest.

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
    """What a device can do.

    Attributes:
        device: the one that was measured.
        name: its own name.
        precision: of the products.
        operations: per second in products of matrices; a multiplication and an
            addition are two.
        bytes: per second, read and written in a copy.
        memory: of the device in bytes; None for a CPU.
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
    """Multiply and copy for about a second, and say how fast it went."""
    device = torch.device(device) if device else find_device()
    precision = precision or precision_for(device)
    cuda = device.type == "cuda"
    # Large enough to keep all of the device busy, and to leave its caches.
    size = 8192 if cuda else 1024
    left, right = torch.randn(2, size, size, device=device).to(precision)
    products = _per_second(lambda: left @ right, device)
    source = torch.randn(2**28 if cuda else 2**24, device=device)
    target = torch.empty_like(source)
    copies = _per_second(lambda: target.copy_(source), device)
    return Machine(
        device=device,
        name=device_name(device),
        precision=precision,
        operations=products * 2 * size**3,
        bytes=copies * 2 * source.nbytes,
        memory=torch.cuda.get_device_properties(device).total_memory if cuda else None,
    )


def device_name(device: torch.device) -> str:
    """The device's own name; for a CPU also how many threads compute."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor_name()}, {many(torch.get_num_threads(), 'thread')}"


def describe_machine(gigabytes: float = 0.0) -> str:
    """The device that training would take here and its memory, in words.

    Args:
        gigabytes: of the processor's memory, that what comes next needs; where there
            is less it says so, and what to do.
    """
    device, memory = find_device(), processor_memory()
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    having = f", {memory / 2**30:.3g} GB of memory" if memory else ""
    told = device_name(device) + having
    least = processor_memory()
    if least and least < gigabytes * 2**30:
        told += (
            f"\nThe processor has {least / 2**30:.3g} GB of memory, and this needs "
            f"{gigabytes:g}: close other programs and notebooks, or open it on Colab, "
            "before a cell ends the kernel."
        )
    return told


def processor_memory() -> int:
    """Bytes that this machine has, or its container may use; 0 where nothing says."""
    found = []
    if hasattr(os, "sysconf"):  # Windows has none
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for file in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # of version 2 it may say "max"
            found.append(int(file.read_text()))
    return min(found, default=0)


def _per_second(work: Callable[[], object], device: torch.device) -> float:
    """How many times per second it can be done: the best of three stretches."""
    for _ in range(3):
        work()
    synchronise(device)
    best = 0.0
    for _ in range(3):
        start, times = time.perf_counter(), 0
        while time.perf_counter() - start < 0.1:
            work()
            times += 1
            # A GPU only takes orders: without waiting the loop would order far ahead.
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


class World(NamedTuple):
    """The processes of a run: which one this is, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def first(self, value: float, device: torch.device) -> float:
        """The value of process 0, in all processes: their clocks differ."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        dist.broadcast(shared, 0)
        return shared.item()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()

    def shared(self, objective: nn.Module, device: torch.device) -> nn.Module:
        """The objective, with gradients averaged over the processes as it learns."""
        if self.size == 1:
            return objective
        devices = [device] if device.type == "cuda" else None
        return DistributedDataParallel(objective, device_ids=devices)


def join() -> tuple[World, torch.device]:
    """Find the other processes of a run that `torchrun` has started.

    Without `torchrun` there is only this one. A process takes the GPU of its local
    rank, or the CPU if there is no GPU.

    Raises:
        ValueError: if a host has fewer GPUs than processes.
    """
    if "WORLD_SIZE" not in os.environ:
        return World(), find_device()
    local, device = int(os.environ["LOCAL_RANK"]), torch.device("cpu")
    if torch.cuda.is_available():
        if local >= torch.cuda.device_count():
            raise ValueError(
                f"process {local} on a host with {torch.cuda.device_count()} GPUs; "
                f"start torchrun with --nproc-per-node {torch.cuda.device_count()}"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return World(dist.get_rank(), dist.get_world_size()), device


def leave() -> None:
    """End the connection, if there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
