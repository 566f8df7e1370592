"""Time anomalib 2.x beside this project, in one process: coreset and PatchCore inference.

Needs a second environment, so that the project itself never depends on it:

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -e . anomalib
    /tmp/peers/bin/python benchmarks/bench_peers.py --json peers.json

Both get the same weights, the same bank and the same images, and take turns. anomalib is called
through its own modules: `KCenterGreedy`, and `PatchcoreModel` with a timm ResNet18.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomalib.models.components.sampling import KCenterGreedy  # noqa: E402
from anomalib.models.image.patchcore.torch_model import PatchcoreModel  # noqa: E402

from cutswap.benchmark.machine import describe_machine  # noqa: E402
from cutswap.benchmark.measurement import (  # noqa: E402
    Measurement,
    extra_memory,  # noqa: E402
    in_turns,
    times_faster,
)
from cutswap.benchmark.pictures import LAYERS, demo_patches, demo_photos  # noqa: E402
from cutswap.benchmark.table import table  # noqa: E402
from cutswap.config import PLAIN, PatchCoreSettings  # noqa: E402
from cutswap.data.images import to_image  # noqa: E402
from cutswap.networks.backbone import Backbone, load_backbone  # noqa: E402
from cutswap.patchcore.coreset import coverage_radius, greedy_k_center  # noqa: E402
from cutswap.patchcore.memory_bank import MemoryBank  # noqa: E402


def peer_model(backbone: Backbone, bank: torch.Tensor) -> Any:
    """PatchCore of anomalib with our weights and bank; one neighbour, as ours."""
    model = PatchcoreModel(LAYERS, "resnet18", pre_trained=False, num_neighbors=1)
    own = backbone.module.state_dict()
    network = model.feature_extractor.feature_extractor
    lacking = network.load_state_dict(own, strict=False).missing_keys
    if lacking:
        raise SystemExit(f"anomalib's ResNet18 has {lacking[0]}, ours has not: another version?")
    model.memory_bank = bank
    return model.eval()


def peer_inference(backbone: Backbone, count: int, bank_size: int, options: Any) -> Measurement:
    """Images a second and memory of one batch."""
    photos = demo_photos(2 * count, 256)
    patches = demo_patches(backbone, photos[count:], LAYERS)
    items = patches[torch.linspace(0, len(patches) - 1, bank_size).long()].contiguous()
    origin = np.zeros((len(items), 3), np.int32)
    bank = MemoryBank(backbone, PatchCoreSettings(**PLAIN), items.numpy(), origin, 0)
    model, image = peer_model(backbone, items), to_image(photos[:count])

    def theirs() -> Any:
        with torch.no_grad():
            return model(image)

    ours, peer = bank.score(image), theirs()
    scores = np.abs(ours.scores - peer.pred_score.numpy().ravel()).max() / ours.scores.max()
    inside = (slice(None), slice(16, -16), slice(16, -16))
    maps = np.abs(ours.heatmaps[inside] - peer.anomaly_map.numpy()[:, 0][inside]).max()
    times = in_turns(lambda: bank.score(image), theirs, options.turns, clock=options.clock)
    memory = extra_memory(lambda: bank.score(image)), extra_memory(theirs)
    return times_faster(
        "inference",
        f"{count} images of 256, bank of {bank_size}",
        *times,
        target=2.0,
        images_per_second=count / float(np.median(times[0])),
        peer_images_per_second=count / float(np.median(times[1])),
        largest_score_difference=float(scores),
        largest_map_difference=float(maps / ours.heatmaps.max()),
        memory_mb=[m / 1e6 for m in memory if m is not None],
    )


def peer_coreset(backbone: Backbone, images: int, options: Any) -> Measurement:
    """Seconds and coverage radius; the peer's first pick and projection are random."""
    patches = demo_patches(backbone, demo_photos(images, 256), LAYERS)
    count = int(0.01 * len(patches))
    picks: dict[str, torch.Tensor] = {}

    def ours() -> None:
        projection = PatchCoreSettings().projection
        picks["ours"] = greedy_k_center(patches, count, projection=projection, seed=0)

    def theirs() -> None:
        picks["theirs"] = torch.tensor(KCenterGreedy(patches, 0.01).select_coreset_idxs())

    times = in_turns(ours, theirs, 1, warm_up=False, clock=options.clock)
    radius = {who: coverage_radius(patches, found) for who, found in picks.items()}
    what = f"{count} of {len(patches)} x {patches.shape[1]}, each with its own projection"
    return times_faster("coreset", what, *times, target=None, coverage_radius=radius)


def main() -> None:
    """Both comparisons, a table, and every number in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=293, help="images behind the coreset [293]")
    parser.add_argument("--count", type=int, default=32, help="images scored a turn [32]")
    parser.add_argument("--bank", type=int, default=2048, help="items of the bank [2048]")
    parser.add_argument("--turns", type=int, default=5, help="turns of inference [5]")
    parser.add_argument("--threads", type=int, help="of torch [all cores]")
    parser.add_argument("--clock", default="wall", choices=("wall", "processor"))
    parser.add_argument("--json", type=Path, help="file for every number")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    machine = {**describe_machine(), "anomalib": importlib.metadata.version("anomalib")}
    backbone = load_backbone("resnet18")
    found = [
        peer_inference(backbone, options.count, options.bank, options),
        peer_coreset(backbone, options.images, options),
    ]
    print(f"{machine['processor']}, {machine['cores']} cores, anomalib {machine['anomalib']}")
    print(table(found))
    if options.json:
        result = {"machine": machine, "measurements": [m.to_dict() for m in found]}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
