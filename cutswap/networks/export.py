"""Phi as TorchScript and ONNX, each run and compared before it is said to be there.

What was trained on its features can be exported with it, as `ExtraOutputs`.

The exported network takes photos as they are, (N, 3, S, S) float32 RGB in [0, 1], and normalises
them itself: who runs it elsewhere needs no ImageNet constants. N is free, S is not.

ONNX is compared as ONNX Runtime reads the file. TorchScript is compared as traced, before it is
saved: reading such a file runs what is in it, which this project does with no file.
"""

from __future__ import annotations

import copy
import importlib.util
import io
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from cutswap.data.images import MEAN, STD
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.utils.files import replacing, sha256_of, write_json

FORMATS = ("torchscript", "onnx")
CARD = "model.json"
FILES = {"torchscript": "phi.pt", "onnx": "phi.onnx"}
INPUT = "image"
# Of the largest output: other libraries add in another order. A wrong layer or a forgotten
# normalisation is off by the whole value.
TOLERANCE = 1e-3
_CHECKED = (1, 3)  # batches the copies are compared on
Run = Callable[[np.ndarray], Sequence[np.ndarray]]  # (N, 3, S, S) to the outputs
_NEEDS = ("onnx", "onnxscript", "onnxruntime")


class ExtraOutputs(Protocol):
    """What is computed from phi's features and exported with it.

    Attributes:
        layers: whose features it takes, in this order.
        names: of its outputs.
        module: one tensor (N, C, h, w) a layer to a tuple of outputs, N first.
        about: what model.json says of it.
    """

    layers: tuple[str, ...]
    names: tuple[str, ...]
    module: nn.Module
    about: dict[str, Any]

    def reference(self, backbone: Backbone, image: Tensor) -> list[Tensor]:
        """The outputs as this library computes them, of a normalised (N, 3, S, S)."""


