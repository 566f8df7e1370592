"""The distill command: build student and teachers, train, and write float16 weights with a card."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import BACKBONES, Backbone, load_backbone
from cutswap.networks.checkpoint_names import unwrap
from cutswap.networks.distill import Distiller
from cutswap.networks.distill_crops import PhotoCrops
from cutswap.networks.distill_settings import DistillSettings
from cutswap.networks.layer_hints import TEACHERS as HINT_TEACHERS
from cutswap.networks.lean_torchvision import import_torchvision, shapes_only
from cutswap.networks.slim_vgg import (
    SlimVGG,
    fold_batch_norm,
    slim_vgg16,
    unfold_batch_norm,
    widths_of,
)
from cutswap.networks.weights import StateDict, read_state
from cutswap.utils.files import sha256_of, user_path, write_json
from cutswap.utils.tensor_files import write_tensors

# A third of torchvision's widths: with the ResNet18 the two embedded files stay under 30 MB.
SLIM_WIDTHS = (24, 48, 96, 192, 192)


def distill_student(
    *,
    photos: Path,
    student: str,
    teacher: str | None,
    class_teacher: str | None,
    out: Path,
    settings: DistillSettings,
    start: Path | None = None,
    notify: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Distil one student and write `out` and its card; started again, it goes on.

    Args:
        photos: folder of photographs.
        student: `resnet18`, or `vgg16` for the slim one.
        teacher: network for its activations, name or path: of the student's own architecture, or
            a ResNet whose layers give a vgg16 hints.
        class_teacher: network for its class probabilities, name or path.
        out: safetensors file to write.
        settings: lengths, sizes and rates.
        start: a student's weights to begin with, as this command wrote them; default: random.
        notify: called with (stage, done, total).

    Returns:
        The card.

    Raises:
        CutSwapError: an unknown student, no teacher at all, or teachers that do not fit.
    """
    if student not in ("resnet18", "vgg16"):
        raise CutSwapError(
            "--student", expected="resnet18 or vgg16", found=student, fix="pick one of the two"
        )
    if teacher is None and class_teacher is None:
        raise CutSwapError(
            "teachers",
            expected="--teacher, --class-teacher or both",
            found="neither",
            fix="pass for example --class-teacher squeezenet1_0",
        )
    if out.suffix != ".safetensors":
        raise CutSwapError(
            out, expected="a .safetensors file name", found=out.name, fix="rename --out"
        )
    activation_teacher = _teacher(teacher) if teacher else None
    scores_teacher = _teacher(class_teacher) if class_teacher else None
    hint_teacher = None
    if activation_teacher is not None and activation_teacher.name != student:
        if student != "vgg16" or activation_teacher.name not in HINT_TEACHERS or not class_teacher:
            raise CutSwapError(
                "--teacher",
                expected=f"a {student}, to match it activation by activation, or for a vgg16 with"
                f" a --class-teacher one of {', '.join(HINT_TEACHERS)}",
                found=f"{activation_teacher.name}, --class-teacher {class_teacher}",
                fix="pass it as --class-teacher instead",
            )
        activation_teacher, hint_teacher = None, activation_teacher
    crops = PhotoCrops.read(photos)
    network = _student(student, settings.seed) if start is None else _begun(student, start, crops)
    checkpoint = out.with_name(f"{out.stem}.checkpoint.safetensors")
    distiller = Distiller(
        network,
        crops,
        teacher=activation_teacher,
        class_teacher=scores_teacher,
        hint_teacher=hint_teacher,
        settings=settings,
        checkpoint=checkpoint,
    )
    for progress in distiller.run():
        if notify:
            notify(f"distilling: {progress.stage}", progress.step, progress.steps)
    teachers = {
        "teacher": activation_teacher,
        "hint_teacher": hint_teacher,
        "class_teacher": scores_teacher,
    }
    return _write(distiller, student, photos, teachers, start, out)


