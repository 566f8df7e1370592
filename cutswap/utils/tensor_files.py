"""Tensors in safetensors files: written whole, read with a clear refusal, never a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cutswap.errors import CutSwapError
from cutswap.utils.files import replacing

_ABOUT = "about"
MAX_HEADER = 10_000_000  # bytes; of a network with 700 tensors 70,000; the format allows 100 MB


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors by name, and JSON values about them in the file's header.

    Args:
        path: file to write; it is replaced whole or not at all.
        tensors: any device and layout; stored contiguous, each by itself.
        about: what a reader needs to know: format, settings, seed.

    Raises:
        CutSwapError: the file cannot be written.
    """
    own = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    pointers = [v.data_ptr() for v in own.values() if v.numel()]
    if len(set(pointers)) != len(pointers):  # safetensors refuses tensors that share memory
        own = {name: value.clone() for name, value in own.items()}
    with replacing(path) as temporary:
        try:
            save_file(own, temporary, metadata={_ABOUT: json.dumps(about, allow_nan=False)})
        except SafetensorError as error:  # its input and output errors come as this, with no errno
            raise OSError(str(error)) from error


def need_small_header(path: Path) -> None:
    """Refuse a header that would take a multiple of itself once it is parsed.

    Args:
        path: of a safetensors file; any other one passes, for it has its own reader.

    Raises:
        ValueError: the header is longer than `MAX_HEADER`.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if start[8:] == b"{" and length > MAX_HEADER:
        raise ValueError(f"a header of {length:,} bytes, at most {MAX_HEADER:,}")


def read_tensors(path: Path, *, fix: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote; a file without a header gives an empty one.

    Args:
        path: the file.
        fix: what to do about a bad file, for the message.

    Raises:
        CutSwapError: missing, damaged, or not a safetensors file.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError("not a file, but a folder, a device or a pipe")
        need_small_header(path)
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_ABOUT, "{}"))
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
        if not isinstance(about, dict):
            raise ValueError("its header is not a JSON object")
    except FileNotFoundError:
        raise CutSwapError(
            path, expected="a safetensors file", found="no such file", fix=fix
        ) from None
    except (OSError, SafetensorError, ValueError, RuntimeError, RecursionError) as error:
        raise CutSwapError(
            path,
            expected="a whole safetensors file",
            found=(str(error) or type(error).__name__).splitlines()[0][:200],
            fix=fix,
        ) from error
    return tensors, about
