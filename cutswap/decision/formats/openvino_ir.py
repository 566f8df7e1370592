"""The exported detector as OpenVINO IR, where that package is: made from the ONNX file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.errors import CutSwapError

IR_FILES = ("detector.xml", "detector.bin")
# Without it a processor with AMX computes in bfloat16, which moves scores in the third digit.
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
Run = Callable[[np.ndarray], list[np.ndarray]]


def need_openvino() -> None:
    """Refuse before any work.

    Raises:
        CutSwapError: the package is missing.
    """
    if importlib.util.find_spec("openvino") is None:
        raise CutSwapError(
            "OpenVINO IR",
            expected="the package openvino",
            found="none",
            fix='pip install "cutswap[openvino]", or leave --openvino out',
        )


def write_ir(network: Path, out: Path) -> Run:
    """Convert a network and run it from what was written, on the processor in float32.

    Args:
        network: detector.onnx.
        out: folder for `IR_FILES`.

    Returns:
        (N, S, S, 3) uint8 photos to the network's outputs in their order.

    Raises:
        CutSwapError: OpenVINO is missing, or cannot convert it.
    """
    need_openvino()
    import openvino

    path = out / IR_FILES[0]
    try:
        core = openvino.Core()
        model = core.read_model(network)  # its convert_model would report home
        openvino.save_model(model, path, compress_to_fp16=False)
        compiled: Any = core.compile_model(path, "CPU", EXACT)
    except RuntimeError as error:
        raise CutSwapError(
            "OpenVINO IR",
            expected="OpenVINO to convert the network",
            found=(str(error).strip() or type(error).__name__).splitlines()[-1],
            fix="leave --openvino out; the ONNX file is the same detector",
        ) from error

    def run(photos: np.ndarray) -> list[np.ndarray]:
        found = compiled(photos)
        return [np.asarray(found[port]) for port in compiled.outputs]

    return run
