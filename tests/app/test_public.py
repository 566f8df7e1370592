"""CUTSWAP_PUBLIC=1: pages say what is off, and it cannot be done by any way round."""

from __future__ import annotations

import dataclasses
import io
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.data import disk as data_cache
from app.data import folders as data_folders
from app.data.disk import KINDS
from app.shared import caches, evaluations, jobs, public, workspace
from app.shared.caches import PhotoKey, SaliencyKey
from app.shared.evaluations import Wanted, Workshop, workshop
from app.shared.selection import found_runs
from cutswap.config import PatchCoreSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.records import Category
from cutswap.errors import CutSwapError
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import write_run
from tests.helpers.small_photos import photo_of
from tests.helpers.waiting import until

PAGES = tuple(public.NOTES)
OFF = (
    "Start",
    "Evaluate",
    "Delete",
    "Rename",
    "Resume",
    "Stop",
    "Add this folder",
    "Remove",
    "Make the demo again",
    "Measure",
    "Put ",
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data_folders.counts.clear()
    data_cache.sizes.clear()
    made = small_app(tmp_path, monkeypatch)
    write_run(tmp_path / "runs" / "bolt-1")
    return made


def shared_demo(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small category as the demo's, since folders are off."""
    ready = workspace.DemoRendering(root=root)
    monkeypatch.setattr(workspace, "demo_rendering", lambda: ready)
    workspace.dataset_of.clear()


def test_no_page_is_forgotten():
    pages = Path(public.__file__).parents[2] / "pages"
    assert set(PAGES) == {p.stem for p in pages.glob("*.py") if not p.stem.startswith("_")}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_so_and_offers_nothing_of_it(page: str, root: Path, monkeypatch):
    shared_demo(root, monkeypatch)
    monkeypatch.setenv(public.VARIABLE, "1")
    found_runs.clear()
    at = open_page(page)
    assert_alive(at)
    said = texts(at)
    assert f"Public demo: {public.NOTES[page]}" in said
    assert not [b.label for b in at.button if b.label.startswith(OFF)]
    assert not at.text_input
    assert "bolt-1" not in said
    assert str(root.parent) not in said
    assert "imagenet" not in [str(o).lower() for s in at.selectbox for o in s.options]
    # The selection only where it does something, and a next step that is open.
    has_sidebar = len(at.sidebar.children) > 0
    with_sidebar = ("data", "saliency", "negatives", "inspect_heatmaps", "lesson", "spot", "stages")
    assert has_sidebar == (page in with_sidebar)
    closed = {at.session_state["pages"][name].url_path for name in public.CLOSED}
    links = [link.proto for link in at.main.get("page_link")]
    assert links[-1].label.startswith("Next: ")
    assert not closed & {link.page for link in links}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.usefixtures("root")
def test_privately_no_page_says_so(page: str, monkeypatch):
    monkeypatch.setenv(public.VARIABLE, "0")
    found_runs.clear()
    at = open_page(page)
    assert_alive(at)
    assert "Public demo" not in texts(at)
    if page == "train":
        assert "bolt-1" in texts(at)


def test_what_is_off_is_refused_by_the_functions_themselves(root: Path, monkeypatch):
    monkeypatch.setenv(public.VARIABLE, "1")
    found_runs.clear()
    runs = workspace.runs_folder()
    attempts = (
        lambda: workspace.add_folder(root),
        lambda: workspace.remove_folder(root),
        lambda: jobs.enqueue(runs / "x", ["finetune", "--help"], "cpu"),
        lambda: jobs.queue().stop(runs / "bolt-1"),
        lambda: data_cache.clear(KINDS[0]),
        lambda: workshop().start(
            Wanted(open_dataset(root).category("part"), "resnet18", "random", PatchCoreSettings())
        ),
    )
    for attempt in attempts:
        with pytest.raises(CutSwapError, match="public demo"):
            attempt()
    assert workspace.folders() == ()
    assert found_runs(runs).runs == ()
    assert (runs / "bolt-1" / "settings.json").is_file()


def test_uploads_are_not_scored_though_they_lie_in_the_cache(
    tmp_path: Path, root: Path, monkeypatch
):
    """The demo lies there too and may be scored; a visitor's pictures are a minute for each."""
    monkeypatch.setenv(public.VARIABLE, "1")
    monkeypatch.setattr(type(workshop()), "_run", lambda *_: None)
    for place in ("uploads/session1/my_parts", "uploads/session1/my_parts/deeper"):
        home = tmp_path / "cache" / place
        shutil.copytree(root / "part", home, dirs_exist_ok=True)
        wanted = Wanted(open_dataset(home).category(), "resnet18", "random", PatchCoreSettings())
        with pytest.raises(CutSwapError, match="public demo"):
            workshop().start(wanted)


class Line:
    """Visitors' evaluations, one seed each, that go on until they are let go."""

    def __init__(self, category: Category) -> None:
        self.shop, self.category, self.over = Workshop(), category, threading.Event()
        self.begun: list[int] = []

    def wanted(self, seed: int, **settings: Any) -> Wanted:
        return Wanted(self.category, "resnet18", "random", PatchCoreSettings(**settings), seed=seed)

    def error(self, seed: int, **settings: Any) -> str:
        return str(self.shop._works[self.wanted(seed, **settings).key].error or "")

    def compute(self, wanted: Wanted, _backbone: object, _out: Path, notify: Any) -> None:
        self.begun.append(wanted.seed)
        while not self.over.wait(0.02):
            notify("embedding", 1, 2)


@pytest.fixture
def line(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A workshop of its own in public mode."""
    monkeypatch.setenv(public.VARIABLE, "1")
    demo = tmp_path / "cache" / "demo"
    shutil.copytree(root, demo)
    made = Line(open_dataset(demo).category("part"))
    monkeypatch.setattr(evaluations, "_compute", made.compute)
    yield made
    made.over.set()
    for work in made.shop._works.values():
        if work.thread is not None:
            work.thread.join(30)


def test_strangers_wait_in_a_short_line_and_are_told_their_place(line: Line):
    for seed in range(public.MOST_WAITING):
        line.shop.start(line.wanted(seed))
        assert line.shop.ahead(line.wanted(seed).key) == seed
    line.shop.start(line.wanted(99))
    assert "at most 4 evaluations at a time" in line.error(99)
    line.shop.start(line.wanted(1))  # the same again takes no place
    assert line.error(1) == ""
    until(lambda: line.begun == [0])


@pytest.mark.parametrize("settings", [{"image_size": 512}, {"coreset": 0.25}])
def test_strangers_get_no_large_evaluation(line: Line, settings: dict[str, Any]):
    line.shop.start(line.wanted(0, **settings))
    assert "at most 256 pixels" in line.error(0, **settings)
    assert line.begun == []


def test_what_nobody_waits_for_any_more_is_given_up(line: Line, monkeypatch):
    """Thirty links were opened and closed, and an honest visitor waited 150 s in vain."""
    monkeypatch.setattr(public, "LEFT", 600.0)
    for seed in range(3):
        line.shop.start(line.wanted(seed))
    for seed in (0, 1):  # their tabs were closed long ago
        line.shop._works[line.wanted(seed).key].asked -= 3600
    honest = line.wanted(2).key

    def looks() -> bool:
        line.shop.of(honest)
        return 2 in line.begun

    until(looks)
    assert line.begun == [0, 2]  # the second had gone before its turn came
    for seed in (0, 1):
        assert "its tab was closed" in line.error(seed)


def test_in_an_app_of_ones_own_work_goes_on_without_its_page(line: Line, monkeypatch):
    monkeypatch.delenv(public.VARIABLE)
    monkeypatch.setattr(public, "LEFT", 0.0)
    for seed in range(public.MOST_WAITING + 1):
        line.shop.start(line.wanted(seed, image_size=512))
    until(lambda: line.begun == [0])
    assert all(work.is_running for work in line.shop._works.values())


@pytest.mark.parametrize(
    "large",
    [
        {"backbone": "wide_resnet50_2", "layers": ("layer2",)},
        {"photo": PhotoKey(Path("none"), 0, 512)},
        {"layers": tuple(map(str, range(9)))},
    ],
    ids=["network", "pixels", "layers"],
)
def test_strangers_get_no_large_maps(large: dict[str, Any], monkeypatch):
    """With all of these, eight sessions took 7.5 GB."""
    key = SaliencyKey(PhotoKey(Path("none"), 0, 256), "vgg16", "embedded", ("4", "9"))
    monkeypatch.setenv(public.VARIABLE, "1")
    with pytest.raises(CutSwapError, match="at most 8 layers and 256 pixels"):
        caches.explained(dataclasses.replace(key, **large))


def test_strangers_maps_are_computed_one_at_a_time(monkeypatch):
    monkeypatch.setenv(public.VARIABLE, "1")
    at_once, most = [0], []

    def visit() -> None:
        with public.turn("vgg16", ("4",), 256):
            at_once[0] += 1
            most.append(at_once[0])
            time.sleep(0.01)
            at_once[0] -= 1

    visitors = [threading.Thread(target=visit) for _ in range(6)]
    for one in visitors:
        one.start()
    for one in visitors:
        one.join()
    assert most == [1] * 6


@pytest.mark.parametrize(
    ("page", "query", "offered"),
    [
        ("saliency", {"net": "wide_resnet50_2", "size": "512"}, {"128", "192", "256"}),
        ("negatives", {"size": "512"}, {"128", "192", "256"}),
        ("inspect_heatmaps", {"coreset": "0.25", "pcsize": "512"}, {"64", "128", "192", "256"}),
    ],
)
def test_a_link_asks_strangers_for_no_more_than_is_offered(page, query, offered, root, monkeypatch):
    shared_demo(root, monkeypatch)
    monkeypatch.setenv(public.VARIABLE, "1")
    monkeypatch.setattr(type(workshop()), "start", lambda *_: None)
    found_runs.clear()
    at = open_page(page, **query)
    assert_alive(at)
    options = {o for box in at.selectbox if "Image side" in box.label for o in box.options}
    assert options == offered
    every = {o for box in at.selectbox for o in box.options}
    assert not every & {"wide_resnet50_2", "25.00%", "25%"}


@pytest.mark.usefixtures("root")
def test_uploads_are_small(monkeypatch):
    monkeypatch.setenv(public.VARIABLE, "1")
    found_runs.clear()
    at = open_page("data")
    stream = io.BytesIO()
    Image.fromarray(photo_of(0, (48, 64))).save(stream, format="PNG")
    sound = stream.getvalue()
    files = [(f"{i}.png", sound + bytes([i]), "image/png") for i in range(public.LIMITS.files + 1)]
    files.append(("large.png", sound + bytes(public.LIMITS.file_bytes), "image/png"))
    at.get("file_uploader")[0].set_value(files).run()
    (use,) = [b for b in at.button if b.label == "Use these pictures"]
    use.click().run()
    assert_alive(at)
    assert f"photos: {public.LIMITS.files}" in texts(at)
    assert f"more than {public.LIMITS.files} pictures" in texts(at)
