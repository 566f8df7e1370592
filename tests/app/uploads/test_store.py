"""Uploads become safe temporary data sets; what cannot be used is told, the rest is kept."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.uploads import photos as upload_photos
from app.uploads import store as uploads
from app.uploads.photos import Upload, printable
from app.uploads.store import (
    Limits,
    remove_uploads,
    store_images,
    store_parts,
    stored_uploads,
    sweep_uploads,
    uploads_folder,
)
from cutswap.data.datasets import open_dataset
from cutswap.data.images import read_photo
from cutswap.data.problems import find_problems
from cutswap.errors import CutSwapError
from cutswap.utils.processes import ALIVE, Process, sweep_lives, this_process
from tests.helpers.containers import container, free_lock
from tests.helpers.datasets import noise_photo

SESSION = "session-0001"


def png(seed: int, size: tuple[int, int] = (12, 16)) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(noise_photo(seed, size)).save(stream, format="PNG")
    return stream.getvalue()


def upload(seed: int, name: str = "a.png") -> Upload:
    return Upload(name, png(seed))


# What is made


def test_photos_become_a_data_set_pixel_by_pixel(tmp_path: Path):
    made = store_images(SESSION, [upload(0, "b.png"), upload(1, "a.png")], cache=tmp_path)
    assert made.root == tmp_path / "uploads" / SESSION / "my_images"
    assert made.refused == ()
    data = open_dataset(made.root)
    assert (data.layout, data.categories) == ("images", ("my_images",))
    category = data.category()
    assert [r.image.name for r in category.train] == ["001-b.png", "002-a.png"]
    for seed, record in enumerate(category.train):  # in the order of the upload
        assert (read_photo(record.image) == noise_photo(seed)).all()
    index = json.loads((made.root / "index.json").read_text())["files"]
    assert [(f["file"], f["name"]) for f in index] == [
        ("001-b.png", "b.png"),
        ("002-a.png", "a.png"),
    ]


def test_normals_and_tests_become_a_category(tmp_path: Path):
    normals, tests = [upload(i) for i in range(3)], [upload(9), upload(0)]
    made = store_parts(SESSION, normals, tests, cache=tmp_path)
    category = open_dataset(made.root or Path()).category()
    assert category.name == "my_parts"
    assert [r.name for r in category.train] == [f"train/good/00{i}-a" for i in (1, 2, 3)]
    assert [r.name for r in category.test] == ["test/unlabelled/001-a", "test/unlabelled/002-a"]
    # one test photo is a training photo: that is told where all such things are told
    assert "train-in-test" in {p.kind for p in find_problems(category)}
    assert not any(p.fatal for p in find_problems(category))


def test_a_phone_photo_stands_upright(tmp_path: Path):
    photo = noise_photo(3, (20, 40))
    exif = Image.Exif()
    exif[274] = 6  # to be turned a quarter clockwise
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, format="PNG", exif=exif)
    made = store_images(SESSION, [Upload("IMG_1.JPG", stream.getvalue())], cache=tmp_path)
    assert made.kept[0].size == (40, 20)
    saved = read_photo((made.root or Path()) / "001-IMG_1.png")
    assert (saved == np.rot90(photo, -1)).all()


def test_large_photos_are_kept_smaller_in_shape(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(upload_photos, "KEPT_SIDE", 32)
    made = store_images(
        SESSION, [Upload("a", png(0, (40, 80))), Upload("b", png(1, (32, 9)))], cache=tmp_path
    )
    assert [k.size for k in made.kept] == [(40, 80), (32, 9)]
    assert [k.kept_size for k in made.kept] == [(16, 32), (32, 9)]


def test_a_new_upload_replaces_the_last_one(tmp_path: Path):
    store_images(SESSION, [upload(0), upload(1)], cache=tmp_path)
    made = store_images(SESSION, [upload(2)], cache=tmp_path)
    assert len(open_dataset(made.root or Path()).category().train) == 1
    # the two kinds stand side by side
    store_parts(SESSION, [upload(3)], cache=tmp_path)
    names = {p.name for p in (tmp_path / "uploads" / SESSION).iterdir()}
    assert names == {"my_images", "my_parts"}


def test_what_a_session_has_uploaded_last_is_found_again(tmp_path: Path):
    assert stored_uploads(SESSION, cache=tmp_path) is None
    store_parts(SESSION, [upload(3)], cache=tmp_path)
    made = store_images(SESSION, [upload(0, "nut.png"), Upload("x", b"no")], cache=tmp_path)
    found = stored_uploads(SESSION, cache=tmp_path)
    assert found == dataclasses.replace(made, refused=())
    assert stored_uploads("session-two", cache=tmp_path) is None
    (made.root or Path()).joinpath("index.json").write_text("{")
    assert stored_uploads(SESSION, cache=tmp_path) is None
    with pytest.raises(CutSwapError, match="session id"):
        stored_uploads("../escape", cache=tmp_path)


def test_sessions_do_not_see_each_other(tmp_path: Path):
    one = store_images("session-one", [upload(0)], cache=tmp_path)
    two = store_images("session-two", [upload(1)], cache=tmp_path)
    assert one.root != two.root
    remove_uploads("session-one", cache=tmp_path)
    assert one.root is not None
    assert not one.root.exists()
    assert two.root is not None
    assert (two.root / "001-a.png").exists()
    remove_uploads("session-one", cache=tmp_path)  # twice is no error


# What is refused


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"hello", "something else instead of an image"),
        (b"%PDF-1.4 whatever", "convert it to png"),
        (png(0)[:200], "damaged or truncated"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "something else"),
    ],
)
def test_bad_files_are_told_and_the_rest_is_kept(tmp_path: Path, data: bytes, reason: str):
    made = store_images(SESSION, [Upload("bad.png", data), upload(1, "ok.png")], cache=tmp_path)
    assert [k.name for k in made.kept] == ["ok.png"]
    assert [r.name for r in made.refused] == ["bad.png"]
    assert reason in made.refused[0].reason


def test_limits(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(upload_photos, "MAX_PIXELS", 12 * 16)
    files = [upload(0, "fits"), Upload("wide", png(1, (12, 17)))]
    made = store_images(SESSION, files, cache=tmp_path)
    assert [r.name for r in made.refused] == ["wide"]
    assert "12 x 17 pixels" in made.refused[0].reason
    monkeypatch.setattr(upload_photos, "MAX_FILE_BYTES", len(png(0)))
    made = store_images(SESSION, [upload(0, "fits"), Upload("big", png(0) + b" ")], cache=tmp_path)
    assert [r.name for r in made.refused] == ["big"]
    assert "MB" in made.refused[0].reason


def test_a_header_that_promises_too_much_is_not_decoded(tmp_path: Path):
    # a PNG of 20,000 x 20,000 pixels by its header, a few bytes long
    data = bytearray(png(0))
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    made = store_images(SESSION, [Upload("bomb.png", bytes(data))], cache=tmp_path)
    assert made.root is None
    assert "million pixels" in made.refused[0].reason


def test_too_many_and_too_much(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_FILES", 2)
    made = store_images(SESSION, [upload(i, f"{i}") for i in range(4)], cache=tmp_path)
    assert [k.name for k in made.kept] == ["0", "1"]
    assert {r.name: r.reason for r in made.refused} == {
        n: "more than 2 pictures in one upload" for n in ("2", "3")
    }
    monkeypatch.setattr(uploads, "MAX_FILES", 9)
    monkeypatch.setattr(uploads, "MAX_TOTAL_BYTES", 2 * len(png(0)) + 10)
    made = store_images(SESSION, [upload(i, f"{i}") for i in range(3)], cache=tmp_path)
    assert [k.name for k in made.kept] == ["0", "1"]
    assert "as a whole" in made.refused[0].reason


def test_twins_and_blank_photos_are_refused(tmp_path: Path):
    blank = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(blank, format="PNG")
    files = [upload(0, "one"), upload(0, "two"), Upload("blank", blank.getvalue())]
    made = store_images(SESSION, files, cache=tmp_path)
    assert {r.name: r.reason for r in made.refused} == {
        "two": "the same file as one",
        "blank": "all pixels are alike: it shows nothing",
    }


def test_when_nothing_can_be_kept_the_last_upload_stays(tmp_path: Path):
    first = store_images(SESSION, [upload(0)], cache=tmp_path)
    made = store_images(SESSION, [Upload("x", b"no")], cache=tmp_path)
    assert made.root is None
    assert first.root is not None
    assert (first.root / "001-a.png").exists()
    assert store_images(SESSION, [], cache=tmp_path).root is None


def test_a_category_needs_a_normal(tmp_path: Path):
    made = store_parts(SESSION, [Upload("x", b"no")], [upload(0)], cache=tmp_path)
    assert made.root is None
    assert len(made.kept) == 1
    assert [p.name for p in (tmp_path / "uploads" / SESSION).iterdir()] == []


# Names


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("../../evil.png", "-evil"),
        ("/etc/passwd", "-passwd"),
        ("C:\\x\\y.png", "-y"),
        ("a\0b.png", "-a-b"),
        ("", "-a-file-without-a-name"),
        ("..", ""),
        ("x" * 5000, "-" + "x" * 40),
        ("Mutter 3 (Größe).JPG", "-Mutter-3--Größe"),
        ("日本語" * 50 + ".png", "-" + ("日本語" * 14)[:40]),
        ("--help.png", "-help"),
    ],
)
def test_names_are_never_paths(tmp_path: Path, name: str, stem: str):
    made = store_parts(SESSION, [Upload(name, png(0))], [Upload(name, png(1))], cache=tmp_path)
    assert made.root is not None
    written = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    files = {name for name in written if not name.startswith(f"{ALIVE}/")}  # this process's lock
    home = f"uploads/{SESSION}/my_parts"
    assert files == {
        f"{home}/train/good/001{stem}.png",
        f"{home}/test/unlabelled/001{stem}.png",
        f"{home}/index.json",
    }


@given(st.text())
def test_printable_names_are_one_short_line(name: str):
    found = printable(name)
    assert 0 < len(found) <= 120
    assert found.isprintable()
    assert "/" not in found
    assert "\\" not in found
    assert printable(found) == found


def test_printable_names_by_hand():
    assert printable("C:\\Users\\me\\part 1.jpg") == "part 1.jpg"
    assert printable("a\nb\x00.png") == "a b .png"
    assert printable("x" * 5000) == "x" * 120
    assert printable("folder/") == "a file without a name"


@pytest.mark.parametrize("session", ["", "..", "short", "../../../etc", "a/b/c/d/e", "x" * 65])
def test_only_a_session_id_names_a_folder(tmp_path: Path, session: str):
    with pytest.raises(CutSwapError, match="session id"):
        store_images(session, [upload(0)], cache=tmp_path)
    with pytest.raises(CutSwapError, match="session id"):
        remove_uploads(session, cache=tmp_path)


# Sweeping and the disk


def test_old_sessions_are_swept(tmp_path: Path):
    for name in ("session-old", "session-new"):
        store_images(name, [upload(0)], cache=tmp_path)
    folder = uploads_folder(tmp_path)
    os.utime(folder / "session-old", (1000, 1000))
    outside = tmp_path / "outside"
    outside.mkdir()
    os.utime(outside, (1000, 1000))
    (folder / "link").symlink_to(outside)
    assert sweep_uploads(cache=tmp_path, now=1000 + uploads.MAX_AGE) == 0
    assert sweep_uploads(cache=tmp_path) == 1
    assert {p.name for p in folder.iterdir()} == {"session-new", "link"}
    assert outside.is_dir()
    assert sweep_uploads(cache=tmp_path / "none") == 0


AS_AN_APP = """
import sys, time
from pathlib import Path
from app.uploads.photos import Upload
from app.uploads.store import store_images, sweep_uploads
from cutswap.utils.processes import this_process
cache = Path(sys.argv[1])
store_images("session-one", [Upload("a.png", Path(sys.argv[2]).read_bytes())], cache=cache)
print(this_process().pid, sweep_uploads(cache=cache), flush=True)
time.sleep(600)
"""


def test_the_app_of_a_container_keeps_its_uploads_until_it_ends(tmp_path: Path):
    photo, cache = tmp_path / "photo.png", tmp_path / "cache"
    photo.write_bytes(png(0))
    with container(AS_AN_APP, cache, photo) as (_, said):
        assert said == "1 0"  # process 1, and its own sweep spares its live tab
        assert sweep_uploads(cache=cache) == 0  # so does the sweep of an app outside
    assert sweep_uploads(cache=cache) == 1  # killed: nobody can reach them any more
    assert not list((cache / ALIVE).iterdir())


@pytest.mark.parametrize("lock", ["held", "lost", "forbidden"])
def test_process_1_keeps_its_uploads(tmp_path: Path, monkeypatch, lock: str):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    if lock == "forbidden":  # its number has to do
        (tmp_path / ALIVE).write_text("a file in the way")
    store_images(SESSION, [upload(0)], cache=tmp_path)
    if lock == "lost":
        shutil.rmtree(tmp_path / ALIVE)
    assert sweep_uploads(cache=tmp_path) == 0
    assert (uploads_folder(tmp_path) / SESSION / "my_images" / "001-a.png").is_file()


@pytest.mark.parametrize(
    ("by", "swept"),
    [
        (dataclasses.replace(this_process(), marker="an earlier start"), 1),  # number given again
        (dataclasses.replace(this_process(), host="a container"), 1),  # of this system, no lock
        (Process(7, "boot 1", "another machine"), 0),  # cannot be asked: a day
    ],
)
def test_uploads_of_others(tmp_path: Path, by: Process, swept: int):
    store_images(SESSION, [upload(0)], cache=tmp_path)
    index = uploads_folder(tmp_path) / SESSION / "my_images" / "index.json"
    index.write_text(json.dumps({"files": [], "by": by.to_dict()}))
    free_lock(tmp_path, by)
    assert sweep_uploads(cache=tmp_path) == swept
    sweep_lives(tmp_path)
    assert len(list((tmp_path / ALIVE).iterdir())) == 1  # this process's


def test_storing_makes_a_session_young_again(tmp_path: Path):
    store_images(SESSION, [upload(0)], cache=tmp_path)
    home = uploads_folder(tmp_path) / SESSION
    os.utime(home, (1000, 1000))
    store_images(SESSION, [upload(1)], cache=tmp_path)
    assert sweep_uploads(cache=tmp_path) == 0


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "uploads").write_text("a file in the way")
    with pytest.raises(CutSwapError, match="CUTSWAP_CACHE"):
        store_images(SESSION, [upload(0)], cache=tmp_path)


def test_the_default_place_is_the_cache(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path))
    made = store_images(SESSION, [upload(0)])
    assert made.root == tmp_path / "uploads" / SESSION / "my_images"


def test_progress_counts_files(tmp_path: Path):
    seen: list[tuple[int, int]] = []
    store_images(
        SESSION,
        [upload(0), Upload("x", b"no")],
        cache=tmp_path,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


# What strangers may take

LITTLE = Limits(files=20, total_bytes=10**7, file_bytes=10**6)


def told(made: uploads.Uploaded) -> list[str]:
    return [one.reason for one in made.refused]


def test_pixels_are_limited_by_file_and_by_batch(tmp_path: Path):
    limits = dataclasses.replace(LITTLE, pixels=200, total_pixels=500)
    files = [Upload(f"{i}.png", png(i, size)) for i, size in enumerate([(12, 16)] * 3 + [(8, 16)])]
    files.insert(1, Upload("large.png", png(9, (16, 16))))
    made = store_images(SESSION, files, cache=tmp_path, limits=limits)
    assert [k.name for k in made.kept] == ["0.png", "1.png"]  # 192 each; the third is too much
    assert len(made.refused) == 3
    assert "16 x 16 pixels" in told(made)[0]
    assert "12 x 16 pixels" in told(made)[1]


def test_the_disk_is_limited_by_session_and_in_all(tmp_path: Path):
    files = [Upload(f"{i}.png", png(i, (40, 40))) for i in range(8)]
    one = dataclasses.replace(LITTLE, kept_bytes=20_000)  # about 5 kB each
    made = store_images(SESSION, files, cache=tmp_path, limits=one)
    assert 3 <= len(made.kept) < 8
    assert all("take 0 MB already" in reason for reason in told(made))
    assert len(store_images(SESSION, files, cache=tmp_path, limits=one).kept) == len(made.kept)
    # the other kind of batch lies beside it
    assert store_parts(SESSION, files, cache=tmp_path, limits=one).kept == ()
    everybody = dataclasses.replace(LITTLE, all_kept_bytes=30_000)
    other = store_images("session-0002", files, cache=tmp_path, limits=everybody)
    assert 0 < len(other.kept) < 4
    assert "all visitors' pictures" in told(other)[-1]
    remove_uploads(SESSION, cache=tmp_path)
    assert len(store_images("session-0003", files, cache=tmp_path, limits=everybody).kept) > 2


def test_of_all_sessions_one_picture_is_decoded_at_a_time(tmp_path: Path, monkeypatch):
    """Six at once, of 49 million pixels in 143 kB each, took 2.65 GB."""
    real, at_once, most = uploads.decoded, [0], []

    def slow(*args):
        at_once[0] += 1
        most.append(at_once[0])
        time.sleep(0.01)
        try:
            return real(*args)
        finally:
            at_once[0] -= 1

    monkeypatch.setattr(uploads, "decoded", slow)
    visitors = [
        threading.Thread(
            target=store_images, args=(f"session-{i:04d}", [upload(i)]), kwargs={"cache": tmp_path}
        )
        for i in range(6)
    ]
    for one in visitors:
        one.start()
    for one in visitors:
        one.join()
    assert most == [1] * 6
