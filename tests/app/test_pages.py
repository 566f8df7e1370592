"""Start, Saliency and Negatives without a browser: every state shows, nothing raises."""

from __future__ import annotations

import ast
import io
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from streamlit.elements.lib import image_utils

from app.negatives.draws import METHODS, Drawing, archive, draw
from app.shared import caches, workspace
from app.shared.caches import PhotoKey, SaliencyKey
from app.viewer.pictures import outline_paths, thumbnail
from cutswap.commands.parser import main
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.data.datasets import open_dataset
from cutswap.data.images import read_mask, read_photo, resize_photo, save_png, to_image
from cutswap.negatives.draw import redraw
from cutswap.negatives.record import NegativeRecord
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import load_backbone
from cutswap.saliency.cache import saliency_of
from cutswap.saliency.layercam import explain
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import write_run

LAYERS = ("4", "9", "16", "23", "30")


@pytest.fixture
def parts(tmp_path, monkeypatch) -> Path:
    return small_app(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["start", "saliency", "negatives"])
@pytest.mark.usefixtures("parts")
def test_a_page_shows_the_selected_category(name):
    at = open_page(name, cat="part · mine")
    assert_alive(at)
    assert not at.error
    assert at.session_state["cat"] == "mine/part"
    assert at.title


@pytest.mark.parametrize("name", ["start", "saliency", "negatives"])
@pytest.mark.usefixtures("parts")
def test_no_data_at_all_is_a_sentence_with_a_way_out(name, monkeypatch):
    monkeypatch.setenv("CUTSWAP_DATA", "")
    at = open_page(name)
    assert_alive(at)
    said = texts(at)
    assert "full disk" in said
    if name != "start":
        assert "No data set is known" in said


EVERY = (
    "start",
    "saliency",
    "negatives",
    "train",
    "inspect_heatmaps",
    "features",
    "results",
    "study",
    "data",
    "lesson",
    "spot",
    "stages",
)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("parts")
def test_a_finished_run_can_be_selected_on_every_page(name, tmp_path):
    write_run(tmp_path / "runs" / "tuned")
    at = open_page(name, cat="part · mine", run="tuned")
    assert not at.exception
    assert at.session_state["run"] == "tuned"
    at.switch_page("../pages/results.py").run()  # where it does something
    assert at.selectbox(key="run").value == "tuned"


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("parts")
def test_broken_runs_hide_nothing_on_any_page(name, tmp_path):
    for folder, file in (("torn", "settings.json"), ("half", "result.json")):
        (tmp_path / "runs" / folder).mkdir(parents=True)
        (tmp_path / "runs" / folder / file).write_text("{ torn")
    write_run(tmp_path / "runs" / "sound")
    at = open_page(name, cat="part · mine", run="torn")
    assert not at.exception
    if name not in ("inspect_heatmaps", "features", "results"):  # a run does nothing there
        assert not [box for box in at.selectbox if box.key == "run"]
        at.switch_page("../pages/results.py").run()
    options = at.selectbox(key="run").options
    assert "sound" in options
    assert "torn" not in options


@pytest.mark.usefixtures("parts")
def test_nonsense_in_the_link_falls_back_to_the_defaults():
    at = open_page(
        "saliency", cat="gone/away", img="test/none/999", k="banana", layer="77", net="x"
    )
    assert_alive(at)
    assert not at.error
    assert at.slider(key="knob.k").value == 4
    assert at.selectbox(key="knob.net").value == "vgg16"
    said = [toast.value for toast in at.toast]
    assert len(said) == 5
    for name in ("category gone/away", "image test/none/999", "net", "layer", "k"):
        assert any(name in text for text in said)
    assert "k" not in at.query_params


def test_an_unreadable_photo_is_a_message_in_place(parts):
    (parts / "part/test/crack/000.png").write_bytes(b"no picture")
    at = open_page("saliency")
    assert not at.exception
    assert "000.png" in at.error[0].value
    assert "To fix it" in at.error[0].value


def test_a_photo_that_vanished_gives_way_to_the_next(parts):
    at = open_page("negatives")
    assert at.selectbox(key="img").value == "test/crack/000"
    (parts / "part/test/crack/000.png").unlink()
    at.run()
    assert_alive(at)
    assert at.selectbox(key="img").value == "test/good/000"


