"""The Data page: folders looked at live, uploads told one by one, caches cleared, no tracebacks."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.data import disk as data_cache
from app.data import folders as data_folders
from app.data import tab_memory
from app.data.tab_memory import SESSION
from app.shared import workspace
from app.shared.workspace import UPLOAD_ROOT as ROOT
from cutswap.data.images import read_photo
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.datasets import build_category, build_visa, noise_photo, visa_rows, write_image
from tests.helpers.runs import write_run
from tests.helpers.small_photos import photo_of


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    data_folders.counts.clear()
    data_cache.sizes.clear()
    return small_app(tmp_path, monkeypatch)


def button(at, label: str):
    (found,) = [b for b in at.button if b.label == label]
    return found


def png(seed: int, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photo_of(seed, (48, 64))).save(stream, format="PNG", **options)
    return stream.getvalue()


def put(at, photos=(), normals=()):
    first, second = at.get("file_uploader")
    if photos:
        first.set_value([(name, data, "image/png") for name, data in photos]).run()
    if normals:
        second = at.get("file_uploader")[1]
        second.set_value([(name, data, "image/png") for name, data in normals]).run()
    button(at, "Use these pictures").click().run()
    assert_alive(at)
    return at


# Folders


def test_known_folders_are_counted(root):
    at = open_page("data")
    assert_alive(at)
    assert not at.error
    assert "from CUTSWAP_DATA" in texts(at)
    table = at.dataframe[0].value
    assert list(table["category"]) == ["part"]
    assert list(table["good to learn from"]) == [4]
    assert (table["good to test"][0], table["defective"][0], table["types"][0]) == (1, 1, 1)
    assert str(root) in texts(at).replace("\\", "")


def test_without_any_data_the_page_says_how_to_begin(root, monkeypatch):
    monkeypatch.setenv("CUTSWAP_DATA", "")
    shutil.rmtree(root)
    at = open_page("data")
    assert_alive(at)
    assert "enough to begin" in texts(at)
    assert "The demo could not be made: a full disk" in texts(at)


@pytest.mark.usefixtures("root")
def test_a_typed_folder_is_looked_at_added_and_removed(tmp_path):
    build_category(tmp_path / "more" / "bolt")
    at = open_page("data")
    at.text_input(key=data_folders.FIELD).set_value(f" {tmp_path / 'more'} ").run()
    assert_alive(at)
    assert "MVTec AD layout: 1 category, 3 good photos" in at.success[0].value
    button(at, "Add this folder").click().run()
    assert_alive(at)
    assert workspace.folders() == (tmp_path / "mine", tmp_path / "more")
    assert at.text_input(key=data_folders.FIELD).value == ""
    assert "bolt · more" in at.sidebar.selectbox[0].options
    button(at, "Remove").click().run()
    assert_alive(at)
    assert workspace.folders() == (tmp_path / "mine",)
    assert (tmp_path / "more" / "bolt").is_dir()


@pytest.mark.usefixtures("root")
def test_folders_that_are_none_say_what_is_expected(tmp_path):
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    at = open_page("data")
    for name, words in (
        ("nowhere", "no such folder"),
        ("file.txt", "a file"),
        ("empty", "known layouts"),
        ("a\0b", "expected"),
    ):
        at.text_input(key=data_folders.FIELD).set_value(str(tmp_path / name)).run()
        assert not at.exception
        assert words in at.error[0].value.replace("\\", "")


def test_a_known_folder_that_is_gone_hides_no_other(root, tmp_path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_DATA", f"{tmp_path / 'gone'}:{root}")
    at = open_page("data")
    assert_alive(at)
    assert "It cannot be read" in at.warning[0].value
    assert list(at.dataframe[0].value["category"]) == ["part"]


def test_counts_by_hand(root, tmp_path):
    del root
    build_category(tmp_path / "set" / "bolt", masks=True)
    build_category(tmp_path / "set" / "nut", masks=False)
    bolt, nut = data_folders.counts(tmp_path / "set")
    assert (bolt.train, bolt.good, bolt.defective, bolt.types, bolt.without_mask) == (3, 2, 3, 2, 0)
    assert nut.without_mask == 3
    assert bolt.line()["missing masks"] == "none"
    visa = build_visa(tmp_path / "visa", visa_rows() + visa_rows("cashew"))
    (visa / "cashew/Data/Images/Normal/0000.JPG").unlink()
    candle, cashew = data_folders.counts(visa)
    assert candle.train == 3
    assert "missing" in cashew.noticed  # and candle is there all the same


def test_what_lies_beside_the_categories_is_told(root):
    build_category(root / "half", train=0)
    write_image(root / "pool_$a$" / "0.png", noise_photo(0))
    at = open_page("data")
    assert_alive(at)
    said = [w.value.replace("\\", "") for w in at.warning]
    assert "half: no category, for it has no train/good; 8 photos in it" in said
    assert "pool_$a$: no category, for it has no train/good; 1 photo in it" in [
        c.value.replace("\\", "") for c in at.caption
    ]


def test_names_that_mean_good_are_asked_about(root):
    write_image(root / "part/test/OK/0.png", noise_photo(0))
    at = open_page("data")
    assert_alive(at)
    (table,) = [f.value for f in at.dataframe if "file" in f.value]
    assert table["file"][0] == "part/test/OK"
    assert "good photos, or a type of defect?" in table["problem"][0]


def test_licences_that_came_with_the_data_are_shown(root):
    (root / "part" / "license.txt").write_text("Only on Tuesdays.")
    at = open_page("data")
    assert_alive(at)
    assert "Only on Tuesdays." in texts(at)


# Problems


def test_headers_are_looked_at_at_once_and_pixels_when_asked(root):
    Image.new("RGB", (64, 64)).save(root / "part/train/good/blank.png")
    at = open_page("data")
    assert_alive(at)
    assert "(quick check)" in texts(at)
    assert not [f for f in at.dataframe if "file" in f.value and "blank" in str(f.value["file"])]
    button(at, "Full check of 7 photos").click().run()
    assert_alive(at)
    assert "1 error " in at.warning[0].value
    (table,) = [f.value for f in at.dataframe if "file" in f.value]
    assert list(table[""])[0] == "✖ error"
    assert table["file"][0] == "part/train/good/blank.png"


def test_an_unreadable_photo_is_named(root):
    (root / "part/train/good/001.png").write_bytes(b"nothing")
    at = open_page("data")
    assert_alive(at)
    (table,) = [f.value for f in at.dataframe if "file" in f.value]
    assert "part/train/good/001.png" in list(table["file"])
    assert f"check-data --data {root}" in texts(at)


# Uploads


@pytest.mark.usefixtures("root")
def test_a_photo_becomes_a_category_upright_and_the_bad_file_is_told(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    photo = ("../IMG.png", png(5, exif=exif))
    at = put(open_page("data"), photos=[photo, ("bad.png", b"no"), ("twin.png", photo[1])])
    assert "photos: 1" in at.success[0].value
    assert "bad.png: something else instead of an image" in texts(at)
    assert "twin.png: the same file as IMG.png" in texts(at)
    upload = Path(at.session_state[ROOT])
    assert upload.is_relative_to(tmp_path / "cache" / "uploads")
    kept = read_photo(upload / "001-IMG.png")
    assert (kept == np.rot90(photo_of(5, (48, 64)), -1)).all()
    assert "my_images · My uploads" in at.sidebar.selectbox[0].options
    assert at.session_state[SESSION] == upload.parent.name
    assert not [b for b in at.button if b.label == "Score them"]


@pytest.mark.usefixtures("root")
def test_own_normals_become_a_category_that_can_be_scored():
    normals = [(f"n{i}.png", png(i)) for i in range(3)]
    at = put(open_page("data"), photos=[("x.png", png(9))], normals=normals)
    assert "good parts: 3; photos to look at: 1" in at.success[0].value
    assert button(at, "Score them")
    upload = Path(at.session_state[ROOT])
    assert {p.name for p in (upload / "train/good").iterdir()} == {
        "001-n0.png",
        "002-n1.png",
        "003-n2.png",
    }
    index = json.loads((upload / "index.json").read_text())
    assert [f["name"] for f in index["files"]] == ["n0.png", "n1.png", "n2.png", "x.png"]


@pytest.mark.usefixtures("root")
def test_uploads_are_deleted_and_other_sessions_keep_theirs():
    mine = put(open_page("data"), photos=[("x.png", png(1))])
    other = put(open_page("data"), photos=[("y.png", png(2))])
    assert mine.session_state[ROOT] != other.session_state[ROOT]
    upload = Path(mine.session_state[ROOT])
    button(mine, "Delete my pictures").click().run()
    assert_alive(mine)
    assert not upload.exists()
    assert Path(other.session_state[ROOT]).is_dir()
    assert ROOT not in mine.session_state


@pytest.mark.usefixtures("root")
def test_nothing_but_bad_files_is_told_and_changes_nothing():
    at = open_page("data")
    assert button(at, "Use these pictures").disabled
    put(at, photos=[("bad.png", b"no")])
    assert "None of these pictures could be used" in at.error[0].value
    assert ROOT not in at.session_state


def deep(seed: int, bits: int) -> bytes:
    """A grey PNG of 16 bits as a camera of `bits` writes it."""
    grey = photo_of(seed, (48, 64)).mean(axis=-1) / 255
    stream = io.BytesIO()
    Image.fromarray((grey * (2**bits - 1)).astype(np.uint16)).save(stream, format="PNG")
    return stream.getvalue()


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_an_upload_that_uses_few_of_its_bits_is_told_and_read_again(bits):
    photos = [("deep.png", deep(3, bits)), ("colour.png", png(4))]
    at = put(open_page("data"), photos=photos)
    told = [w.value for w in at.warning if "nearly black" in w.value]
    if bits == 16:
        assert not told
        return
    assert f"choose **use {bits} bits** above" in told[0]
    at.selectbox(key="upload.bits").set_value(bits).run()
    put(at, photos=photos)
    assert not [w for w in at.warning if "nearly black" in w.value]
    kept = read_photo(Path(at.session_state[ROOT]) / "001-deep.png")
    assert np.abs(kept[..., 0] - photo_of(3, (48, 64)).mean(axis=-1)).max() <= 1


@pytest.mark.parametrize("page", ["saliency", "negatives", "inspect_heatmaps"])
def test_a_photo_that_uses_few_of_its_bits_is_told_where_it_is_shown(page, root):
    (root / "part/test/crack/000.png").write_bytes(deep(11, 12))
    at = open_page(page, cat="part · mine", img="test/crack/000")
    assert_alive(at)
    told = [w.value for w in at.warning if "uses 12 of them" in w.value]
    assert len(told) == 1
    assert '{"bits": 12}' in told[0]
    (root / "part/cutswap.json").write_text('{"bits": 12}')
    workspace.dataset_of.clear()
    at.run()
    assert_alive(at)
    assert not [w for w in at.warning if "uses 12 of them" in w.value]


@pytest.mark.usefixtures("root")
def test_a_reloaded_tab_has_its_uploads_again(monkeypatch):
    first = put(open_page("data"), photos=[("bolt 7.png", png(1))])
    token, root = first.session_state[SESSION], first.session_state[ROOT]
    label = "my_images · My uploads"
    at = open_page("data", cat=label)  # a new session, which waits for what the tab remembers
    assert_alive(at)
    assert ROOT not in at.session_state
    assert "Looking for your pictures" in texts(at)
    assert at.query_params["cat"] == label
    assert not at.toast
    answered(at, monkeypatch, token)
    assert at.session_state[ROOT] == root
    assert at.sidebar.selectbox[0].value == "upload/my_images"
    assert at.session_state["img"].endswith("001-bolt-7")
    assert "photos: 1" in at.success[0].value


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("none", "Uploads are for the tab that made them"),
        ("0" * 32, "are gone: they are deleted"),
        ("../../etc", "are gone: they are deleted"),
    ],
)
def test_a_link_to_uploads_that_are_not_here_says_so(kept, said, monkeypatch):
    at = open_page("data", cat="my_images · My uploads")
    answered(at, monkeypatch, kept)
    assert at.sidebar.selectbox[0].value == "mine/part"
    assert any(said in toast.value for toast in at.toast)


def answered(at, monkeypatch, token: str) -> None:
    """The tab says what it keeps, as its component does in a browser."""
    expect = tab_memory.expect
    told: list[str] = []

    def answer() -> None:
        if not told:
            told.append(token)
            tab_memory.take_back(token)
        expect()

    monkeypatch.setattr(tab_memory, "expect", answer)
    at.run()
    assert_alive(at)


@pytest.mark.usefixtures("root")
def test_uploads_that_vanished_are_told(tmp_path):
    at = put(open_page("data"), photos=[("x.png", png(1))])
    shutil.rmtree(tmp_path / "cache" / "uploads")
    at.run()
    assert_alive(at)
    assert "were deleted" in texts(at)


# What is kept


@pytest.mark.usefixtures("root")
def test_sizes_are_counted_and_cleared(tmp_path):
    cache = tmp_path / "cache"
    for name in ("saliency/a.npz", "evaluations/k/result.json", "unlabelled/k/x", "demo-v1/p.png"):
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(b"12345")
    (cache / "app.json").write_text("{}")
    found = data_cache.sizes(cache)
    assert found["Saliency maps"] == (5, 1)
    assert found["Evaluations of Inspect"] == (10, 2)
    assert found["Uploads"] == (0, 0)
    at = open_page("data")
    assert_alive(at)
    at.button(key="clear.Saliency maps").click().run()
    assert_alive(at)
    assert not (cache / "saliency").exists()
    assert (cache / "evaluations/k/result.json").exists()
    assert (cache / "app.json").exists()


def test_clearing_does_not_follow_links(root, tmp_path):
    del root
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "file").write_text("x")
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache" / "saliency").symlink_to(outside)
    data_cache.clear(data_cache.KINDS[0])
    assert (outside / "file").exists()


def test_sizes_in_words():
    assert [data_cache.megabytes(n) for n in (0, 3_200_000, 1_400_000_000)] == [
        "0 MB",
        "3.2 MB",
        "1.4 GB",
    ]


@pytest.mark.usefixtures("root")
def test_runs_broken_or_not_do_not_matter_here(tmp_path):
    (write_run(tmp_path / "runs" / "torn") / "settings.json").write_text("{")
    at = open_page("data")
    assert_alive(at)
    assert "never cleared from here" in texts(at)


@pytest.mark.usefixtures("root")
def test_the_words_and_the_licences_are_there():
    at = open_page("data")
    said = texts(at)
    for word in ("$x_S^-$", "memory bank", "CC0 1.0", "CC BY-NC-SA 4.0", "train/good/*.png"):
        assert word in said
