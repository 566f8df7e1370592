"""Fine-tuning against the plain loop of common CutPaste reimplementations.

Plain means: a `DataLoader` without workers whose data set cuts, jitters and pastes with PIL and
torchvision's transforms, float32, default memory layout, all layers trained by SGD. Each side runs
in a process of its own, as people run them.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import random
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cutswap.benchmark.measurement import Measurement, times_faster, within
from cutswap.benchmark.own_process import OwnProcess
from cutswap.benchmark.pictures import demo_photos
from cutswap.benchmark.sizes import Sizes
from cutswap.config import ClusterSettings, NegativeSettings, TrainingSettings, WeakAugmentation
from cutswap.data.images import MEAN, STD
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.saliency.cache import SaliencyMaps
from cutswap.training.finetuner import FineTuner, TrainingStep

PHOTOS = 32
LEVELS = ("4", "9", "16", "23", "30")


class PlainCutPaste(Dataset[list[Tensor]]):
    """Original, pasted patch and pasted scar of a photo, as tensors.

    Args:
        photos: (N, H, W, 3) uint8.
        count: samples, photos again and again.
    """

    def __init__(self, photos: np.ndarray, count: int) -> None:
        self.photos = photos
        self.count = count
        self.jitter = transforms.ColorJitter(0.1, 0.1, 0.1, 0.1)
        self.finish = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(mean=MEAN, std=STD)]
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> list[Tensor]:
        image = Image.fromarray(self.photos[number % len(self.photos)])
        image = self.jitter(image)
        return [self.finish(i) for i in (image, self._patch(image), self._scar(image))]

    def _patch(self, image: Image.Image) -> Image.Image:
        area = random.uniform(0.02, 0.15) * image.width * image.height
        aspect = math.exp(random.uniform(math.log(0.3), math.log(1 / 0.3)))
        width = min(image.width, round(math.sqrt(area * aspect)))
        height = min(image.height, round(math.sqrt(area / aspect)))
        patch = self.jitter(self._cut(image, width, height))
        return self._paste(image, patch, None)

    def _scar(self, image: Image.Image) -> Image.Image:
        scale = image.width / 256
        width = max(1, round(random.uniform(2, 16) * scale))
        height = max(1, round(random.uniform(10, 25) * scale))
        patch = self.jitter(self._cut(image, width, height))
        turned = patch.convert("RGBA").rotate(random.uniform(-45, 45), expand=True)
        return self._paste(image, turned.convert("RGB"), turned.split()[-1])

    @staticmethod
    def _cut(image: Image.Image, width: int, height: int) -> Image.Image:
        x, y = random.randint(0, image.width - width), random.randint(0, image.height - height)
        return image.crop((x, y, x + width, y + height))

    @staticmethod
    def _paste(image: Image.Image, patch: Image.Image, mask: Image.Image | None) -> Image.Image:
        x = random.randint(0, max(0, image.width - patch.width))
        y = random.randint(0, max(0, image.height - patch.height))
        pasted = image.copy()
        pasted.paste(patch, (x, y), mask)
        return pasted


def plain_updates(
    backbone: Backbone, photos: np.ndarray, settings: TrainingSettings, count: int
) -> Iterator[float]:
    """The plain loop; yields the loss after every update.

    Args:
        backbone: a ResNet18, copied.
        photos: (N, H, W, 3) uint8.
        settings: batch, rate, ways and head as ours.
        count: updates.
    """
    network: Any = copy.deepcopy(backbone.module).requires_grad_(True)
    network.fc = nn.Identity()
    head = nn.Sequential(
        nn.Linear(512, 512),
        nn.BatchNorm1d(512),
        nn.ReLU(),
        nn.Linear(512, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 3),
    )
    model = nn.Sequential(network, head).train()
    optimizer = torch.optim.SGD(
        model.parameters(),
        settings.learning_rate,
        settings.momentum,
        weight_decay=settings.weight_decay,
    )
    data = PlainCutPaste(photos, count * settings.batch_size)
    for parts in DataLoader(data, batch_size=settings.batch_size):
        labels = torch.arange(len(parts)).repeat_interleave(len(parts[0]))
        loss = nn.functional.cross_entropy(model(torch.cat(parts)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield float(loss.detach())


def our_updates(
    backbone: Backbone, photos: np.ndarray, settings: TrainingSettings
) -> Iterator[TrainingStep]:
    """The trainer's own loop on the same photos; saliency is made up of the photos themselves."""
    samples = samples_for(photos, settings)
    tuner = FineTuner(backbone, samples, settings, seed=0)
    samples.find_regions()  # before training: not part of an update
    return tuner.run()


