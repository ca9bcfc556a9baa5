"""How the weights move: step sizes over time, weight decay, an average of the weights, and pictures that vary."""

import torch
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sheetlens.config import Recipe
from sheetlens.train.batches import Augment

WARM_UP = 0.2  # share of the steps in which the step size rises


def make_optimiser(
    network: torch.nn.Module, rate: float, steps: int, recipe: Recipe
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), and the step size over `steps` steps.

    `one_cycle` (Smith & Topin 2018) rises to `rate` and falls to nothing; `constant` stays at it, and so do trainings
    of so few steps that they could not rise.
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=recipe.weight_decay, fused=True)
    if recipe.schedule == "constant" or steps * WARM_UP <= 1:
        return optimiser, ConstantLR(optimiser, factor=1.0, total_iters=0)
    return optimiser, OneCycleLR(optimiser, rate, steps, pct_start=WARM_UP)


def make_average(network: torch.nn.Module, recipe: Recipe) -> AveragedModel | None:
    """A running mean of the weights and of the statistics of batch normalisation, if the recipe asks for one."""
    if not recipe.average:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True)


def make_augmentation(recipe: Recipe) -> Augment | None:
    """What varies the pictures of a batch, uint8, shape (n, 3, height, width), drawn from torch's random state.

    A batch is varied as one: it moves little memory, and over the epochs each sheet is seen in many ways.
    """
    if not (recipe.flip or recipe.rotate or recipe.shift or recipe.colour):
        return None
    from torchvision.transforms import InterpolationMode, v2  # a second to import, for those who need it

    steps: list[torch.nn.Module] = []
    if recipe.flip:
        steps.append(v2.RandomHorizontalFlip())
    if recipe.rotate or recipe.shift:
        white = 255  # a sheet is moved before a white ground
        steps.append(
            v2.RandomAffine(recipe.rotate, (recipe.shift,) * 2, interpolation=InterpolationMode.BILINEAR, fill=white)
        )
    if recipe.colour:
        steps.append(v2.ColorJitter(*(recipe.colour,) * 3))
    return v2.Compose(steps)
