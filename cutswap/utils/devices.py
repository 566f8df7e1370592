"""Choose the device and its precision."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cutswap.errors import CutSwapError
from cutswap.utils import windows

CACHED_PIXELS = 4 * 256 * 256  # times about 100 bytes a pixel: some 25 MB


def choose_device(name: str = "auto") -> torch.device:
    """`auto` takes the CUDA device with most free memory, else MPS, else the CPU.

    Raises:
        CutSwapError: the named device is not there; the message lists those that are.
    """
    if name == "auto":
        if torch.cuda.is_available():
            free = [torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count())]
            return torch.device("cuda", free.index(max(free)))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = device_names()
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in available:
        why, fix = why_no_cuda() if wanted.startswith("cuda") else ("", "")
        raise CutSwapError(
            "device",
            expected=f"auto or one of {', '.join(available)}",
            found=f"{name}: {why}" if why else name,
            fix=fix or "pass --device auto",
        )
    return torch.device(wanted)


def why_no_cuda() -> tuple[str, str]:
    """Why torch sees no CUDA device here, and what to do; two empty texts where it sees one."""
    otherwise = "or pass --device auto"
    if torch.version.cuda is None:
        fix = f"install torch with CUDA from pytorch.org, {otherwise}"
        return f"torch {torch.__version__} was built without CUDA", fix
    with warnings.catch_warnings():  # torch warns of the same
        warnings.simplefilter("ignore")
        if torch.cuda.device_count():
            return "", ""
        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as error:
            text = " ".join(str(error).split())
            if "too old" in text or "insufficient" in text:
                fix = f"update the driver, install a torch built for an older CUDA, {otherwise}"
                return f"the NVIDIA driver is older than CUDA {torch.version.cuda} wants", fix
            return text[:120].rstrip(
                "."
            ) or "no device", f"see whether nvidia-smi works, {otherwise}"
    return "no NVIDIA device is visible", f"see CUDA_VISIBLE_DEVICES and nvidia-smi, {otherwise}"


def device_names() -> tuple[str, ...]:
    """Every device torch can use here, for example `("cpu", "cuda:0")`."""
    cuda = tuple(f"cuda:{i}" for i in range(torch.cuda.device_count()))
    mps = ("mps",) if torch.backends.mps.is_available() else ()
    return ("cpu", *mps, *cuda)


def is_accelerator(device: torch.device) -> bool:
    """Whether it computes beside the processor, which then has time for other things."""
    return device.type != "cpu"


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether CUDA may round the factors of float32 convolutions to 10 bits inside.

    In the whole process, for as long as the block lasts. Faster on cards that have it, and off by
    1e-3 of an activation, which moves scores; nothing changes elsewhere. Other products stay exact,
    as torch has them: their flag would reach the processor's, too.
    """
    kept = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = kept


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 matrix arithmetic is native on this device, not emulated.

    CPUs need avx512_bf16 or amx_bf16: without them oneDNN converts back and forth and is slower
    than float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpuinfo = Path("/proc/cpuinfo")
    if device.type == "cpu" and cpuinfo.exists():
        flags = cpuinfo.read_text(encoding="utf-8")
        return "avx512_bf16" in flags or "amx_bf16" in flags
    return False


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The autocast context for `auto`, `float32` or `bfloat16` on this device."""
    if not is_half(device, precision):
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def is_half(device: torch.device, precision: str) -> bool:
    """Whether `auto`, `float32` or `bfloat16` means bfloat16 on this device."""
    return precision == "bfloat16" or (precision == "auto" and fast_bfloat16(device))


def memory_in_use(device: torch.device) -> int:
    """Most that was ever in use, bytes: by torch on a CUDA device, else by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return windows.peak_memory()
    import resource  # POSIX alone has it

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def cache_sized(image: Tensor) -> tuple[Tensor, ...]:
    """A batch in parts, each small enough that a network's activations stay in the CPU's cache.

    ResNet18 at 256 pixels: a forward pass of 16 images takes 0.6 times as long in parts of four. On
    other devices the batch stays whole.

    Args:
        image: (N, 3, H, W) float.
    """
    if image.device.type != "cpu":
        return (image,)
    pixels = image.shape[-2] * image.shape[-1]
    return image.split(max(1, CACHED_PIXELS // pixels))


def describe_device(device: torch.device) -> str:
    """A name a person knows, for example `cuda:0 (NVIDIA H100, 76 GB free)`."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0] / 1e9
        return f"{device} ({torch.cuda.get_device_name(device)}, {free:.0f} GB free)"
    return f"{device} ({os.cpu_count()} cores)" if device.type == "cpu" else str(device)