def samples_for(photos: np.ndarray, settings: TrainingSettings) -> TrainingSamples:
    """Training samples of photos with synthetic saliency."""
    return TrainingSamples(
        photos,
        made_up_saliency(photos),
        family="cutswap",
        ways=settings.ways,
        negatives=NegativeSettings(),
        clusters=ClusterSettings(),
        weak=WeakAugmentation(),
        seed=0,
        count=0,
    )


def made_up_saliency(photos: np.ndarray) -> SaliencyMaps:
    """Five levels of the photos' own brightness, each half as fine as the one before."""
    grey = photos.mean(axis=3, dtype=np.float32) / 255
    maps = [
        [np.ascontiguousarray(g[:: 2**d, :: 2**d]) for d in range(1, len(LEVELS) + 1)] for g in grey
    ]
    return SaliencyMaps(maps, LEVELS, (photos.shape[1], photos.shape[2]))


def measure_finetuning(sizes: Sizes) -> list[Measurement]:
    """Seconds an update in turns: the default recipe, all layers trained, and the plain loop."""
    photos = demo_photos(PHOTOS, sizes.side)
    count = 1 + sizes.turns * sizes.updates  # the first one warms up
    settings = TrainingSettings(
        batch_size=sizes.training_batch, epochs=1, steps_per_epoch=count, device="cpu"
    )
    waits: list[float] = []
    times: tuple[list[float], ...] = ([], [], [])
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(OwnProcess(*side, clock=sizes.clock))
            for side in (
                (_ours, photos, settings),
                (_ours, photos, settings.replace(frozen=())),
                (_plain, photos, settings, count),
            )
        ]
        for side in sides:
            side.run(1)
        for turn in range(sizes.turns):
            for number in (0, 1, 2) if turn % 2 else (2, 1, 0):
                took, steps = sides[number].run(sizes.updates)
                times[number].append(took / sizes.updates)
                if number == 0:
                    waits += [step.waiting for step in steps]
    images = sizes.training_batch * settings.ways
    default, everything, plain = times
    what = f"an update of {sizes.training_batch} x {settings.ways} images of {sizes.side}"
    speed = images / statistics.median(plain)
    return [
        times_faster(
            "fine-tuning",
            f"{what}, gentle: layer3 and layer4 trained",
            default,
            plain,
            target=3.0,
            images_per_second=images / statistics.median(default),
            plain_images_per_second=speed,
        ),
        times_faster(
            "fine-tuning, all layers",
            f"{what}, all layers trained as the plain loop does",
            everything,
            plain,
            target=3.0,
            images_per_second=images / statistics.median(everything),
            plain_images_per_second=speed,
        ),
        _share(f"{what}: share of it spent waiting for data", waits),
    ]


def _ours(photos: np.ndarray, settings: TrainingSettings) -> Iterator[TrainingStep]:
    return our_updates(load_backbone("resnet18"), photos, settings)


def _plain(photos: np.ndarray, settings: TrainingSettings, count: int) -> Iterator[float]:
    return plain_updates(load_backbone("resnet18"), photos, settings, count)


def _share(what: str, waits: list[float]) -> Measurement:
    share = within("fine-tuning, waiting", what, waits, target=0.1)
    return dataclasses.replace(share, ours=None, unit="of an update")
