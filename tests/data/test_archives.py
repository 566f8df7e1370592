"""Archives whose headers, not their photos, are the attack."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from cutswap.data import archives
from cutswap.data.archives import member_names, unpack
from cutswap.errors import CutSwapError


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    """A member's 512 bytes that say another header of `size` bytes follows."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.USTAR_FORMAT)


def archive_of(folder: Path, data: bytes) -> Path:
    path = folder / "photos.tar"
    path.write_bytes(data)
    return path


def refused(path: Path, out: Path) -> str:
    for ask in (lambda: member_names(path), lambda: unpack(path, out)):
        with pytest.raises(CutSwapError) as error:
            ask()
    assert [p.name for p in out.parent.iterdir()] == [path.name]  # nothing is left behind
    return str(error.value)


@pytest.mark.parametrize("kind", archives._EXTENDED)
@pytest.mark.parametrize("before", [b"", header(tarfile.REGTYPE, 0, "good.png")])
def test_a_header_that_fills_the_memory_is_not_read(kind: bytes, before: bytes, tmp_path: Path):
    """Of 20 MB here; one of 3 GB took them all."""
    path = archive_of(tmp_path, before + header(kind, 20_000_000))
    with path.open("r+b") as file:
        file.truncate(20_002_048)
    said = refused(path, tmp_path / "out")
    assert "20,000,000 bytes" in said


def test_a_long_name_is_still_read(tmp_path: Path):
    name = "a" * 150 + "/" + "b" * 150 + ".png"
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo(name))
    assert [str(n) for n in member_names(archive_of(tmp_path, data.getvalue()))] == [name]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_inside_headers_end_in_a_refusal(kind: bytes, tmp_path: Path):
    path = archive_of(tmp_path, header(kind, 0) * 3000 + header(tarfile.REGTYPE, 0))
    refused(path, tmp_path / "out")


@pytest.mark.parametrize("depth", [archives.MAX_DEPTH + 1, 3000])
def test_a_path_too_deep_to_make_is_refused(depth: int, tmp_path: Path):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("a/" * depth + "x.png"))
    assert "folders" in refused(archive_of(tmp_path, data.getvalue()), tmp_path / "out")


def test_a_bomb_is_told_before_it_is_unpacked_to_get_behind_it(tmp_path: Path):
    """The first member's size says it; the rest of the archive is not even there."""
    path = archive_of(tmp_path, header(tarfile.REGTYPE, 2_000_000_000, "zeros.png"))
    assert "claim to become 2,000,000,000" in refused(path, tmp_path / "out")
