"""The downloader against a local server that cuts, lies and refuses; archives that attack."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cutswap.commands import download as download_command
from cutswap.commands.parser import main
from cutswap.data import archives, downloads
from cutswap.data import published as published_data
from cutswap.data.archives import member_names, unpack
from cutswap.data.downloads import fetch
from cutswap.errors import CutSwapError
from tests.helpers.datasets import build_category, build_visa, visa_rows

CONTENT = os.urandom(300_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """One file over HTTP; how it misbehaves can be set.

    Attributes:
        content: of the file.
        etag: its version.
        cut: bytes after which each connection ends; None: never.
        ranges: whether Range is heard.
        status: an error to answer with, once for each in the list.
        asked: (Range, If-Range) of each request.
        shift: bytes by which a range begins too early.
    """

    def __init__(self) -> None:
        self.content, self.etag, self.cut = CONTENT, '"one"', None
        self.ranges, self.status, self.shift = True, [], 0
        self.length = True
        self.asked: list[tuple[str | None, str | None]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802 - the library's name
                owner.answer(self)

            def log_message(self, *_words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/set.tar"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted, version = handler.headers.get("Range"), handler.headers.get("If-Range")
        self.asked.append((wanted, version))
        if self.status:
            handler.send_error(self.status.pop(0))
            return
        start = 0
        if wanted and self.ranges and version == self.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) - self.shift
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            last = len(self.content) - 1
            handler.send_header("Content-Range", f"bytes {start}-{last}/{len(self.content)}")
        if self.length:
            handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", self.etag)
        handler.end_headers()
        handler.wfile.write(body if self.cut is None else body[: self.cut])


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(downloads, "PIECE", 10_000)
    made = Server()
    yield made
    made.server.shutdown()
    made.server.server_close()


def brought(server: Server, folder: Path, sha256: str | None = SHA, **more):
    return fetch(server.url, folder / "set.tar", sha256, wait=0.001, **more)


def left(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if not p.name.endswith(".lock")}


class TestFetch:
    def test_a_whole_file(self, server, tmp_path):
        seen: list[tuple[int, int]] = []
        found = brought(server, tmp_path, progress=lambda d, t: seen.append((d, t)))
        assert found.path.read_bytes() == CONTENT
        assert (found.sha256, found.is_pinned, found.etag) == (SHA, True, '"one"')
        assert seen[-1] == (len(CONTENT), len(CONTENT))
        assert left(tmp_path) == {"set.tar"}
        assert brought(server, tmp_path).path.read_bytes() == CONTENT
        assert len(server.asked) == 1  # a whole one is not fetched again

    def test_cut_connections_go_on_where_they_broke(self, server, tmp_path):
        server.cut = 70_000
        assert brought(server, tmp_path).path.read_bytes() == CONTENT
        starts = [0 if r is None else int(r[6:-1]) for r, _ in server.asked]
        assert starts == [0, 70_000, 140_000, 210_000, 280_000]
        assert {v for _, v in server.asked[1:]} == {'"one"'}

    def test_a_killed_download_goes_on_at_the_next_start(self, server, tmp_path, monkeypatch):
        server.cut = 120_000
        monkeypatch.setattr(downloads, "TRIES", 0)
        with pytest.raises(CutSwapError, match="120,000 bytes are kept"):
            brought(server, tmp_path)
        monkeypatch.undo()
        server.cut = None
        assert brought(server, tmp_path).path.read_bytes() == CONTENT
        assert [r for r, _ in server.asked] == [None, "bytes=120000-"]

    def test_a_server_without_ranges_begins_anew(self, server, tmp_path):
        server.ranges, server.cut = False, 200_000
        said: list[str] = []

        def say(text: str) -> None:
            said.append(text)
            server.cut = None

        assert brought(server, tmp_path, say=say).path.read_bytes() == CONTENT
        assert [r for r, _ in server.asked] == [None, "bytes=200000-"]
        assert "200,000 of 300,000" in said[0]

    def test_a_file_that_changed_is_not_patched_together(self, server, tmp_path):
        server.cut = 100_000
        other = os.urandom(250_000)

        def change(_text: str) -> None:
            server.content, server.etag, server.cut = other, '"two"', None

        found = brought(server, tmp_path, hashlib.sha256(other).hexdigest(), say=change)
        assert found.path.read_bytes() == other

    def test_a_weak_etag_is_not_resumed_by(self, server, tmp_path):
        server.etag, server.cut = 'W/"one"', 100_000

        def whole(_text: str) -> None:
            server.cut = None

        assert brought(server, tmp_path, say=whole).path.read_bytes() == CONTENT
        assert [r for r, _ in server.asked] == [None, None]

    @pytest.mark.parametrize("way", ["shift", "cut"])
    def test_one_that_never_gets_on_is_given_up(self, server, tmp_path, way):
        server.cut = 50_000
        if way == "shift":
            server.shift = 1
        else:
            server.ranges = False
        with pytest.raises(CutSwapError, match="50,000 bytes are kept"):
            brought(server, tmp_path)
        assert len(server.asked) == downloads.TRIES + 1
        assert left(tmp_path) == {"set.tar.part", "set.tar.part.json"}

    def test_a_wrong_checksum_is_never_taken_for_the_file(self, server, tmp_path):
        with pytest.raises(CutSwapError, match=f"found {SHA}"):
            brought(server, tmp_path, "0" * 64)
        assert left(tmp_path) == {"set.tar.wrong"}
        assert brought(server, tmp_path, SHA.upper()).is_pinned
        assert not brought(server, tmp_path, None).is_pinned

    @pytest.mark.parametrize("name", ["set.tar", "set.tar.part"])
    def test_a_file_of_another_origin_is_in_the_way(self, server, tmp_path, name):
        (tmp_path / name).write_bytes(b"mine")
        with pytest.raises(CutSwapError, match="move it away"):
            brought(server, tmp_path)
        assert (tmp_path / name).read_bytes() == b"mine"
        assert left(tmp_path) == {name}

    def test_a_damaged_part_is_found_out(self, server, tmp_path, monkeypatch):
        server.cut = 120_000
        monkeypatch.setattr(downloads, "TRIES", 0)
        with pytest.raises(CutSwapError):
            brought(server, tmp_path)
        monkeypatch.undo()
        server.cut = None
        with (tmp_path / "set.tar.part").open("r+b") as file:
            file.write(b"\0" * 100)
        with pytest.raises(CutSwapError, match="SHA-256"):
            brought(server, tmp_path)
        assert brought(server, tmp_path).path.read_bytes() == CONTENT  # from the start

    def test_errors_that_pass_and_errors_that_stay(self, server, tmp_path):
        server.status = [503, 500]
        assert brought(server, tmp_path / "a").path.exists()
        server.status = [404]
        with pytest.raises(CutSwapError, match="HTTP 404"):
            brought(server, tmp_path / "b")
        server.length = False
        with pytest.raises(CutSwapError, match="how large"):
            brought(server, tmp_path / "c")

    def test_nobody_there(self, tmp_path):
        said: list[str] = []
        with pytest.raises(CutSwapError, match="a connection that lasts"):
            fetch("http://127.0.0.1:9/x", tmp_path / "x", None, wait=0.001, say=said.append)
        assert [text.split(" in ")[-1] for text in said] == ["0.001 s", "0.002 s"]

    @pytest.mark.parametrize("url", ["http://example.org/x", "file:///etc/passwd", "ftp://a/b"])
    def test_only_https_leaves_this_machine(self, tmp_path, url):
        with pytest.raises(CutSwapError, match="https address"):
            fetch(url, tmp_path / "x", None)

    def test_a_full_disk_keeps_what_has_come(self, server, tmp_path, monkeypatch):
        server.cut = 100_000
        monkeypatch.setattr(downloads, "TRIES", 0)
        with pytest.raises(CutSwapError):
            brought(server, tmp_path)
        monkeypatch.setattr(downloads, "_need_room", _full)
        with pytest.raises(CutSwapError, match="make room"):
            brought(server, tmp_path)
        assert (tmp_path / "set.tar.part").stat().st_size == 100_000

    def test_too_little_room_is_said_before_the_first_byte(self, server, tmp_path, monkeypatch):
        usage = type("Usage", (), {"free": 10})
        monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _p: usage)
        with pytest.raises(CutSwapError, match="GB free"):
            brought(server, tmp_path)
        assert left(tmp_path) == set()

    def test_two_at_once_do_not_mix(self, server, tmp_path):
        with (
            downloads.FileLock(str(tmp_path / "set.tar.part.lock")),
            pytest.raises(CutSwapError, match="another download"),
        ):
            brought(server, tmp_path)


def _full(_part: Path, _needed: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def packed(path: Path, *members: tuple[str, bytes | None], mode: str = "w") -> Path:
    """A tar of files; None makes a link to /etc/passwd."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


