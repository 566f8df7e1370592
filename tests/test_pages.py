"""Start, Saliency and Negatives without a browser: every state shows, nothing raises."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import caches, workspace
from app.caches import PhotoKey, SaliencyKey
from app.negative_draws import METHODS, Drawing, archive, draw
from app.pictures import outline_paths
from cutswap.backbone import load_backbone
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.errors import CutSwapError
from cutswap.images import read_photo, resize_photo, save_png, to_image
from cutswap.negative_record import NegativeRecord
from cutswap.negatives import redraw
from cutswap.saliency import explain
from cutswap.saliency_cache import saliency_of
from cutswap.training_samples import TrainingSamples
from tests.small_photos import photo_of

MAIN = str(Path(__file__).resolve().parents[1] / "app" / "main.py")
LAYERS = ("4", "9", "16", "23", "30")


@pytest.fixture
def parts(tmp_path, monkeypatch) -> Path:
    """A small category in MVTec's layout, the only data the app knows."""
    root = tmp_path / "mine"
    for index in range(4):
        save_png(root / "part/train/good" / f"{index:03d}.png", photo_of(index, (96, 96)))
    save_png(root / "part/test/good/000.png", photo_of(10, (96, 96)))
    save_png(root / "part/test/crack/000.png", photo_of(11, (96, 96)))
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CUTSWAP_DATA", str(root))
    monkeypatch.setenv("CUTSWAP_RUNS", str(tmp_path / "runs"))
    # Rendering the real demo takes 8 s and is tested elsewhere.
    failed = workspace.DemoRendering(
        error=CutSwapError("demo", expected="space", found="a full disk", fix="free some")
    )
    monkeypatch.setattr(workspace, "demo_rendering", lambda: failed)
    return root


def page(name: str = "", **query: str) -> AppTest:
    at = AppTest.from_file(MAIN, default_timeout=60)
    at.query_params["cat"] = "mine/part"
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    if name:
        at.switch_page(f"../pages/{name}.py").run()
    return at


@pytest.mark.parametrize("name", ["", "saliency", "negatives", "train", "results", "data"])
@pytest.mark.usefixtures("parts")
def test_a_page_shows_without_errors(name):
    at = page(name)
    assert not at.exception
    assert not at.error
    assert at.title


@pytest.mark.parametrize("name", ["", "saliency", "negatives", "train", "results", "data"])
@pytest.mark.usefixtures("parts")
def test_no_data_at_all_is_a_sentence_with_a_way_out(name, monkeypatch):
    monkeypatch.setenv("CUTSWAP_DATA", "")
    at = page(name)
    assert not at.exception
    if name in ("saliency", "negatives", "train"):
        assert "full disk" in at.info[0].value


@pytest.mark.parametrize("name", ["train", "results", "data"])
@pytest.mark.usefixtures("parts")
def test_a_broken_run_is_shown_as_one(name, tmp_path):
    broken = tmp_path / "runs" / "torn"
    broken.mkdir(parents=True)
    (broken / "settings.json").write_text("{ torn")
    (tmp_path / "runs" / "half").mkdir()
    (tmp_path / "runs" / "half" / "result.json").write_text("{}")
    at = page(name)
    assert not at.exception
    if name == "train":
        assert any("torn" in m.value and "broken" in m.value for m in at.markdown)


@pytest.mark.usefixtures("parts")
def test_a_folder_that_is_no_data_set_is_refused_in_place(tmp_path):
    at = page("data")
    at.text_input(key="data.folder").set_value(str(tmp_path / "nowhere")).run()
    assert not at.exception
    assert "nowhere" in at.error[0].value


@pytest.mark.usefixtures("parts")
def test_a_category_that_vanished_falls_back():
    at = page("saliency", cat="gone/away", img="test/none/999", k="banana", layer="77")
    assert not at.exception
    assert not at.error


def test_an_unreadable_photo_is_a_message_in_place(parts):
    (parts / "part/test/crack/000.png").write_bytes(b"no picture")
    at = page("saliency")
    assert not at.exception
    assert "000" in at.error[0].value


