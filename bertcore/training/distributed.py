"""Distributed: one run in several processes, as `torchrun` starts them (chapter 9).

    torchrun --nproc-per-node 4 -m bertcore pretrain …
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d \\
        --rdzv-endpoint first-host:29500 -m bertcore pretrain …

Every process holds the whole model and takes its share of the passes of an update;
gradients are summed over all of them. What an update reads depends on seed and step,
not on the number of processes, so a run may go on with another number. (Dropout is each
process's own; and while the batch of a recipe with a ramp grows, its passes are a
multiple of the processes.)
"""

import os
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


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
        """What process 0 has, in each of them: their clocks differ."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        dist.broadcast(shared, 0)
        return shared.item()

    def check_same(self, value: int, what: str, device: torch.device) -> None:
        """ValueError if the processes differ, as they do without a shared disk."""
        if self.size == 1:
            return
        total = self.sum(torch.tensor([value], device=device)).item()
        if total != self.size * value:
            raise ValueError(
                f"process {self.rank} has {what} {value}, others another; give a "
                "folder that all hosts share"
            )

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()

    def shared(self, objective: nn.Module, device: torch.device) -> nn.Module:
        """The objective, with gradients that come together after each update."""
        if self.size == 1:
            return objective
        devices = [device] if device.type == "cuda" else None
        return DistributedDataParallel(objective, device_ids=devices)


def join() -> tuple[World, torch.device]:
    """Find the other processes of a run that `torchrun` has started.

    Without `torchrun` there is one. A process takes the GPU of its local rank, or the
    CPU if there is none.

    Raises:
        ValueError: if a host has fewer GPUs than processes.
    """
    if "WORLD_SIZE" not in os.environ:
        return World(), torch.device("cuda" if torch.cuda.is_available() else "cpu")
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