class TestUnpack:
    @pytest.mark.parametrize(
        "member",
        [
            ("../out.txt", b"x"),
            ("a/../../out.txt", b"x"),
            ("/tmp/out.txt", b"x"),  # noqa: S108
            ("a/link", None),
            ("a\\b", b"x"),
            ("same", b"x"),
        ],
    )
    def test_members_that_lead_out_leave_nothing(self, tmp_path, member):
        archive = packed(tmp_path / "in/x.tar", ("same", b"y"), member)
        with pytest.raises(CutSwapError, match="sound tar archive"):
            unpack(archive, tmp_path / "in/out")
        with pytest.raises(CutSwapError, match="sound tar archive"):
            member_names(archive)
        assert [p.name for p in (tmp_path / "in").iterdir()] == ["x.tar"]
        assert [p.name for p in tmp_path.iterdir()] == ["in"]

    @pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
    def test_damaged_archives(self, tmp_path, mode):
        archive = packed(
            tmp_path / "x.tar", *((f"a/{i}", os.urandom(9000)) for i in range(9)), mode=mode
        )
        unpack(archive, tmp_path / "whole")
        assert len(list((tmp_path / "whole/a").iterdir())) == 9
        archive.write_bytes(archive.read_bytes()[:40_000])
        with pytest.raises(CutSwapError):
            unpack(archive, tmp_path / "out")
        archive.write_bytes(b"no archive at all")
        with pytest.raises(CutSwapError):
            unpack(archive, tmp_path / "out")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["whole", "x.tar"]

    def test_bombs_and_full_disks(self, tmp_path, monkeypatch):
        archive = packed(tmp_path / "x.tar", ("a", b"\0" * 40_000_000), mode="w:xz")
        with pytest.raises(CutSwapError, match="claim to become"):
            unpack(archive, tmp_path / "out")
        small = packed(tmp_path / "y.tar", ("a", b"x"))
        monkeypatch.setattr(archives.tarfile.TarFile, "extract", lambda *_a, **_k: _full(None, 0))
        with pytest.raises(CutSwapError, match="make room"):
            unpack(small, tmp_path / "out")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["x.tar", "y.tar"]

    def test_what_is_there_stays(self, tmp_path):
        (tmp_path / "out").mkdir()
        with pytest.raises(CutSwapError, match="not there yet"):
            unpack(packed(tmp_path / "x.tar", ("a", b"x")), tmp_path / "out")