def _write(
    distiller: Distiller,
    student: str,
    photos: Path,
    teachers: dict[str, Backbone | None],
    start: Path | None,
    out: Path,
) -> dict[str, Any]:
    network = distiller.student.cpu().eval()
    if student == "vgg16":
        network = fold_batch_norm(network)
    halves = {
        name: value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    write_tensors(out, halves, {"student": student})
    card = {
        "student": student,
        "sha256": sha256_of(out),
        "bytes": out.stat().st_size,
        "dtype": "float16",
        **{role: t.report.to_dict() if t else None for role, t in teachers.items()},
        "start": {"file": start.name, "sha256": sha256_of(start)} if start else None,
        "photos": {"folder": photos.name, "count": len(distiller.photos.photos)},
        "settings": distiller.settings.to_dict(),
        "torch": torch.__version__,
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "loss_curve": distiller.curve,
    }
    write_json(out.with_suffix(".json"), card)
    return card


def _student(name: str, seed: int) -> nn.Module:
    if name == "resnet18":
        return load_backbone("resnet18", "random", seed=seed).module.requires_grad_(True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # Thirteen layers without normalisation hardly train from scratch; batch norm is folded
        # into the convolutions at the end, which changes nothing but the arithmetic.
        return slim_vgg16(SLIM_WIDTHS, batch_norm=True)


def _begun(name: str, start: Path, crops: PhotoCrops) -> nn.Module:
    """A student as an earlier distillation left it, a slim VGG16 with its batch norms again."""
    state = read_state(user_path(start))
    if name == "vgg16":
        widths = widths_of(state.tensors)
        network: nn.Module | None = slim_vgg16(widths) if widths else None
    else:
        network = load_backbone("resnet18", "random").module
    try:
        if network is None:
            raise RuntimeError("none of its five stages")
        tensors = {n: v.float() for n, v in state.tensors.items() if v.is_floating_point()}
        left = network.load_state_dict(tensors, strict=False)
        missing = [n for n in left.missing_keys if not n.endswith("num_batches_tracked")]
        if missing or left.unexpected_keys:
            raise RuntimeError(f"{len(missing)} tensors missing, {left.unexpected_keys} besides")
    except RuntimeError as error:
        raise CutSwapError(
            start,
            expected=f"weights of a distilled {name}",
            found=str(error).splitlines()[-1].strip(),
            fix="pass what distill --student wrote for the same student, or leave --start out",
        ) from error
    if isinstance(network, SlimVGG):
        probe = crops.batch(64, 112, (0.3, 1.0), np.random.default_rng(0))
        network = unfold_batch_norm(network, to_image(probe.permute(0, 2, 3, 1).numpy()))
    return network.requires_grad_(True)


def _teacher(name_or_path: str) -> Backbone:
    """A network by torchvision name with ImageNet weights, or from a state dict of any of them."""
    if name_or_path in BACKBONES:
        return load_backbone(name_or_path, "imagenet")
    state = read_state(user_path(name_or_path))
    return load_backbone(_architecture(state), name_or_path)


def _architecture(state: StateDict) -> str:
    """Which known network a state dict is of: the one that shares most tensors with it."""
    torchvision = import_torchvision()
    shared: dict[str, int] = {}
    for name in BACKBONES:
        with shapes_only():
            own = torchvision.models.get_model_builder(name)(weights=None).state_dict()
        tensors = unwrap(state.tensors, own, state.source).tensors
        same = [n for n, v in tensors.items() if n in own and own[n].shape == v.shape]
        shared[name] = len(same)
    best = max(shared, key=lambda name: shared[name])
    if shared[best] < len(state.tensors) // 2:
        raise CutSwapError(
            state.source,
            expected=f"a state dict of one of {', '.join(BACKBONES)}",
            found=f"{shared[best]} of {len(state.tensors)} tensors fit {best}",
            fix="pass a teacher of a known architecture",
        )
    return best
