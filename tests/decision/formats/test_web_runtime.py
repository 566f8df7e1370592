"""ONNX Runtime Web: only the release that is named, from the cache, an archive or a folder."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from cutswap.commands.parser import main
from cutswap.decision.formats import web_runtime
from cutswap.decision.formats.web_runtime import GLUE, SCRIPT, WASM, kept_runtime, read_web_runtime
from cutswap.errors import CutSwapError

CONTENTS = {SCRIPT: b"script", GLUE: b"at(import.meta.url)", WASM: b"\0asm"}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release of our own, which is the one that is named."""
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "onnxruntime-web.tgz"
    with tarfile.open(path, "w:gz") as file:
        for name, content in CONTENTS.items():
            about = tarfile.TarInfo(f"package/{name}")
            about.size = len(content)
            file.addfile(about, io.BytesIO(content))
    pin(path, monkeypatch)
    members = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
    monkeypatch.setattr(web_runtime, "MEMBERS", members)
    return path


def pin(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha512(path.read_bytes()).digest()
    told = f"sha512-{base64.b64encode(digest).decode()}"
    monkeypatch.setattr(web_runtime, "INTEGRITY", told)


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder


def test_it_is_read_from_wherever_it_lies(archive: Path, tmp_path: Path):
    above = unpacked(archive, tmp_path / "npm")
    kept_runtime().parent.mkdir(parents=True)
    kept_runtime().write_bytes(archive.read_bytes())
    for given in (None, archive, above, above / "package", kept_runtime().parent):
        found = read_web_runtime(given)
        assert (found.script, found.wasm) == (b"script", b"\0asm")
        assert found.glue == b"at(document.baseURI)"  # a blob has no address to be relative to


def test_what_is_not_there_says_where_it_is_had(archive: Path, tmp_path: Path):
    del archive
    with pytest.raises(CutSwapError, match="cutswap download web-runtime"):
        read_web_runtime()
    with pytest.raises(CutSwapError, match=r"registry\.npmjs\.org"):
        read_web_runtime(tmp_path / "nowhere.tgz")
    with pytest.raises(CutSwapError, match="No such file"):
        read_web_runtime(tmp_path)


def test_another_release_is_refused(archive: Path, tmp_path: Path, monkeypatch):
    above = unpacked(archive, tmp_path / "npm")
    (above / "package" / WASM).write_bytes(b"\0asX")
    with pytest.raises(CutSwapError, match=f"another {WASM}"):
        read_web_runtime(above)
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(CutSwapError, match="another hash"):
        read_web_runtime(archive)
    for content in (b"no archive", b""):
        archive.write_bytes(content)
        pin(archive, monkeypatch)
        with pytest.raises(CutSwapError, match="as npm has it"):
            read_web_runtime(archive)


def test_a_runtime_without_a_page_is_refused(tmp_path: Path, capsys):
    pytest.importorskip("onnxscript", reason="pip install cutswap[export]")
    line = ["export", "detector", "--evaluation", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*line, "--web-runtime", str(tmp_path)]) == 2
    assert "expected --html beside it" in capsys.readouterr().err


def test_no_connection_says_what_else_can_be_done(archive: Path):
    del archive
    with pytest.raises(CutSwapError, match="on another machine and pass it as --web-runtime"):
        web_runtime.fetch_web_runtime(url="http://127.0.0.1:9/x.tgz", wait=0.0)
