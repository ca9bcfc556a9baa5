import pytest
import torch

from sheetlens.config import Recipe, Train
from sheetlens.train.checkpoint import StopHandler
from sheetlens.train.optimisation import make_augmentation, make_average, make_optimiser
from tests.unit.train.trainings import train

EVERYTHING = Recipe(schedule="constant", weight_decay=0.05, average=0.9, flip=True, rotate=3, shift=0.05, colour=0.1)


def test_an_interrupted_training_with_every_part_continues_to_the_same_bytes(image_set, tmp_path, monkeypatch):
    settings = Train(epochs=2, batch_size=8, device="cpu", recipe=EVERYTHING)
    whole = train(image_set, tmp_path / "whole", settings)

    def stop(watch, *_):
        if (watch.state.epoch, watch.state.step) == (2, 1):
            watch.state.save()
            raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(StopHandler, "after_step", stop)
        train(image_set, tmp_path / "broken", settings)
    assert not (tmp_path / "broken/weights.safetensors").exists()
    assert train(image_set, tmp_path / "broken", settings) == whole
    without = settings.model_copy(update={"recipe": EVERYTHING.model_copy(update={"average": 0.0})})
    assert train(image_set, tmp_path / "without", without)[0] != whole[0]


def test_a_batch_varies_with_the_random_state_alone():
    augment = make_augmentation(EVERYTHING)
    images = torch.randint(0, 255, (4, 3, 32, 32), dtype=torch.uint8)
    torch.manual_seed(1)
    first, second = augment(images), augment(images)
    torch.manual_seed(1)
    assert torch.equal(augment(images), first)
    assert not torch.equal(first, second)
    assert first.dtype == torch.uint8
    assert first.shape == images.shape
    assert make_augmentation(Recipe()) is None


def test_a_flip_mirrors_left_and_right():
    images = torch.arange(3 * 4 * 4, dtype=torch.uint8).view(1, 3, 4, 4)
    augment = make_augmentation(Recipe(flip=True))
    seen = [augment(images) for _ in range(20)]
    assert any(torch.equal(one, images) for one in seen)
    assert all(torch.equal(one, images) or torch.equal(one, images.flip(3)) for one in seen)
    assert any(torch.equal(one, images.flip(3)) for one in seen)


def test_a_shifted_sheet_lies_on_white():
    augment = make_augmentation(Recipe(shift=0.5))
    seen = torch.cat([augment(torch.zeros((1, 3, 16, 16), dtype=torch.uint8)) for _ in range(20)])
    assert seen.amax() == 255
    assert seen.amin() == 0


@pytest.mark.parametrize(("schedule", "last"), [("constant", 0.1), ("one_cycle", 0.0)])
def test_step_sizes(schedule, last):
    network = torch.nn.Linear(2, 2)
    optimiser, steps = make_optimiser(network, 0.1, 10, Recipe(schedule=schedule))
    rates = []
    for _ in range(10):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if len(rates) < 10:
            steps.step()
    assert max(rates) == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(last, abs=1e-4)


def test_a_training_of_very_few_steps_has_a_step_size():
    for count in range(1, 12):
        optimiser, steps = make_optimiser(torch.nn.Linear(2, 2), 0.1, count, Recipe())
        rates = []
        for _ in range(count):
            rates.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            steps.step()
        assert max(rates) > 0.09, count


def test_the_average_follows_the_weights():
    network = torch.nn.BatchNorm1d(1)
    average = make_average(network, Recipe(average=0.75))
    average.update_parameters(network)
    torch.nn.init.constant_(network.weight, 5.0)
    network.running_mean.fill_(2.0)
    average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(0.75 * 1 + 0.25 * 5)
    assert average.module.running_mean.item() == pytest.approx(0.5)
    assert make_average(network, Recipe()) is None
