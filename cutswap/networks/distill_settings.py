"""How long, how fast and on what crops a student is distilled; see `distill.py`."""

from __future__ import annotations

from dataclasses import dataclass

from cutswap.settings import Settings, setting


@dataclass(frozen=True)
class DistillSettings(Settings):
    """How long and on what each stage trains."""

    forced_steps: int = setting(3000, "updates with teacher forcing", low=0)
    own_steps: int = setting(2000, "updates on the student's own activations", low=0)
    class_steps: int = setting(3000, "updates on class probabilities", low=0)
    crop: int = setting(96, "side of the crops for activations, pixels", low=32)
    class_crop: int = setting(128, "side of the crops for class probabilities, pixels", low=32)
    teacher_crop: int = setting(224, "side at which the class teacher sees them, pixels", low=32)
    views: int = setting(12, "fixed crops a photo for class probabilities", low=1)
    forced_batch: int = setting(32, "crops an update with teacher forcing", low=1)
    batch_size: int = setting(64, "crops an update otherwise", low=2)
    forced_rate: float = setting(2e-3, "AdamW rate with teacher forcing", above=0.0)
    own_rate: float = setting(5e-4, "AdamW rate on the student's own activations", above=0.0)
    class_rate: float = setting(1e-3, "AdamW rate on class probabilities", above=0.0)
    large_steps: int = setting(0, "updates on class probabilities of large crops", low=0)
    large_crop: int = setting(224, "side of the large crops, pixels", low=32)
    large_teacher_crop: int = setting(160, "side at which the teacher sees them, pixels", low=32)
    large_views: int = setting(4, "fixed large crops a photo", low=1)
    large_batch: int = setting(16, "large crops an update", low=2)
    large_rate: float = setting(1e-3, "AdamW rate on large crops", above=0.0)
    figure_steps: int = setting(0, "updates on cut-out objects on patterned grounds", low=0)
    figure_sides: tuple[int, ...] = setting(
        (128, 176, 240), "sides of those pictures, one drawn an update, pixels", low=64
    )
    figure_batch: int = setting(48, "pictures an update at the smallest side", low=4)
    figure_rate: float = setting(1e-3, "AdamW rate on them", above=0.0)
    saliency_weight: float = setting(4.0, "weight of saliency's fit to the figure", low=0.0)
    hint_weight: float = setting(4.0, "weight of the hints beside the class loss", low=0.0)
    checkpoint_every: int = setting(100, "updates between checkpoints", low=1)
    seed: int = setting(0, "seed of the student's start and of every crop", low=0)
    device: str = setting("auto", "auto, cpu, mps, cuda or cuda:N")
