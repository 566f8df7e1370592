"""How photos become squares, chosen in the sidebar: links, pictures, jobs, commands, refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from app.features import view as features_view
from app.features.collecting import WantedFeatures
from app.figures import where_to_look
from app.figures.where_to_look import RegionKey
from app.inspect_heatmaps.view import _Screen
from app.negatives import quality
from app.shared import caches, selection
from app.shared.caches import PhotoKey
from cutswap.data.datasets import open_dataset
from cutswap.data.images import read_photo, save_png
from cutswap.data.reading import CROP, FIT, RESIZES, SQUASH
from cutswap.data.regions.frame import framed_photo
from cutswap.data.regions.region_of_interest import recorded_resize, with_resize
from cutswap.runs.queue import JobQueue
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import write_run
from tests.helpers.small_photos import photo_of

PART = "part · mine"
SHAPE = (40, 80)


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small_app(tmp_path, monkeypatch) / "part"
    for index, path in enumerate(sorted(root.rglob("*.png"))):
        save_png(path, photo_of(index, SHAPE))
    return root


def chosen(at) -> str:
    return at.session_state["selection"].record.resize


@pytest.mark.usefixtures("part")
def test_the_sidebar_chooses_and_the_link_keeps_it():
    at = open_page("train", cat=PART)
    assert_alive(at)
    assert chosen(at) == SQUASH
    (box,) = [b for b in at.selectbox if b.label == "Photos become squares by"]
    at = box.set_value(FIT).run()
    assert_alive(at)
    assert chosen(at) == FIT
    assert at.session_state["selection"].squares == ["--resize", FIT]
    assert at.query_params["resize"] == "fit: in their own shape"
    assert chosen(open_page("saliency", cat=PART, resize=CROP)) == CROP


@pytest.mark.parametrize("own", RESIZES)
def test_the_folder_s_own_way_is_where_it_begins(part, own):
    (part / "cutswap.json").write_text(json.dumps({"resize": own}))
    at = open_page("train", cat=PART)
    assert chosen(at) == own
    assert at.session_state["selection"].squares == []
    at = open_page("train", cat=PART, resize=SQUASH)
    assert chosen(at) == SQUASH
    assert at.session_state["selection"].squares == ([] if own == SQUASH else ["--resize", SQUASH])


@pytest.mark.parametrize("resize", RESIZES)
def test_pages_show_the_squares_that_are_learnt_from(part, resize):
    record = with_resize(open_dataset(part).category(), resize).train[0]
    shown = caches.photo(PhotoKey.of_record(record, 64))
    np.testing.assert_array_equal(shown, framed_photo(read_photo(record.image), 64, resize))


def test_beside_a_photo_nothing_is_looked_at(part):
    category = open_dataset(part).category()
    assert RegionKey.of(category) is None
    key = RegionKey.of(with_resize(category, FIT))
    inside = where_to_look.pixels(key, 64)
    assert inside[16:48].all()
    assert not inside[:16].any()
    assert where_to_look.share(key, 64) == 1.0
    mask = np.zeros(SHAPE, bool)
    mask[:, :20] = True
    save_png(part / "region.png", mask)
    key = RegionKey.of(with_resize(open_dataset(part).category(), FIT))
    assert where_to_look.share(key, 64) == pytest.approx(0.25)


@pytest.mark.usefixtures("part")
@pytest.mark.parametrize("page", ["train", "negatives", "saliency", "inspect_heatmaps", "results"])
def test_the_command_of_a_page_makes_these_squares(page):
    network = {"net": "squeezenet1_0", "w": "random", "size": "128"}
    known = network if page in ("negatives", "saliency") else {}
    at = open_page(page, cat=PART, resize=FIT, **known)
    assert_alive(at)
    assert "--resize fit" in texts(at)


def test_every_way_has_words():
    assert set(selection.SQUARES) == set(RESIZES)


def test_a_saved_evaluation_is_shown_in_its_own_squares(part):
    category = open_dataset(part).category()
    asked = SimpleNamespace(selected=SimpleNamespace(record=category.test[0], category=category))
    data = {"reading": {"resize": CROP}}
    scored = SimpleNamespace(resize=recorded_resize(data), summary={"data": data})
    screen = _Screen(asked, scored, None, None, 0)
    assert screen.record.resize == CROP
    assert {record.resize for record in screen.train} == {CROP}
    assert recorded_resize({"reading": {"bits": 12}}) == recorded_resize({}) == SQUASH


def test_the_features_of_a_run_are_of_its_own_squares(part, tmp_path, monkeypatch):
    wanted: list[WantedFeatures] = []
    real = features_view.WantedFeatures
    monkeypatch.setattr(
        features_view, "WantedFeatures", lambda *a: (wanted.append(real(*a)), wanted[-1])[1]
    )
    run = write_run(tmp_path / "runs/run", name="part")
    settings = json.loads((run / "settings.json").read_text())
    settings["data"] |= {"root": str(part), "reading": {"resize": CROP}}
    (run / "settings.json").write_text(json.dumps(settings))
    selection.found_runs.clear()
    open_page("features", cat=PART, run="run", resize=FIT)
    assert wanted
    assert wanted[-1].category.train[0].resize == CROP


def test_inspect_refuses_a_run_of_other_squares(part, tmp_path):
    run = write_run(tmp_path / "runs/run", name="part")
    settings = json.loads((run / "settings.json").read_text())
    settings["data"] |= {"root": str(part), "reading": {"resize": CROP}}
    (run / "settings.json").write_text(json.dumps(settings))
    selection.found_runs.clear()
    at = open_page("inspect_heatmaps", cat=PART, run="run", resize=FIT)
    assert not at.exception
    assert "brought to squares by --resize crop" in texts(at).replace("\\", "")


def test_pages_make_a_photo_s_key_of_its_record():
    """By its file alone it would be squashed; painting alone wants the photo's own shape."""
    app = Path(selection.__file__).parents[1]
    by_file = re.compile(r"PhotoKey\.of\(\s*(self\.)?record\.")
    found = [p.name for p in sorted(app.rglob("*.py")) if by_file.search(p.read_text())]
    assert found == ["region_painting.py"]


