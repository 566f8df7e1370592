"""A whole detector as one network: a photo's pixels in, score, heatmap and verdict out.

The same arithmetic as `MemoryBank.score`, `HeadDetector.score` and `p_values`, in what an export
can follow: the nearest patch by one matrix product, ||b||^2 - 2 a b, its distance computed again
from the difference (the product's rounding would leave 1e-2 of it near 0), and smoothing as two
small matrix products, since bilinear enlarging and a gaussian are linear in rows and in columns.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from cutswap.config import PatchCoreSettings
from cutswap.heads.detector import HeadDetector
from cutswap.heads.export import HeadGraph
from cutswap.networks.export import FeatureExtractor
from cutswap.patchcore.embeddings import embed, join_layers
from cutswap.patchcore.memory_bank import MemoryBank

OUTPUTS = ("score", "heatmap", "is_defective", "p_value")


class DetectorGraph(nn.Module):
    """Photos to what `score` says of them.

    Args:
        bank: the memory bank; always searched whole.
        detector: bank and head, where there is a head.
        score: whose scores count: bank, head or both.
        threshold: a score at or above it is called defective.
        good: (n,) float32, scores of good photos; None: no p-values.

    Attributes:
        names: of its outputs.
    """

    def __init__(
        self,
        bank: MemoryBank,
        detector: HeadDetector | None,
        score: str,
        threshold: float,
        good: np.ndarray | None,
    ) -> None:
        super().__init__()
        settings = bank.settings
        size = settings.image_size
        layers = bank.backbone.resolve(settings.layers)
        self.features = FeatureExtractor(bank.backbone, layers)
        self.bank = _BankGraph(bank)
        self.head = HeadGraph(detector.head) if detector and score != "bank" else None
        # At weight 0 `HeadDetector` takes the bank's own numbers.
        self.join = detector.join if detector and score == "both" else None
        blank = torch.zeros(1, 3, size, size, device=bank.backbone.device)
        h, w = embed(bank.backbone, blank, settings.layers).shape[1:3]
        # A bank's region: the patches that count, and by what their heat is multiplied.
        inside = weights = positions = None
        if (region := bank.region) is not None:
            inside = nn.Buffer(torch.from_numpy(region.patches((h, w)).astype(np.float32)))
            of_pixels = region.weights((h, w), (size, size), settings.sigma)
            weights = nn.Buffer(torch.from_numpy(of_pixels))
            positions = nn.Buffer(torch.from_numpy(region.positions((h, w))))
        self.inside, self.weights, self.positions = inside, weights, positions
        self.rows = nn.Buffer(_enlarging(h, size, settings.sigma))
        self.columns = nn.Buffer(_enlarging(w, size, settings.sigma).T.contiguous())
        self.threshold = nn.Buffer(torch.tensor(threshold, dtype=torch.float32))
        self.good = (
            nn.Buffer(torch.from_numpy(good.astype(np.float32))) if good is not None else None
        )
        self.names = OUTPUTS if good is not None else OUTPUTS[:-1]

    def forward(self, photo: Tensor) -> tuple[Tensor, ...]:
        """(N, S, S, 3) uint8 to (N,) float32, (N, S, S) float32, (N,) bool and (N,) float32."""
        features = self.features(photo.permute(0, 3, 1, 2).to(torch.float32) / 255)
        patches, score = self.bank(join_layers(features), self.positions)
        if self.head is not None:
            of_head, image_score = self.head(*features)
            if self.positions is not None:
                looked_at = of_head.flatten(1)[:, self.positions]
                highest = min(self.head.head.settings.highest, looked_at.shape[1])
                image_score = looked_at.topk(highest, dim=1).values.mean(dim=1)
            if self.join is None:
                patches, score = of_head, image_score
            elif self.join.weight > 0:
                own, weight = 1 - self.join.weight, self.join.weight
                patches = own * patches + weight * self.join.patch_unit * of_head
                score = own * score + weight * self.join.image_unit * image_score
        if self.inside is None or self.weights is None:
            heatmap = self.rows @ patches @ self.columns
        else:
            heatmap = (self.rows @ (patches * self.inside) @ self.columns) * self.weights
        outputs = (score, heatmap, score >= self.threshold)
        if self.good is None:
            return outputs
        above = (self.good >= score[:, None]).to(torch.float32).sum(dim=1)
        return (*outputs, (above + 1) / (len(self.good) + 1))


class _BankGraph(nn.Module):
    """`MemoryBank.score_patches`: (N, h, w, D) to distances (N, h, w) and scores (N,)."""

    def __init__(self, bank: MemoryBank) -> None:
        super().__init__()
        self.settings: PatchCoreSettings = bank.settings
        items = torch.from_numpy(bank.items)
        self.items = nn.Buffer(items)
        self.turned = nn.Buffer(-2 * items.T.contiguous())
        self.squares = nn.Buffer(items.double().square().sum(dim=1).float())
        self.count = len(items)
        white = bank.whitening
        self.mean = nn.Buffer(torch.from_numpy(white.mean)) if white else None
        self.matrix = nn.Buffer(torch.from_numpy(white.matrix)) if white else None
        self.beside = _BankGraph(bank.beside) if bank.beside else None
        self.unit = bank.unit

    def forward(self, embedded: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        distances, score = self._alone(embedded, positions)
        if self.beside is None:
            return distances, score
        distances = 0.5 * distances + 0.5 * self.unit * self.beside(embedded, positions)[0]
        flat = distances.flatten(1)
        looked_at = flat if positions is None else flat[:, positions]
        count = min(self.settings.image_patches, looked_at.shape[1])
        return distances, looked_at.topk(count, dim=1).values.mean(dim=1)

    def _alone(self, embedded: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """The same of this bank without the one beside it."""
        h, w = embedded.shape[1:3]
        patches = embedded.flatten(1, 2)  # (N, P, D)
        if self.mean is not None and self.matrix is not None:
            patches = (patches - self.mean) @ self.matrix
        near = self._nearest(patches, min(self.settings.neighbours, self.count))
        differences = patches[:, :, None] - self.items[near]  # (N, P, k, D)
        distances = differences.square().sum(dim=-1).sqrt().mean(dim=-1)
        if positions is None:
            score = self._image_score(patches, distances, near[..., 0])
        else:
            looked_at = (patches[:, positions], distances[:, positions], near[:, positions, 0])
            score = self._image_score(*looked_at)
        return distances.unflatten(1, (h, w)), score

    def _nearest(self, patches: Tensor, k: int) -> Tensor:
        """(..., K) to the (..., k) nearest items, nearest first; ||a||^2 moves none of them."""
        apart = patches @ self.turned + self.squares
        if k == 1:
            return apart.argmin(dim=-1, keepdim=True)
        return apart.topk(k, dim=-1, largest=False).indices

    def _image_score(self, patches: Tensor, distances: Tensor, nearest: Tensor) -> Tensor:
        count = min(self.settings.image_patches, distances.shape[1])
        worst, places = distances.topk(count, dim=1)
        b = min(self.settings.reweight, self.count)
        if b == 1:
            return worst.mean(dim=1)
        # `image_score.reweighted_mean`
        own = patches.gather(1, places[..., None].expand(-1, -1, patches.shape[-1]))
        centres = self.items[nearest.gather(1, places)]
        around = self.items[self._nearest(centres, b)]  # (N, count, b, K)
        far = (around - own[:, :, None]).square().sum(dim=-1).sqrt()
        mine = (centres - own).square().sum(dim=-1).sqrt()
        top = far.amax(dim=-1)
        share = (mine - top).exp() / (far - top[..., None]).exp().sum(dim=-1)
        return ((1 - share) * worst).mean(dim=1)


def _enlarging(places: int, size: int, sigma: float) -> Tensor:
    """(size, places) float32: from patches to pixels, then smoothed, as `to_heatmap` does."""
    single = torch.eye(places, dtype=torch.float64)[:, None]
    matrix = F.interpolate(single, size=size, mode="linear", align_corners=False)[:, 0].numpy()
    if sigma > 0:
        matrix = gaussian_filter1d(matrix, sigma=sigma, axis=1, mode="reflect")
    return torch.from_numpy(np.ascontiguousarray(matrix.T, dtype=np.float32))
