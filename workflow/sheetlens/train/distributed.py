"""Train one network in several processes, each on a GPU of its own, to the result of a single process.

`torchrun` starts the processes; each takes its share of every batch. What one process would compute over the
whole batch is computed over all shares: the statistics of batch normalisation, the gradients, the loss. Dropout
draws its mask for the whole batch, from the same random state everywhere. So only the order of sums differs. Not so
with the stochastic depth of some backbones: each process draws for its own share, and one that continues after a kill
does not draw what it would have drawn.
"""

import logging
import os
import signal
import sys

import torch
from torch import distributed, nn

from sheetlens.common.errors import UserError
from sheetlens.train.cpu_layers import Dropout

BACKEND = "cpu:gloo,cuda:nccl"  # the processes agree on the CPU and compute on the GPU


class ProcessGroup:
    """The processes that train one network; a team of one gives back everything as it was given."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        """Be process `rank` (from 0) of `size`."""
        self.rank, self.size = rank, size
        self.rows = 0  # of the whole batch at hand
        self.launcher = os.getppid()

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """This process's rows of a batch; none, when there are fewer rows than processes."""
        self.rows = len(batch)
        return batch.tensor_split(self.size)[self.rank]

    def whole(self, share: torch.Tensor, rows: int) -> torch.Tensor:
        """All rows of a batch of which each process has computed its share."""
        if self.size == 1:
            return share
        whole = share.new_zeros((rows, *share.shape[1:]))
        whole.tensor_split(self.size)[self.rank].copy_(share)
        distributed.all_reduce(whole)
        return whole

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum over the processes."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def agree_to_stop(self, number: int) -> int:
        """The signal that any of the processes received, or 0: all stop after the same step, or none."""
        if self.size == 1:
            return number
        if os.getppid() != self.launcher:  # torchrun was killed, and nobody else would end this process
            number = signal.SIGTERM
        highest = torch.tensor(number)
        distributed.all_reduce(highest, distributed.ReduceOp.MAX)
        return int(highest)

    def spread(self, network: nn.Sequential) -> nn.Sequential:
        """Let the layers that look beyond one sheet look at the whole batch; names and parameters stay."""
        for layer in network.modules() if self.size > 1 else ():
            if type(layer) in SHARED:
                layer.__class__ = SHARED[type(layer)]
                layer.team = self  # type: ignore[assignment]
        return network

    def synchronised(self, network: nn.Module) -> nn.Module:
        """The same network, whose gradients become their mean over the processes in each backward pass."""
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(network)


def join(processes: int, device: str) -> ProcessGroup:
    """The team that `torchrun` made this process part of, or a team of one.

    `device` is the config's. Raises UserError when the team is not `processes` large, and when only some of them
    have a GPU.
    """
    size = int(os.environ["WORLD_SIZE"]) if distributed.is_torchelastic_launched() else 1
    if size != processes:
        raise UserError(
            f"train.gpus is {processes}, but there {'is one process' if size == 1 else f'are {size} processes'}:"
            f" start this with 'torchrun --nproc-per-node {processes} --virtual-local-rank -m sheetlens train ...'"
        )
    if size == 1:
        return ProcessGroup()
    gpu = device != "cpu" and torch.cuda.is_available()  # torchrun lets each process see one of them
    distributed.init_process_group(BACKEND if gpu else "gloo")
    team = ProcessGroup(distributed.get_rank(), size)
    gpus = int(team.total(torch.tensor(int(gpu))))
    if gpus not in (0, size):
        raise UserError(f"train.gpus is {size}, but the number of GPUs here is {gpus}")
    if not team.leads:
        logging.getLogger("sheetlens").setLevel(logging.WARNING)  # say everything once
    return team


def leave() -> None:
    """Let the other processes go."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def end_process() -> None:
    """End a process of a team at once, when there is nothing left to do.

    Threads of gloo outlive a group through which a network was synchronised, and one of them may abort a Python that
    ends (pytorch/pytorch#190489): torchrun would call a training that is whole a failure.
    """
    if distributed.is_torchelastic_launched():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


class _Total(torch.autograd.Function):
    """The sum over the processes, through which gradients flow back to all of them."""

    @staticmethod
    def forward(ctx: object, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        return _Total.forward(ctx, gradient)


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by the statistics of the whole batch, on CPU and GPU (torch's SyncBatchNorm: GPU only)."""

    team: ProcessGroup
    momentum: float
    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Normalise a share, shape (n, channels, height, width), in float32."""
        if not self.training:
            return super().forward(features)
        count = self.team.rows * features.shape[2] * features.shape[3]
        values = features.float()
        mean = _Total.apply(values.sum((0, 2, 3))) / count
        centred = values - mean.view(1, -1, 1, 1)
        variance = _Total.apply(centred.square().sum((0, 2, 3))) / count
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.detach(), self.momentum)
        self.running_var.lerp_(variance.detach() * count / (count - 1), self.momentum)  # unbiased, as torch's
        scale = self.weight * (variance + self.eps).rsqrt()
        return torch.addcmul(self.bias.view(1, -1, 1, 1), centred, scale.view(1, -1, 1, 1)).to(features.dtype)


class SharedDropout(Dropout):
    """Dropout by this process's share of the mask for the whole batch."""

    team: ProcessGroup

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Drop features of a share, shape (n, features)."""
        if not self.training:
            return features
        ones = features.new_ones((self.team.rows, *features.shape[1:]))
        return features * self.team.share(super().forward(ones))


SHARED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm2d: SharedBatchNorm,
    Dropout: SharedDropout,
}