@pytest.mark.usefixtures("parts")
def test_k_changes_the_clusters_and_stays_in_the_url():
    at = page("saliency")
    at.slider(key="knob.k").set_value(7).run()
    assert at.query_params["k"] == ["7"] or at.query_params["k"] == "7"
    assert not at.error


def key_of(path: Path, size: int = 96) -> SaliencyKey:
    return SaliencyKey(PhotoKey.of(path, size), "vgg16", "embedded", LAYERS)


def drawing(path: Path, method: str, levels: tuple[int, ...], index: int | None) -> Drawing:
    return Drawing(
        key_of(path), method, levels, NegativeSettings(), ClusterSettings(), WeakAugmentation(),
        7, index, 4,
    )  # fmt: skip


def test_maps_on_the_page_are_the_library_s(parts):
    path = parts / "part/train/good/001.png"
    photo = resize_photo(read_photo(path), (96, 96))
    own = explain(load_backbone("vgg16"), to_image(photo[None]), LAYERS).upsampled((96, 96))[0]
    assert np.array_equal(caches.explained(key_of(path)).maps, own.numpy())


@pytest.mark.parametrize("ways", [("CutSwap", 0), ("CutSwap scar", 1)])
@pytest.mark.parametrize("levels", [(2,), (0, 1, 2, 3, 4)])
def test_negatives_on_the_page_are_the_trainer_s(parts, ways, levels):
    method, way = ways
    files = sorted((parts / "part/train/good").glob("*.png"))
    photos = np.stack([resize_photo(read_photo(f), (96, 96)) for f in files])
    samples = TrainingSamples(
        photos, saliency_of(load_backbone("vgg16"), photos, LAYERS), family="cutswap", ways=3,
        negatives=NegativeSettings(), clusters=ClusterSettings(), weak=WeakAugmentation(),
        levels=tuple(LAYERS[i] for i in levels), seed=7, count=12,
    )  # fmt: skip
    for number in range(12):
        seen = samples.sample(number)
        shown = draw(drawing(files[seen.index], method, levels, seen.index), number // 4)
        assert shown.number == number
        assert np.array_equal(shown.positive, seen.positive)
        assert np.array_equal(shown.negative.photo, seen.negatives[way].photo)
        assert shown.negative.record == seen.negatives[way].record


def test_the_command_on_the_page_gives_the_same_negative(parts, tmp_path):
    from cutswap.cli import main

    path = parts / "part/train/good/002.png"
    shown = draw(drawing(path, "CutSwap", (2,), 2), 1)
    out = tmp_path / "out"
    code = main([
        "augment", str(path), "--layer", "16", "--image-size", "96", "--weak-jitter", "0.1",
        "--seed", "7", "--first", str(shown.number), "--count", "1", "--out", str(out),
    ])  # fmt: skip
    assert code == 0
    assert np.array_equal(read_photo(out / "negative_000.png"), shown.negative.photo)


@pytest.mark.parametrize("method", list(METHODS))
def test_the_archive_repaints_bit_for_bit(parts, method):
    path = parts / "part/test/crack/000.png"
    several = [draw(drawing(path, method, (2,), None), epoch) for epoch in range(3)]
    with zipfile.ZipFile(io.BytesIO(archive(several, {"seed": 7}))) as store:
        record = json.loads(store.read("record.json"))
        for index, one in enumerate(record["negatives"]):
            fields = {f: one[f] for f in NegativeRecord.__dataclass_fields__}
            stored = [
                cv2.imdecode(np.frombuffer(store.read(f"{n}_{index:03d}.png"), np.uint8), flag)
                for n, flag in (("positive", 1), ("negative", 1), ("mask", 0))
            ]
            again = redraw(stored[0][..., ::-1].copy(), NegativeRecord.from_dict(fields))
            assert np.array_equal(again.photo, stored[1][..., ::-1])
            assert np.array_equal(again.mask, stored[2] > 0)


def test_an_outline_walks_round_the_mask():
    mask = np.zeros((8, 8), bool)
    mask[2:5, 3:7] = True
    assert outline_paths(mask) == ["M3.5 2.5L3.5 4.5L6.5 4.5L6.5 2.5Z"]
    assert outline_paths(np.zeros((4, 4), bool)) == []
