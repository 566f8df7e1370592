"""Negatives as a data set of their own, in the layout of MVTec AD, with their exact masks.

    <out>/<category>/train/good/0000.png            photos no negative was made of
    <out>/<category>/test/good/0000.png             photos that negatives were made of, unedited
    <out>/<category>/test/<method>/0000.png         negatives
    <out>/<category>/ground_truth/<method>/0000_mask.png
    <out>/<category>/region.png                     where negatives may lie; only with a region
    <out>/<category>/negatives.json                 settings, sources and every record

Photos are shared out so that nothing tested on was trained on; without a share held out all photos
are in train/good, and negatives of them too. Draws are the trainer's, without its colour jitter, so
a negative differs from its photo in the mask alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import ClusterSettings, NegativeSettings, SaliencySettings, WeakAugmentation
from cutswap.data.images import save_png
from cutswap.data.loading import CheckedCategory, load_photos
from cutswap.data.records import GOOD
from cutswap.errors import CutSwapError
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import load_backbone
from cutswap.saliency.cache import SaliencyMaps, saliency_of
from cutswap.utils.files import write_json
from cutswap.utils.folder_names import REGION
from cutswap.utils.progress import Notify, tick


def export_negatives(
    checked: CheckedCategory,
    out: Path,
    methods: Sequence[str],
    *,
    negatives: NegativeSettings,
    clusters: ClusterSettings,
    saliency: SaliencySettings,
    count: int | None = None,
    hold_out: float = 0.5,
    seed: int = 0,
    notify: Notify | None = None,
) -> dict[str, Any]:
    """Draw and write.

    Args:
        checked: the category; only its good training photos are used.
        out: folder to write; the category's folder is made in it and must not be there yet.
        methods: of `NegativeSettings.method`, each once.
        negatives: patch geometry; its method is set here.
        clusters: K and the anchor strategy.
        saliency: who guides CutSwap, and the photos' size.
        count: negatives a method; default: one a photo.
        hold_out: share of the photos that negatives are made of, in [0, 1); 0: of all photos.
        seed: of every draw.
        notify: called with (stage, done, total).

    Returns:
        Counts, the folders as anomalib's Folder takes them.

    Raises:
        CutSwapError: an unknown or repeated method, too few photos, a folder that is there.
    """
    known = [negatives.replace(method=m).method for m in methods]  # refuses an unknown one
    if not known or len(set(known)) != len(known):
        raise CutSwapError(
            "--method",
            expected="at least one method, each once",
            found=",".join(known) or "none",
            fix="for example --method cutswap,cutpaste",
        )
    folder = out / checked.category.name
    if folder.exists():
        raise CutSwapError(
            folder,
            expected="a folder that is not there yet",
            found="one",
            fix="delete it or pass another --out: old images would mix with new ones",
        )
    inside = checked.region_at(saliency.image_size)
    train, made_of = share_out(len(checked.category.train), hold_out)
    photos = load_photos(checked.category.train, saliency.image_size, tick(notify, "reading"))
    maps = None
    if any(m.startswith("cutswap") for m in known):
        guide = load_backbone(saliency.backbone, saliency.weights)
        maps = saliency_of(
            guide,
            photos[made_of],
            saliency.layers,
            target_class=saliency.target_class,
            progress=tick(notify, "saliency"),
        )
    if inside is not None:
        save_png(folder / REGION, inside)
    for place, index in enumerate(train):
        save_png(folder / f"train/{GOOD}/{place:04d}.png", photos[index])
    if hold_out:
        for place, index in enumerate(made_of):
            save_png(folder / f"test/{GOOD}/{place:04d}.png", photos[index])
    total = len(made_of) if count is None else count
    sources = [str(checked.category.train[i].image) for i in made_of]
    drawn = {
        method: _write(
            folder,
            method,
            _samples(method, photos[made_of], maps, negatives, clusters, seed, inside),
            total,
            sources,
            tick(notify, f"drawing {method}"),
        )
        for method in known
    }
    result = {
        "folder": str(folder),
        "methods": known,
        "negatives_a_method": total,
        "train_good": len(train),
        "test_good": len(made_of) if hold_out else 0,
        "anomalib": folder_arguments(folder, known, has_good=bool(hold_out)),
    }
    about = {
        **result,
        "data": {"root": str(checked.category.root), **checked.to_dict()},
        "seed": seed,
        "hold_out": hold_out,
        "negatives": negatives.to_dict(),
        "clusters": clusters.to_dict(),
        "saliency": saliency.to_dict(),
        "draws": drawn,
    }
    write_json(folder / "negatives.json", about)
    return result


def share_out(count: int, hold_out: float) -> tuple[list[int], list[int]]:
    """Indices of photos to train on, and of those that negatives are made of.

    The second are spread evenly over the first's, for series drift.

    Args:
        count: photos.
        hold_out: share of the second, in [0, 1).

    Raises:
        CutSwapError: a share out of range, or one that leaves a side empty.
    """
    held = round(count * hold_out)
    if not 0 <= hold_out < 1 or count < 1 or (hold_out and not 0 < held < count):
        raise CutSwapError(
            "--hold-out",
            expected="a share in [0, 1) that leaves photos on both sides",
            found=f"{hold_out:g} of {count} photos",
            fix="pass 0.5, or 0 to use all for both",
        )
    everything = list(range(count))
    if not hold_out:
        return everything, everything
    second = sorted({int((i + 0.5) * count / held) for i in range(held)})
    return [i for i in everything if i not in set(second)], second


def folder_arguments(folder: Path, methods: Sequence[str], *, has_good: bool) -> dict[str, Any]:
    """What anomalib's `Folder` data module takes to open the export."""
    return {
        "root": str(folder),
        "normal_dir": f"train/{GOOD}",
        "abnormal_dir": [f"test/{m}" for m in methods],
        "mask_dir": [f"ground_truth/{m}" for m in methods],
        **({"normal_test_dir": f"test/{GOOD}"} if has_good else {}),
    }


def _samples(
    method: str,
    photos: np.ndarray,
    maps: SaliencyMaps | None,
    negatives: NegativeSettings,
    clusters: ClusterSettings,
    seed: int,
    inside: np.ndarray | None,
) -> TrainingSamples:
    return TrainingSamples(
        photos,
        maps,
        family=method.removesuffix("-scar"),
        ways=3 if method.endswith("-scar") else 2,
        negatives=negatives,
        clusters=clusters,
        weak=WeakAugmentation(jitter=0.0),
        seed=seed,
        count=0,
        inside=inside,
    )


def _write(
    folder: Path,
    method: str,
    samples: TrainingSamples,
    total: int,
    sources: Sequence[str],
    progress: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    """The negatives of one method; returns their records."""
    records = []
    for number in range(total):
        sample = samples.sample(number)
        negative = sample.negatives[-1]  # the scar is the last, where there is one
        save_png(folder / f"test/{method}/{number:04d}.png", negative.photo)
        save_png(folder / f"ground_truth/{method}/{number:04d}_mask.png", negative.mask)
        records.append({"photo": sources[sample.index], **negative.record.to_dict()})
        progress(number + 1, total)
    return records