def test_k_above_the_distinct_values_is_said_and_the_page_lives(parts):
    save_png(parts / "part/test/crack/000.png", np.zeros((64, 64, 3), np.uint8))
    at = open_page("saliency", w="random", k="8")
    assert_alive(at)
    # A black photo has a flat map at some level; shown or not, the strip of levels is there.
    assert "All levels" in texts(at)


@pytest.mark.usefixtures("parts")
def test_k_changes_and_stays_in_the_url():
    at = open_page("saliency")
    at.slider(key="knob.k").set_value(7).run()
    assert at.query_params["k"] in ("7", ["7"])
    at.slider(key="knob.k").set_value(4).run()
    assert "k" not in at.query_params


def key_of(path: Path, size: int = 64) -> SaliencyKey:
    return SaliencyKey(PhotoKey.of(path, size), "vgg16", "embedded", LAYERS)


def drawing(path: Path, method: str, levels: tuple[int, ...], index: int | None) -> Drawing:
    return Drawing(
        key_of(path),
        method,
        levels,
        NegativeSettings(),
        ClusterSettings(),
        WeakAugmentation(),
        7,
        index,
        4,
    )


def test_maps_on_the_page_are_the_library_s(parts):
    path = parts / "part/train/good/001.png"
    photo = resize_photo(read_photo(path), (64, 64))
    own = explain(load_backbone("vgg16"), to_image(photo[None]), LAYERS).upsampled((64, 64))[0]
    assert np.array_equal(caches.explained(key_of(path)).maps, own.numpy())


def test_maps_on_the_page_are_the_command_s(parts, tmp_path):
    path = parts / "part/train/good/001.png"
    out = tmp_path / "out"
    assert main(["saliency", str(path), "--image-size", "64", "--out", str(out)]) == 0
    with np.load(out / "saliency.npz", allow_pickle=False) as written:
        assert np.array_equal(caches.explained(key_of(path)).maps, written["maps"])


TRAINED = [name for name, (_, anchors) in METHODS.items() if anchors is None]


