"""A head as part of an exported network: a photo in, the head's scores of patches and photo out.

Beside the features the file then has `patch_scores` (N, h, w), at the places of the first layer,
and `image_score` (N,). The memory bank is not in it; who wants both asks `detector.safetensors`.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from cutswap.heads.patch_head import PatchHead
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.embeddings import embed, join_layers

PATCH_SCORES, IMAGE_SCORE = "patch_scores", "image_score"


class HeadGraph(nn.Module):
    """`PatchHead.score_patches` and `image_scores` as one module without numpy.

    Args:
        head: whose copy is used.
    """

    def __init__(self, head: PatchHead) -> None:
        super().__init__()
        self.head = copy.deepcopy(head)
        self.network = self.head.network

    def forward(self, *features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) of each of the head's layers to (N, h, w) and (N,) float32 >= 0."""
        patches = self.head.score_tensor(join_layers(features))
        flat = patches.flatten(1)
        highest = min(self.head.settings.highest, flat.shape[1])
        return patches, torch.topk(flat, highest, dim=1).values.mean(dim=1)


class HeadOutputs:
    """A head's scores as outputs of phi's export (`cutswap.networks.export.ExtraOutputs`).

    Args:
        head: trained on the network that is exported.
    """

    def __init__(self, head: PatchHead) -> None:
        self.layers = head.settings.layers
        self.names: tuple[str, ...] = (PATCH_SCORES, IMAGE_SCORE)
        self.module: nn.Module = HeadGraph(head)
        self.about: dict[str, Any] = {
            "head": {
                **head.about(),
                "outputs": {
                    PATCH_SCORES: "anomaly score >= 0 of every patch, higher is more anomalous",
                    IMAGE_SCORE: f"mean of the {head.settings.highest} highest of them",
                },
            }
        }
        self._head = head

    def reference(self, backbone: Backbone, image: Tensor) -> list[Tensor]:
        """The scores as evaluate computes them, of a normalised (N, 3, S, S)."""
        patches = self._head.score_patches(embed(backbone, image, self.layers))
        return [torch.from_numpy(patches), torch.from_numpy(self._head.image_scores(patches))]
