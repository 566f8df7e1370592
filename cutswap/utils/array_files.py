"""Arrays of a .npz that may come from anywhere: nothing is unpacked, unpickled or believed.

`numpy.load` makes room for whatever shape a header promises, and unpacks what a zip holds: a file
of a few bytes can ask for all memory. We only ever write plain, stored arrays, so only those are
read, and only when the header agrees with the bytes that are there.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from cutswap.utils.files import open_own, write_bytes

MAX_ARRAY = 400_000_000  # bytes of one array


def read_arrays(source: Path | IO[bytes]) -> dict[str, np.ndarray]:
    """All arrays of a file that `numpy.savez` wrote, by name.

    Args:
        source: the file, or its bytes as a stream.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, damaged, packed, or holds anything but plain numbers.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            size = archive.fp.seek(0, io.SEEK_END) if archive.fp else 0
            if sum(entry.file_size for entry in archive.infolist()) > size:
                raise ValueError("its parts are larger than the file: they overlap")
            return {
                entry.filename.removesuffix(".npy"): _array(archive, entry)
                for entry in archive.infolist()
            }
    except OSError:
        raise
    except Exception as error:  # zipfile and numpy's header reader raise almost anything
        raise ValueError(str(error) or type(error).__name__) from error


def write_sealed(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Write arrays as `read_sealed` wants them.

    Args:
        path: of the file.
        arrays: by name, plain numbers.

    Returns:
        SHA-256 of the file, hex: to be kept beside it.

    Raises:
        CutSwapError: it cannot be written.
    """
    memory = io.BytesIO()
    np.savez(memory, allow_pickle=False, **arrays)
    write_bytes(path, memory.getvalue())
    return hashlib.sha256(memory.getvalue()).hexdigest()


def read_sealed(path: Path, sha256: object) -> dict[str, np.ndarray]:
    """`read_arrays` of a file whose hash was kept.

    Args:
        path: of the file.
        sha256: that `write_sealed` returned.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not there, too large, another file, or see `read_arrays`.
    """
    if not path.is_file():
        raise ValueError(f"no file {path.name}")
    with open_own(path) as file:
        data = file.read(MAX_ARRAY + 1)
    if len(data) > MAX_ARRAY:
        raise ValueError(f"{path.name} has more than {MAX_ARRAY:,} bytes")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{path.name} is not the file that was written")
    return read_arrays(io.BytesIO(data))


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > MAX_ARRAY:
        raise ValueError(f"{entry.filename} is packed or too large: not one of our files")
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{entry.filename} has numpy's format {version}, not 1.0")
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject or dtype.kind not in "biuf" or min((0, *shape)) < 0:
            raise ValueError(f"{entry.filename} holds {dtype} of shape {shape}, not plain numbers")
        body = file.read()
    if math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError(f"{entry.filename} has another length than its shape {shape}")
    values = np.frombuffer(body, dtype)
    return values.reshape(shape, order="F" if is_fortran else "C").copy()
