"""anomalib's STFPM, PaDiM and DRAEM, trained on our photos with our weights, without its engine.

Only networks, losses and the Perlin generator are anomalib's (2.7); photos, split, seeds and
figures are ours, so that a column of a table differs by the detector alone. Nothing is downloaded:
teacher and extractor take a network of ours, filled from a file, in place of timm's hub weights.
Optimisers and rates are those of anomalib's Lightning modules.
"""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cutswap.data.images import is_image_name, to_image
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import EXTRA, DetectorSettings
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.utils.signals import Stopped

LAYERS = ["layer1", "layer2", "layer3"]  # of the papers of STFPM and PaDiM, and anomalib's default
PADIM_FEATURES = {"resnet18": 100, "wide_resnet50_2": 550}  # of PaDiM's paper
Progress = Callable[[int, int], None]


class Detector:
    """One detector, fitted by `fit` and asked by `score`.

    Args:
        name: of `detector_settings.DETECTORS`.
        backbone: its features; DRAEM uses none.
        settings: how long it learns.
        seed: of weights, order and anomalies.
        device: where it computes.

    Raises:
        CutSwapError: anomalib is missing, a backbone without known layers, no textures.
    """

    def __init__(
        self, name: str, backbone: Backbone, settings: DetectorSettings, seed: int, device: str
    ) -> None:
        need_anomalib()
        self.name, self.settings, self.seed, self.device = name, settings, seed, device
        self._generator: nn.Module | None = None
        with self._seeded(0):
            if name == "draem":
                self._model = _draem_model()
                self._generator = _anomalies(settings.textures)
            else:
                self._model = _MODELS[name](backbone, seed)
        self._model.to(device)

    def fit(self, photos: np.ndarray, progress: Progress, stop: Callable[[], bool]) -> None:
        """Fit the detector on good photos.

        Args:
            photos: (N, S, S, 3) uint8, good ones.
            progress: called with (update, updates).
            stop: asked after every update.

        Raises:
            Stopped: the answer was yes.
        """
        epochs = 1 if self.name == "padim" else self.settings.epochs
        size = self.settings.batch_size
        # The last pieces are used too: few photos are few enough already.
        total, done = epochs * -(-len(photos) // size), 0
        self._model.train()
        with self._seeded(1):
            step = _STEPS[self.name](self._model, self._generator)
            for epoch in range(epochs):
                order = np.random.default_rng((self.seed, epoch)).permutation(len(photos))
                for start in range(0, len(order), size):
                    step(self._image(photos[order[start : start + size]]))
                    done += 1
                    progress(done, total)
                    if stop():
                        raise Stopped
            if self.name == "padim":
                self._model.fit()  # type: ignore[operator]
        self._model.eval()

    def score(self, photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Judge some photos.

        Args:
            photos: (N, S, S, 3) uint8.

        Returns:
            (N,) float32 scores and (N, S, S) float32 maps, larger where less normal.
        """
        self._model.eval()
        with torch.no_grad():
            output = self._model(self._image(photos))
        size = photos.shape[1]
        maps = output.anomaly_map.reshape(len(photos), size, size)
        scores = output.pred_score.reshape(len(photos))
        return scores.float().cpu().numpy(), maps.float().cpu().numpy()

    def _image(self, photos: np.ndarray) -> Tensor:
        """DRAEM takes [0, 1], the others ImageNet's normalisation."""
        if self.name == "draem":
            image = torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255
        else:
            image = to_image(photos)
        return image.to(self.device)

    @contextlib.contextmanager
    def _seeded(self, stage: int) -> Iterator[None]:
        """Anomalib draws from torch's global generator."""
        devices = [self.device] if self.device.startswith("cuda") else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.seed * 2 + stage)
            yield


def need_anomalib() -> None:
    """Refuse before any work.

    Raises:
        CutSwapError: anomalib is not installed, or does not import.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # weights come from files, never from a hub
    try:
        import anomalib.models  # noqa: F401
    except ImportError as error:
        raise CutSwapError(
            "other detectors",
            expected="the optional package anomalib 2.7",
            found=str(error).splitlines()[0],
            fix=EXTRA,
        ) from error


def _plain(backbone: Backbone) -> nn.Module:
    """A copy without taps, its residual ReLUs untouched."""
    module = copy.deepcopy(backbone.module)
    for part in module.modules():
        part._forward_hooks.clear()
    return module


def _stfpm_model(backbone: Backbone, seed: int) -> nn.Module:
    from anomalib.models.components import TimmFeatureExtractor
    from anomalib.models.image.stfpm.torch_model import STFPMModel

    model: nn.Module = STFPMModel(layers=LAYERS, backbone=_plain(backbone))
    # Given a module, anomalib lets the student be the teacher itself; it must start at random.
    student = _plain(load_backbone(backbone.name, "random", seed=seed)).requires_grad_(True)
    model.student_model = TimmFeatureExtractor(backbone=student, layers=LAYERS, requires_grad=True)
    return model


def _padim_model(backbone: Backbone, seed: int) -> nn.Module:
    from anomalib.models.image.padim.torch_model import PadimModel

    del seed  # which features are kept comes from the global generator, seeded around this
    if backbone.name not in PADIM_FEATURES:
        raise CutSwapError(
            "padim",
            expected=f"one of {', '.join(PADIM_FEATURES)}",
            found=backbone.name,
            fix="pass --backbone resnet18",
        )
    kept = PADIM_FEATURES[backbone.name]
    return PadimModel(backbone=_plain(backbone), layers=LAYERS, n_features=kept)


def _draem_model() -> nn.Module:
    from anomalib.models.image.draem.torch_model import DraemModel

    return DraemModel()


def _anomalies(textures: str | None) -> nn.Module:
    from anomalib.data.utils.generators.perlin import PerlinAnomalyGenerator

    if textures is None:
        return PerlinAnomalyGenerator(anomaly_source_path=None, blend_factor=(0.1, 1.0))
    folder = Path(textures)
    if not any(is_image_name(p) for p in folder.rglob("*")):
        raise CutSwapError(
            folder,
            expected="a folder of photos for DRAEM to paste",
            found="none",
            fix="pass --textures FOLDER, or leave it out for noise",
        )
    return PerlinAnomalyGenerator(anomaly_source_path=folder, blend_factor=(0.1, 1.0))


Step = Callable[[Tensor], None]


def _stfpm_step(model: Any, _generator: nn.Module | None) -> Step:
    from anomalib.models.image.stfpm.loss import STFPMLoss

    loss_of = STFPMLoss()
    optimiser = torch.optim.SGD(
        model.student_model.parameters(), lr=0.4, momentum=0.9, weight_decay=0.001
    )

    def step(image: Tensor) -> None:
        loss = loss_of(*model(image))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def _padim_step(model: Any, _generator: nn.Module | None) -> Step:
    def step(image: Tensor) -> None:
        model(image)

    return step


def _draem_step(model: Any, generator: Any) -> Step:
    from anomalib.models.image.draem.loss import DraemLoss

    loss_of = DraemLoss()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.0001)

    def step(image: Tensor) -> None:
        changed, mask = generator(image)
        loss = loss_of(image, *_swapped(model(changed), mask))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def _swapped(outputs: tuple[Tensor, Tensor], mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Reconstruction, mask, prediction: the order of DRAEM's loss."""
    return outputs[0], mask, outputs[1]


_MODELS = {"stfpm": _stfpm_model, "padim": _padim_model}
_STEPS = {"stfpm": _stfpm_step, "padim": _padim_step, "draem": _draem_step}
