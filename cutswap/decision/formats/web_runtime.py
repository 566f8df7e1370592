"""ONNX Runtime Web, which runs a detector inside a page: fetched once, checked, read.

It is Microsoft's, MIT, 25 MB on the npm registry, and no part of this project: `download
web-runtime` puts the release named here into the user's cache, and a machine without a network is
given its file. Whatever it comes from, what goes into a page is that release, byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cutswap.data.downloads import Progress, fetch
from cutswap.errors import CutSwapError
from cutswap.utils.files import cache_folder

VERSION = "1.23.2"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
FILE = f"onnxruntime-web-{VERSION}.tgz"
# As the registry states it (`npm view onnxruntime-web@VERSION dist.integrity`).
INTEGRITY = (
    "sha512-T09JUtMn+CZLk3mFwqiH0lgQf+4S7+oYHHtk6uhaYAAJ"
    "I95bTcKi5bOOZYwORXfS/RLZCjDDEXGWIuOCAFlEjg=="
)
SHA256 = "0b8707d7efab9a2bea63564d66cad79e897cfd0bd627e5ae000488ffc1c45c7d"
# One thread, no WebGPU: the smallest build, and a page from a file may not share memory.
SCRIPT = "dist/ort.wasm.min.mjs"
GLUE, WASM = "dist/ort-wasm-simd-threaded.mjs", "dist/ort-wasm-simd-threaded.wasm"
MEMBERS = {
    SCRIPT: "69751720f611e37d1ce2fa3c6ebaa80f949014752636c5f8887a63d40feadcc7",
    GLUE: "90a557d15c02bac4504d95b67f431d8594635ed2a0a62a7f2cd83d090ff91d3e",
    WASM: "45eaee27761ad883742a8d4b8fce1538d60ce43b51adf1726fafccc59b8c1a15",
}
# The page imports the glue from a blob, whose address no other can be relative to.
_OWN_ADDRESS, _PAGE_ADDRESS = b"import.meta.url", b"document.baseURI"
_TOP = "package"  # of every archive of npm
_LARGEST = 64 << 20  # bytes of a member


@dataclass(frozen=True)
class WebRuntime:
    """What a page needs of ONNX Runtime Web.

    Attributes:
        script: a JavaScript module.
        glue: another one, which starts the third.
        wasm: the computation.
    """

    script: bytes
    glue: bytes
    wasm: bytes


def kept_runtime() -> Path:
    """Where `download web-runtime` puts the archive; need not be there."""
    return cache_folder() / "web-runtime" / FILE


def fetch_web_runtime(
    *,
    url: str = URL,
    sha256: str = SHA256,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _text: None,
    wait: float = 2.0,
) -> Path:
    """Download the archive into the user's cache, unless it is there.

    Args:
        url: https; plain http only of this machine.
        sha256: what it must hash to.
        progress: called with (bytes, bytes in all).
        say: called with a line when something went wrong and goes on.
        wait: seconds before the second try.

    Returns:
        Where it lies.

    Raises:
        CutSwapError: no connection, no room, or another file than the release.
    """
    try:
        return fetch(url, kept_runtime(), sha256, progress=progress, say=say, wait=wait).path
    except CutSwapError as error:
        raise CutSwapError(
            error.subject,
            expected=error.expected,
            found=error.found,
            fix=f"fetch {URL} on another machine and pass it as --web-runtime",
        ) from error


def read_web_runtime(given: Path | None = None) -> WebRuntime:
    """What a page needs, from the cache or from what is given.

    Args:
        given: the archive, or a folder with it or with the unpacked package (also
            `node_modules/onnxruntime-web`); None: what `download web-runtime` has fetched.

    Raises:
        CutSwapError: it is not there, or is another release or a changed one.
    """
    place = kept_runtime() if given is None else given
    if not place.exists():
        raise CutSwapError(
            place,
            expected=f"ONNX Runtime Web {VERSION}, which the page is built with",
            found="no such file",
            fix="fetch it once (25 MB, MIT) with: cutswap download web-runtime"
            if given is None
            else f"fetch it from {URL}",
        )
    try:
        found = _of_folder(place) if place.is_dir() else _of_archive(place)
    except (OSError, tarfile.TarError, EOFError, KeyError, zlib.error) as error:
        raise _other(place, str(error) or type(error).__name__) from error
    for name, content in found.items():
        if hashlib.sha256(content).hexdigest() != MEMBERS[name]:
            raise _other(place, f"another {name}")
    glue = found[GLUE].replace(_OWN_ADDRESS, _PAGE_ADDRESS)
    return WebRuntime(found[SCRIPT], glue, found[WASM])


def _of_folder(folder: Path) -> dict[str, bytes]:
    if (folder / FILE).is_file():
        return _of_archive(folder / FILE)
    top = folder / _TOP if (folder / _TOP).is_dir() else folder
    return {name: (top / name).read_bytes() for name in MEMBERS}


def _of_archive(path: Path) -> dict[str, bytes]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != INTEGRITY:
        raise _other(path, "a file of another hash")
    found = {}
    with tarfile.open(path, "r:gz") as archive:
        for name in MEMBERS:
            member = archive.getmember(f"{_TOP}/{name}")
            stream = archive.extractfile(member) if member.size <= _LARGEST else None
            if stream is None:
                raise KeyError(name)
            found[name] = stream.read()
    return found


def _other(place: Path, found: str) -> CutSwapError:
    return CutSwapError(
        place,
        expected=f"onnxruntime-web {VERSION} as npm has it ({INTEGRITY[:18]}...)",
        found=found,
        fix=f"delete it, then: cutswap download web-runtime; or fetch {URL}",
    )
