"""CUTSWAP_PUBLIC=1: pages say what is off, and it cannot be done by any way round."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from app.data import disk as data_cache
from app.data import folders as data_folders
from app.data.disk import KINDS
from app.shared import jobs, public, workspace
from app.shared.evaluations import Wanted, workshop
from app.shared.selection import found_runs
from cutswap.config import PatchCoreSettings
from cutswap.data.datasets import open_dataset
from cutswap.errors import CutSwapError
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import write_run
from tests.helpers.small_photos import photo_of

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
