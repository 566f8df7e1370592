"""The search structure over a memory bank: every item, or a small part that is likely to do.

`exact` compares a patch with the whole bank. `ivf` groups the items around centroids and looks
into the groups nearest to the patch; `hnsw` walks a graph of neighbours. Both may miss the nearest
item, and then a distance comes out too large, never too small. `benchmark` measures how often.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from cutswap.errors import CutSwapError
from cutswap.utils.files import replacing

# Groups of `ivf` per square root of the bank, and the share of them looked into: for 50,000 patches
# 894 groups, of which 56 are looked into.
GROUPS, PROBED = 4, 1 / 16
ENOUGH = 39  # items a group below which faiss calls its centroids badly placed
# Links an item of the graph, and how many candidates a walk keeps.
LINKS, BUILD, WALK = 32, 80, 64


class BankIndex:
    """Nearest items of a bank.

    Args:
        items: (M, D) float32, C-contiguous.
        kind: exact, ivf or hnsw.
    """

    def __init__(self, items: np.ndarray, kind: str = "exact") -> None:
        self._exact = faiss.IndexFlatL2(items.shape[1])
        self._exact.add(items)
        self._index: Any = {"exact": _same, "ivf": _ivf, "hnsw": _hnsw}[kind](self._exact, items)

    def search(self, patches: np.ndarray, count: int) -> np.ndarray:
        """(P, D) float32 to the (P, count) int64 nearest items, nearest first."""
        _, neighbours = self._index.search(patches, count)
        # Groups looked into may hold fewer than `count` items: then the whole bank is asked.
        lacking = (neighbours < 0).any(axis=1)
        if lacking.any():
            _, neighbours[lacking] = self._exact.search(patches[lacking], count)
        return np.asarray(neighbours)


def _opens(path: Path) -> bool:
    """Whether faiss can open it: on Windows it reads names in the system's old encoding."""
    return sys.platform != "win32" or str(path).isascii()


def write_index(path: Path, items: np.ndarray) -> None:
    """Write the `ivf` index of a bank for `MappedIndex`; faiss's format, its items inside.

    Args:
        path: file to write, replaced whole.
        items: (M, D) float32, C-contiguous.

    Raises:
        CutSwapError: the file cannot be written.
    """
    groups = max(1, min(int(GROUPS * math.sqrt(len(items))), len(items) // ENOUGH))
    index = _groups(items, groups)
    with replacing(path) as temporary:
        try:
            if _opens(temporary):
                faiss.write_index(index, str(temporary))
            else:
                temporary.write_bytes(faiss.serialize_index(index).tobytes())
        except RuntimeError as error:  # its input and output errors come as this
            raise OSError(str(error).splitlines()[0]) from error


class MappedIndex:
    """An index that stays on disk: groups are read when a patch is near them, and may be shared.

    On Windows, below a folder whose name is not ASCII, it is read into memory.
    The file is trusted, as faiss parses it in C++: open what `write_index` wrote on your machines.

    Args:
        path: of `write_index`.

    Raises:
        CutSwapError: no such file, or no index.
    """

    def __init__(self, path: Path) -> None:
        try:
            if not path.is_file():
                raise FileNotFoundError("no such file")
            self._index: Any = (
                faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
                if _opens(path)
                else faiss.deserialize_index(np.fromfile(path, np.uint8))
            )
        except (OSError, RuntimeError) as error:
            raise CutSwapError(
                path,
                expected="an index that write_index wrote",
                found=(str(error) or type(error).__name__).splitlines()[0][:200],
                fix="write it again from the bank",
            ) from error

    @property
    def size(self) -> int:
        """Number of items."""
        return int(self._index.ntotal)

    def search(self, patches: np.ndarray, count: int) -> np.ndarray:
        """(P, D) float32 to the (P, count) int64 nearest items found, nearest first.

        Groups that hold fewer than `count` are made up for by looking into all of them.
        """
        _, neighbours = self._index.search(patches, count)
        lacking = (neighbours < 0).any(axis=1)
        if lacking.any():
            every: Any = faiss.SearchParametersIVF()
            every.nprobe = self._index.nlist
            _, neighbours[lacking] = self._index.search(patches[lacking], count, params=every)
        return np.asarray(neighbours)


def _same(exact: Any, _items: np.ndarray) -> Any:
    return exact


def _ivf(exact: Any, items: np.ndarray) -> Any:
    groups = max(1, min(int(GROUPS * math.sqrt(len(items))), len(items) // ENOUGH))
    if groups == 1:
        return exact
    return _groups(items, groups)


def _groups(items: np.ndarray, groups: int) -> Any:
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(items.shape[1]), items.shape[1], groups)
    index.train(items)  # k-means of a fixed seed
    index.add(items)
    index.nprobe = max(1, math.ceil(groups * PROBED))
    return index


def _hnsw(_exact: Any, items: np.ndarray) -> Any:
    index = faiss.IndexHNSWFlat(items.shape[1], LINKS)
    index.hnsw.efConstruction = BUILD
    index.hnsw.efSearch = WALK
    index.add(items)
    return index