@pytest.mark.parametrize("method", TRAINED)
@pytest.mark.parametrize("levels", [(2,), (0, 1, 2, 3, 4)])
def test_negatives_on_the_page_are_the_trainer_s(parts, method, levels):
    family, _, scar = METHODS[method][0].partition("-")
    way = int(bool(scar))
    files = sorted((parts / "part/train/good").glob("*.png"))
    photos = np.stack([resize_photo(read_photo(f), (64, 64)) for f in files])
    samples = TrainingSamples(
        photos,
        saliency_of(load_backbone("vgg16"), photos, LAYERS),
        family=family,
        ways=3,
        negatives=NegativeSettings(),
        clusters=ClusterSettings(),
        weak=WeakAugmentation(),
        levels=tuple(LAYERS[i] for i in levels),
        seed=7,
        count=12,
    )
    for number in range(12):
        seen = samples.sample(number)
        shown = draw(drawing(files[seen.index], method, levels, seen.index), number // 4)
        assert shown.number == number
        assert np.array_equal(shown.positive, seen.positive)
        assert np.array_equal(shown.negative.photo, seen.negatives[way].photo)
        assert shown.negative.record == seen.negatives[way].record


@pytest.mark.parametrize("method", TRAINED)
def test_the_command_on_the_page_gives_the_same_negative(parts, tmp_path, method):
    path = parts / "part/train/good/002.png"
    shown = draw(drawing(path, method, (2,), 2), 1)
    out = tmp_path / "out"
    code = main(
        [
            "augment",
            str(path),
            "--method",
            METHODS[method][0],
            "--layer",
            "16",
            "--image-size",
            "64",
            "--weak-jitter",
            "0.1",
            "--seed",
            "7",
            "--first",
            str(shown.number),
            "--count",
            "1",
            "--out",
            str(out),
        ]
    )
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


def test_the_archive_in_folders_is_a_data_set(parts, tmp_path):
    path = parts / "part/test/crack/000.png"
    several = [draw(drawing(path, "CutSwap scar", (2,), None), epoch) for epoch in range(3)]
    with zipfile.ZipFile(io.BytesIO(archive(several, {}, as_folders=True))) as store:
        store.extractall(tmp_path / "made")
    category = open_dataset(tmp_path / "made").category(None)
    assert (len(category.train), category.defects) == (3, ("cutswap-scar",))
    for record, one in zip(category.test, several, strict=True):
        assert np.array_equal(read_photo(record.image), one.negative.photo)
        assert np.array_equal(read_mask(record.mask), one.negative.mask)


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.usefixtures("parts")
def test_every_method_shows_with_all_beside_it(method):
    at = open_page("negatives", method=method, size="128")
    assert_alive(at)
    assert not at.error
    said = texts(at)
    assert "of the pixels changed" in said
    assert f"--method {METHODS[method][0]}" in said
    own = {"SmoothBlend": "softness", "NSA": "zoom", "Perlin": "opacity"}
    sliders = {slider.key for slider in at.slider}
    for name, knob in own.items():
        assert (f"knob.{knob}" in sliders) == (
            method in (name, f"{name} scar") and method != "NSA scar"
        )


def test_an_outline_walks_round_the_mask():
    mask = np.zeros((8, 8), bool)
    mask[2:5, 3:7] = True
    assert outline_paths(mask) == ["M3.5 2.5L3.5 4.5L6.5 4.5L6.5 2.5Z"]
    assert outline_paths(np.zeros((4, 4), bool)) == []


def test_a_thumbnail_is_the_mean_of_areas_and_never_larger_than_the_photo():
    photo = np.zeros((40, 80, 3), np.uint8)
    photo[::2] = 200  # lines of one pixel: leaving every other pixel out shows all or none of them
    shown = np.asarray(Image.open(io.BytesIO(thumbnail(photo, 40))).convert("RGB"))
    assert shown.shape == (20, 40, 3)
    assert np.abs(shown.astype(int) - 100).max() <= 3
    assert Image.open(io.BytesIO(thumbnail(photo, 500))).size == (80, 40)


@pytest.mark.parametrize("page", ["saliency", "negatives"])
@pytest.mark.usefixtures("parts")
def test_streamlit_shrinks_no_picture_in_every_rerun(page, monkeypatch):
    """It would read, shrink and write each one that is wider than shown: a fifth of a page."""
    kept: list[bool] = []
    real = image_utils._ensure_image_size_and_format

    def ensure(data, layout, kind):
        made = real(data, layout, kind)
        kept.append(made is data)
        return made

    monkeypatch.setattr(image_utils, "_ensure_image_size_and_format", ensure)
    assert_alive(open_page(page, cat="part · mine", size="512"))
    assert len(kept) > 5
    assert all(kept)


@pytest.mark.parametrize("looks", range(1, 9))
def test_a_demo_that_gets_ready_while_the_page_is_drawn(tmp_path, monkeypatch, looks: int):
    """After so many looks its folder is there; the page never takes it for another or none."""
    root = small_app(tmp_path, monkeypatch)
    left = [0]

    class Late:
        error, done, total = None, 0, 4

        @property
        def root(self) -> Path | None:
            left[0] -= 1
            return None if left[0] >= 0 else root

        def wait(self, _seconds: float) -> Path | None:
            return self.root

    made = Late()
    monkeypatch.setattr(workspace, "demo_rendering", lambda: made)
    monkeypatch.setattr(workspace, "DEMO_CATEGORIES", ("part",))
    monkeypatch.setenv("CUTSWAP_DATA", "")
    at = open_page("start")
    left[0] = looks  # only now: the start page looks, too
    at.switch_page("../pages/saliency.py").run()
    assert_alive(at)
    assert not at.info
    assert not at.toast
    assert at.selectbox(key="cat").value == "demo/part"


def test_every_picture_is_described_for_those_who_do_not_see_it():
    silent = []
    for file in sorted((Path(__file__).parents[2] / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            is_picture = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "image"
            )
            if is_picture and "alt" not in {word.arg for word in node.keywords}:
                silent.append(f"{file.name}:{node.lineno}")
    assert not silent