@pytest.fixture
def visa(tmp_path, monkeypatch) -> bytes:
    """A tar in VisA's layout, of two tiny categories."""
    build_visa(tmp_path / "tree", [*visa_rows("candle"), *visa_rows("pcb1", train=2)])
    counts = {"VisA": {"candle": (3, 4), "pcb1": (2, 4)}, "MVTec AD": {"bolt": (4, 5)}}
    monkeypatch.setattr(published_data, "PUBLISHED_COUNTS", counts)
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(tmp_path / "tree", arcname=".")
    return data.getvalue()


class TestCommand:
    def test_visa_in_one_step(self, server, visa, tmp_path, capsys):
        server.content, server.cut = visa, len(visa) // 3
        words = ["download", "visa", "--quiet", "--url", server.url, "--out", str(tmp_path / "v")]
        assert main(words) == 2  # the licence first
        said = capsys.readouterr()
        assert "CC BY 4.0" in said.out
        assert "--accept-licence" in said.err
        assert server.asked == []
        monkey_wait = downloads.fetch.__kwdefaults__
        monkey_wait["wait"] = 0.001
        try:
            assert main([*words, "--accept-licence"]) == 0
        finally:
            monkey_wait["wait"] = downloads.WAIT
        said = capsys.readouterr().out
        assert "UNPINNED" in said
        assert hashlib.sha256(visa).hexdigest() in said
        assert "all 2 categories as published" in said
        assert (tmp_path / "v/split_csv/1cls.csv").is_file()
        assert not (tmp_path / "set.tar").exists()
        count = len(server.asked)
        assert main([*words, "--accept-licence"]) == 0
        assert "nothing is downloaded" in capsys.readouterr().out
        assert len(server.asked) == count

    def test_an_archive_that_was_there_before_is_used_and_kept(
        self, server, visa, tmp_path, capsys
    ):
        (tmp_path / "set.tar").write_bytes(visa)
        words = ["download", "visa", "--quiet", "--url", server.url, "--accept-licence"]
        assert main([*words, "--out", str(tmp_path / "v")]) == 0
        assert (tmp_path / "set.tar").read_bytes() == visa
        assert "was there already and is kept" in capsys.readouterr().err
        assert server.asked == []

    def test_a_checksum_of_ones_own(self, server, visa, tmp_path, capsys):
        server.content = visa
        words = [
            "download",
            "visa",
            "--quiet",
            "--url",
            server.url,
            "--accept-licence",
            "--out",
            str(tmp_path / "v"),
            "--sha256",
        ]
        assert main([*words, "beef"]) == 2
        assert main([*words, "0" * 64]) == 2
        assert not (tmp_path / "v").exists()
        assert main([*words, hashlib.sha256(visa).hexdigest()]) == 0
        assert "as expected" in capsys.readouterr().out

    def test_the_publishers_address_is_pinned(self, visa, tmp_path, capsys, monkeypatch):
        (tmp_path / "visa.tar").write_bytes(visa)
        words = ["download", "visa", "--quiet", "--accept-licence", "--out", str(tmp_path / "v")]
        assert main([*words, "--archive", str(tmp_path / "visa.tar")]) == 2
        assert published_data.VISA_SHA256 in capsys.readouterr().err
        asked = []
        monkeypatch.setattr(
            download_command, "fetch", lambda url, _target, sha, **_k: asked.append((url, sha))
        )
        with pytest.raises(AttributeError):  # nothing came back
            main(words)
        assert asked == [(published_data.VISA_URL, published_data.VISA_SHA256)]

    def test_a_missing_photo_is_found_by_our_own_reader(self, visa, tmp_path, capsys):
        (tmp_path / "tree/candle/Data/Images/Normal/0001.JPG").unlink()
        words = ["download", "visa", "--accept-licence", "--out", str(tmp_path / "tree")]
        assert main(words) == 2
        assert "candle/Data/Images/Normal/0001.JPG" in capsys.readouterr().err
        assert len(visa)

    @pytest.mark.usefixtures("visa")
    def test_mvtec_instructions_archive_and_folder(self, tmp_path, capsys):
        assert main(["download", "mvtec"]) == 0
        assert "CC BY-NC-SA 4.0" in capsys.readouterr().out
        folder = build_category(tmp_path / "mvtec/bolt")
        train = len(list((folder / "train/good").iterdir()))
        test = len(list((folder / "test").rglob("*.png")))
        published_data.PUBLISHED_COUNTS["MVTec AD"]["bolt"] = (train, test)
        archive = tmp_path / "mvtec.tar.xz"
        with tarfile.open(archive, "w:xz") as tar:
            tar.add(tmp_path / "mvtec", arcname="mvtec_anomaly_detection")
        words = ["download", "mvtec", "--quiet", "--archive"]
        assert main([*words, str(archive)]) == 0
        assert main([*words, str(tmp_path / "mvtec")]) == 0
        assert main([*words, str(archive), "--out", str(tmp_path / "new")]) == 0
        assert capsys.readouterr().out.count("all 1 categories as published") == 3
        mask = next((folder / "ground_truth").rglob("*.png"))
        mask.unlink()
        assert main([*words, str(tmp_path / "mvtec")]) == 1
        assert "1 defects without a mask" in capsys.readouterr().out
        next((folder / "train/good").iterdir()).unlink()
        published_data.PUBLISHED_COUNTS["MVTec AD"]["nut"] = (1, 1)
        assert main([*words, str(tmp_path / "mvtec")]) == 1
        said = capsys.readouterr().out
        assert f"published: {train} train, {test} test" in said
        assert "missing" in said
        assert main([*words, str(tmp_path / "none")]) == 2
