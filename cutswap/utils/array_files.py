"""Arrays of a .npz that may come from anywhere: nothing is unpacked, unpickled or believed.

`numpy.load` makes room for whatever shape a header promises, and unpacks what a zip holds: a file
of a few bytes can ask for all memory. We only ever write plain, stored arrays, so only those are
read, and only when the header agrees with the bytes that are there.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

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