class FeatureExtractor(nn.Module):
    """Named features of a photo in [0, 1], and the outputs computed from them.

    Args:
        backbone: whose copy is used; the original keeps its taps.
        layers: full names, in the order of the outputs.
        extra: computed from them, after them.
    """

    def __init__(
        self, backbone: Backbone, layers: Sequence[str], extra: ExtraOutputs | None = None
    ) -> None:
        super().__init__()
        module = copy.deepcopy(backbone.module).cpu()
        for part in module.modules():
            part._forward_hooks.clear()  # the taps look into a context that no file has
        self.layers = tuple(layers)
        self.taken = backbone.resolve(extra.layers) if extra else ()
        needed = dict.fromkeys([*self.layers, *self.taken])
        self.features = create_feature_extractor(module, {n: n for n in needed}).eval()
        self.extra = extra.module if extra else None
        self.names = (*self.layers, *(extra.names if extra else ()))
        self.mean = nn.Buffer(torch.tensor(MEAN).view(1, 3, 1, 1))
        self.std = nn.Buffer(torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, S, S) in [0, 1] to one (N, C, h, w) a layer, then the extra outputs."""
        features = self.features((image - self.mean) / self.std)
        outputs = tuple(features[name] for name in self.layers)
        if self.extra is None:
            return outputs
        return (*outputs, *self.extra(*(features[name] for name in self.taken)))


def export_model(
    backbone: Backbone,
    out: Path,
    *,
    layers: Sequence[str] = ("layer2", "layer3"),
    image_size: int = 256,
    formats: Sequence[str] = FORMATS,
    extra: ExtraOutputs | None = None,
) -> dict[str, Any]:
    """Write the network in some formats, with `model.json`.

    Args:
        backbone: phi.
        out: folder to write.
        layers: outputs, in this order.
        image_size: S.
        formats: of `FORMATS`.
        extra: outputs computed from its features, exported after them.

    Returns:
        What `model.json` holds; `max_abs_difference` for each format and output.

    Raises:
        CutSwapError: an unknown layer or format, a package that is missing, or a copy whose
            outputs differ; then no file of that format is left.
    """
    unknown = [f for f in formats if f not in FORMATS]
    if unknown or not formats:
        raise CutSwapError(
            "--formats",
            expected=f"some of {', '.join(FORMATS)}",
            found=", ".join(unknown) or "none",
            fix="pass --formats onnx",
        )
    if "onnx" in formats:
        need_onnx("pass --formats torchscript")
    layers = backbone.resolve(layers)
    phi = FeatureExtractor(backbone, layers, extra)
    rng = torch.Generator().manual_seed(0)
    images = [torch.rand((n, 3, image_size, image_size), generator=rng) for n in _CHECKED]
    wanted = [_reference(backbone, layers, extra, image) for image in images]
    files = {}
    for name in formats:
        path = out / FILES[name]
        with replacing(path) as temporary:
            run = _WRITERS[name](phi, images[-1], temporary)
            differences = _compare(name, run, images, wanted, phi.names)
        files[name] = {
            "file": path.name,
            "sha256": sha256_of(path),
            "bytes": path.stat().st_size,
            "max_abs_difference": differences,
        }
    last = {n: list(v.shape[1:]) for n, v in zip(phi.names, wanted[-1], strict=True)}
    result = {
        "network": backbone.name,
        "weights": backbone.report.to_dict(),
        "fingerprint": backbone.fingerprint,
        "torch": torch.__version__,
        "input": {
            "name": INPUT,
            "shape": ["N", 3, image_size, image_size],
            "dtype": "float32",
            "about": "RGB in [0, 1]; normalised inside",
        },
        "outputs": {n: ["N", *shape] for n, shape in last.items()},
        "largest_output": float(max(v.abs().max() for v in wanted[-1])),
        "tolerance": TOLERANCE,
        **(extra.about if extra else {}),
        "files": files,
    }
    write_json(out / CARD, result)
    return result


def model_files(formats: Sequence[str]) -> tuple[str, ...]:
    """Names of what `export_model` writes; unknown formats, which it refuses, have none.

    Args:
        formats: of `FORMATS`.
    """
    return (*(FILES[name] for name in formats if name in FILES), CARD)


def need_onnx(otherwise: str = "") -> None:
    """Refuse to export ONNX where what writes or runs it is missing.

    Args:
        otherwise: another way out.

    Raises:
        CutSwapError: the packages that are missing.
    """
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise CutSwapError(
            "ONNX export",
            expected=f"the packages {', '.join(_NEEDS)}",
            found=f"no {', '.join(missing)}",
            fix='pip install "cutswap[export]"' + (f", or {otherwise}" if otherwise else ""),
        )


def _reference(
    backbone: Backbone, layers: Sequence[str], extra: ExtraOutputs | None, image: Tensor
) -> list[Tensor]:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    normalised = (image - mean) / std
    features = backbone.features(normalised, layers)
    outputs = [features[name].cpu() for name in layers]
    return outputs + (extra.reference(backbone, normalised) if extra else [])


def _compare(
    name: str,
    run: Run,
    images: Sequence[Tensor],
    wanted: Sequence[Sequence[Tensor]],
    names: Sequence[str],
) -> dict[str, float]:
    """Largest absolute difference of each output, over all batches."""
    worst = dict.fromkeys(names, 0.0)
    for image, right in zip(images, wanted, strict=True):
        outputs = run(image.numpy())
        if len(outputs) != len(right):
            raise _differs(name, f"{len(right)} outputs", len(outputs))
        for output, ours, theirs in zip(names, right, outputs, strict=True):
            if tuple(ours.shape) != tuple(theirs.shape):
                raise _differs(name, f"{output} of {tuple(ours.shape)}", tuple(theirs.shape))
            gap = float(np.abs(ours.numpy() - theirs).max())
            if not gap <= TOLERANCE * max(1.0, float(ours.abs().max())):  # NaN is no agreement
                raise _differs(name, f"{output} within {TOLERANCE:g} of its size", f"{gap:.3g} off")
            worst[output] = max(worst[output], gap)
    return worst


def _differs(name: str, expected: str, found: object) -> CutSwapError:
    return CutSwapError(
        f"the exported {name}",
        expected=expected,
        found=found,
        fix="report it with your version of torch; no file was left",
    )


def _write_torchscript(phi: FeatureExtractor, image: Tensor, path: Path) -> Run:
    with warnings.catch_warnings(), torch.no_grad():
        # torch calls TorchScript deprecated; LibTorch still reads nothing else from one file.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        # Sizes become constants, as they should: S is fixed. `_compare` runs two batch sizes.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(phi, (image,), check_trace=False)
        torch.jit.save(traced, str(path))

    def run(image: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            return [v.numpy() for v in traced(torch.from_numpy(image))]

    return run


def write_onnx(
    module: nn.Module, example: Tensor, path: Path, *, name: str, outputs: Sequence[str]
) -> Run:
    """Write a module as one ONNX file and open it with ONNX Runtime.

    Args:
        module: of one tensor, whose first axis is free, to a tuple of tensors.
        example: what it is followed on; two or more along the first axis.
        path: file to write.
        name: of its input.
        outputs: their names.

    Returns:
        What runs the file: an array to the list of outputs.
    """
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():  # it prints its progress
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=[name],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    if program is None:  # the signature allows it, the exporter never does it
        raise _differs("onnx", "a program", "none")
    import onnxruntime

    program.save(os.fspath(path), external_data=False)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def run(image: np.ndarray) -> list[np.ndarray]:
        return list(session.run(None, {name: image}))

    return run


def _write_onnx(phi: FeatureExtractor, image: Tensor, path: Path) -> Run:
    return write_onnx(phi, image, path, name=INPUT, outputs=phi.names)


_WRITERS = {"torchscript": _write_torchscript, "onnx": _write_onnx}
