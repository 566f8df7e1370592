"""How well PatchCore on a network tells held-out good photos from negatives of them.

No test photo is asked: settings or checkpoints that were chosen by these would be fitted to them. A
fifth of the good photos is held out from training. The negatives are of families that the training
does not use and of default settings, so a run cannot win by making its own negatives easy.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cutswap.config import (
    FAMILIES,
    FEWEST_TO_HOLD_OUT,
    PLAIN,
    ClusterSettings,
    FineTuningSettings,
    NegativeSettings,
    PatchCoreSettings,
    held_out_of,
)
from cutswap.data.images import to_image
from cutswap.data.loading import CheckedCategory, load_photos
from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import auroc
from cutswap.heads.detector import HeadDetector
from cutswap.heads.patch_head import PatchHead
from cutswap.heads.validation import make_validation_set
from cutswap.negatives.draw import draw_negative
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.memory_bank import MemoryBank


class Validation:
    """The held-out photos, their negatives, and the score of a network.

    Args:
        checked: the category; its test photos are not looked at.
        settings: common ones: image size and family of negatives.
        seed: of the split and of the negatives.

    Raises:
        CutSwapError: fewer than five good training photos.
    """

    def __init__(self, checked: CheckedCategory, settings: FineTuningSettings, seed: int) -> None:
        records = checked.category.train
        self._region = checked.region_at(settings.training.image_size)
        if len(records) < FEWEST_TO_HOLD_OUT:
            raise CutSwapError(
                checked.category.name,
                expected=f"{FEWEST_TO_HOLD_OUT} good training photos or more, to hold some out",
                found=len(records),
                fix="add photos",
            )
        order = np.random.default_rng((seed, 17)).permutation(len(records))
        count = held_out_of(len(records))
        held, kept = sorted(order[:count]), sorted(order[count:])
        size = settings.training.image_size
        category = replace(checked.category, train=tuple(records[i] for i in kept), test=())
        self.training = CheckedCategory(category, checked.left_out)
        self._size = size
        self._train = load_photos(category.train, size)
        self._good = load_photos([records[i] for i in held], size)
        used = settings.training.augment
        # A texture covers the whole photo, and would lie outside a region.
        left_out = (used, "cutswap", *(() if self._region is None else ("perlin",)))
        self.families = tuple(f for f in FAMILIES if f not in left_out)
        self._bad = {
            family: np.stack(
                [
                    draw_negative(
                        photo,
                        None,
                        NegativeSettings(method=family),
                        ClusterSettings(),
                        seed=(seed, 23, number),
                        inside=self._region,
                    ).photo
                    for number, photo in enumerate(self._good)
                ]
            )
            for family in self.families
        }

    def score(self, backbone: Backbone, head: PatchHead | None = None) -> float:
        """Mean over the families of the image AUROC, in [0, 1].

        Args:
            backbone: whose bank is asked.
            head: joined with it; trained on `training`.
        """
        settings = PatchCoreSettings(image_size=self._size, coreset=0.01, **PLAIN)
        if head is not None:
            settings = settings.replace(layers=head.settings.layers)
        photos = (self._train[i : i + 16] for i in range(0, len(self._train), 16))
        bank = MemoryBank.fit(
            backbone, map(to_image, photos), settings, count=len(self._train), region=self._region
        )
        detector = None
        if head is not None:
            held_out = self._train[list(head.origin.held_out)]
            inner = make_validation_set(held_out, head.origin.family, self._region)
            detector, _ = HeadDetector.fit(bank, head, inner)

        def ask(photos: np.ndarray) -> np.ndarray:
            image = to_image(photos)
            return (detector.score(image).both if detector else bank.score(image)).scores

        good = ask(self._good)
        aurocs = []
        for bad in self._bad.values():
            scores = np.concatenate([good, ask(bad)])
            labels = np.arange(len(scores)) >= len(good)
            aurocs.append(auroc(scores, labels) or 0.0)
        return float(np.mean(aurocs))
