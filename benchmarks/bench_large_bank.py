"""A bank of 100,000 images' patches on one machine: features generated, streamed, never all held.

    python benchmarks/bench_large_bank.py --json large.json

100,000 images of 16 x 16 patches (ResNet18's layer2 grid at 128 pixels) of 384 numbers are 25.6
million patches, 39 GB. They come in shards of 1,000 images; each keeps 4,096, and 4,096 of the
409,600 kept become the bank: 1 patch in 6,250. At 1 in 1,000 the bank would be 25,600, and a
shard's greedy pass, quadratic in what it keeps, would take forty times as long.

Features lie near a curved surface of 12 dimensions around 64 centres, as those of real parts are
crowded; independent noise would let every patch be a centre. Peak memory is the kernel's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cutswap.patchcore.index import MappedIndex, write_index  # noqa: E402
from cutswap.patchcore.sharded_coreset import ShardedCoreset  # noqa: E402
from cutswap.utils.devices import memory_in_use  # noqa: E402

GRID, DIMENSIONS, HIDDEN, CENTRES = 256, 384, 12, 64


def shard(number: int, images: int) -> Tensor:
    """(images * 256, 384) float32 of one shard, the same for the same number."""
    common = torch.Generator().manual_seed(0)
    centres = 2 * torch.randn(CENTRES, HIDDEN, generator=common)
    mix = torch.randn(HIDDEN, DIMENSIONS, generator=common) / HIDDEN**0.5
    own = torch.Generator().manual_seed(1 + number)
    count = images * GRID
    which = torch.randint(CENTRES, (count,), generator=own)
    hidden = centres[which] + 0.5 * torch.randn(count, HIDDEN, generator=own)
    found = torch.relu(hidden @ mix)
    for part in found.split(8192):
        part.add_(torch.randn(part.shape, generator=own), alpha=0.05)
    return found


def main() -> None:
    """Reduce, serve from a mapped index, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--shard", type=int, default=1_000, help="images a shard")
    parser.add_argument("--bank", type=int, default=4_096)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    coreset = ShardedCoreset(options.bank, measure=True)
    began, making = time.perf_counter(), 0.0
    shards = range(0, options.images, options.shard)
    for number, first in enumerate(shards):
        start = time.perf_counter()
        patches = shard(number, min(options.shard, options.images - first))
        making += time.perf_counter() - start
        coreset.add(patches)
        if number % 10 == 9:
            done, spent = number + 1, time.perf_counter() - began
            print(f"{done} of {len(shards)} shards, {spent:.0f} s", flush=True)
    held, start = coreset.held, time.perf_counter()
    bank, _, bound = coreset.finish()
    merging = time.perf_counter() - start
    total = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.faiss"
        write_index(path, bank.numpy())
        index = MappedIndex(path)
        queries = shard(len(shards), 4).numpy()
        start = time.perf_counter()
        index.search(queries, 1)
        search = (time.perf_counter() - start) / 4
    result = {
        "images": options.images,
        "patches": coreset.seen,
        "shards": len(shards),
        "kept": held,
        "bank": len(bank),
        "seconds": round(total, 1),
        "of_it_generating": round(making, 1),
        "of_it_merging": round(merging, 1),
        "radius_bound": round(bound, 4),
        "largest_shard_radius": round(coreset.radius, 4),
        "search_seconds_an_image": round(search, 4),
        "threads": options.threads,
        "peak_gb": round(memory_in_use(torch.device("cpu")) / 1e9, 2),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
