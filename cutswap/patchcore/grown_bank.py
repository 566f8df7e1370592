"""A bank that learns more good photos later: its items stay, and patches of the photos join them.

They join as the coreset's rule goes on: the patch farthest from all items is the next item. The
budget is the coreset's share of the new patches, so that the bank stays the share of all patches
that it was. As items only join, no distance to the one nearest item grows, and what joined last can
leave again.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.patchcore.index import BankIndex
from cutswap.patchcore.memory_bank import MemoryBank


def grown(bank: MemoryBank, embedded: Tensor, first: int) -> MemoryBank:
    """A bank with patches of more good photos.

    Args:
        bank: stays as it is.
        embedded: (N, h, w, D) float32, the photos' patches.
        first: number of the first of these photos, in the origins of the new items.

    Returns:
        A bank whose first items are the old ones, and then at most the budget's.

    Raises:
        CutSwapError: no photo.
    """
    count, h, w, _ = embedded.shape
    if not count:
        raise CutSwapError(
            "photos to learn from", expected="at least one", found="none", fix="name a photo"
        )
    inside = np.arange(h * w) if bank.region is None else bank.region.positions((h, w))
    banks = [bank] if bank.beside is None else [bank, bank.beside]
    flats = []
    for one in banks:
        patches = one.comparable(embedded).reshape(count, h * w, -1)[:, inside]
        flats.append(np.ascontiguousarray(patches.reshape(-1, patches.shape[-1]), np.float32))
    most = budget(bank.settings, len(flats[0]))
    picks = [_farthest(flat, one.items, most) for flat, one in zip(flats, banks, strict=True)]
    joining = min(map(len, picks))  # of two banks as many to each, so that they shrink alike
    grown_bank: MemoryBank | None = None
    for one, flat, chosen in reversed(list(zip(banks, flats, picks, strict=True))):
        image, place = np.divmod(chosen[:joining], len(inside))
        row, column = np.divmod(inside[place], w)
        origin = np.stack([image + first, row, column], axis=1).astype(one.origin.dtype)
        grown_bank = one.with_items(
            np.concatenate([one.items, flat[chosen[:joining]]]),
            np.concatenate([one.origin, origin]),
            grown_bank,
        )
    assert grown_bank is not None  # noqa: S101 - there is one bank at least
    return grown_bank


def shrunk(bank: MemoryBank, count: int) -> MemoryBank:
    """A bank of the first `count` items: what joined later leaves.

    Raises:
        CutSwapError: no item would be left, or there are not so many.
    """
    if not 1 <= count <= bank.size:
        raise CutSwapError(
            "memory bank",
            expected=f"1 to {bank.size} items to keep",
            found=count,
            fix="evaluate again",
        )
    beside = bank.beside
    if beside is not None:
        beside = shrunk(beside, beside.size - (bank.size - count))
    return bank.with_items(bank.items[:count], bank.origin[:count], beside)


def budget(settings: PatchCoreSettings, patches: int) -> int:
    """Items that may join with so many patches, at least one."""
    return max(1, int(settings.coreset * patches))


def _farthest(patches: np.ndarray, items: np.ndarray, most: int) -> np.ndarray:
    """(n,) int64 places of patches (P, K), each the farthest from items and those before it.

    Fewer than `most` where all others are items already.
    """
    nearest = BankIndex(items).search(patches, 1)[:, 0]
    away = np.linalg.norm(patches - items[nearest], axis=1)
    picks: list[int] = []
    while len(picks) < most:
        pick = int(away.argmax())
        if away[pick] <= 0:
            break
        picks.append(pick)
        away = np.minimum(away, np.linalg.norm(patches - patches[pick], axis=1))
    return np.array(picks, dtype=np.int64)