@pytest.mark.usefixtures("part")
@pytest.mark.parametrize(
    ("page", "label"), [("train", "Start"), ("results", "Evaluate part")], ids=["train", "results"]
)
def test_a_started_job_makes_the_squares_that_were_chosen(page, label, monkeypatch):
    started = []
    monkeypatch.setattr(JobQueue, "add", lambda _, __, words, *___, **____: started.append(words))
    at = open_page(page, cat=PART, resize=FIT)
    (button,) = [b for b in at.button if b.label.startswith(label)]
    button.click().run()
    (words,) = started
    words = [str(word) for word in words]
    assert words[words.index("--resize") + 1] == FIT


@pytest.mark.usefixtures("part")
def test_how_good_negatives_are_is_asked_of_the_same_squares(monkeypatch):
    asked = []

    def told(key, category, _):
        asked.append((key, category.train[0].resize))
        return SimpleNamespace()

    monkeypatch.setattr(quality, "_measured", told)
    monkeypatch.setattr(quality, "_table", lambda _: None)
    keys = []
    for resize in (FIT, CROP):
        network = {"net": "squeezenet1_0", "w": "random", "size": "128"}
        at = open_page("negatives", cat=PART, resize=resize, **network)
        (button,) = [b for b in at.button if b.label == "Measure"]
        at = button.click().run()
        assert_alive(at)
        (command,) = [c.value for c in at.code if " quality " in c.value]
        assert f"--resize {resize}" in command.replace("=", " ")
        assert asked[-1][1] == resize
        keys.append(asked[-1][0])
    assert keys[0] != keys[1]  # else one's figures would be shown as the other's
