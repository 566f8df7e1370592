"""The demo set: the same pixels for a seed, masks that tell the truth, complete or absent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cutswap.data.demo import render as demo_data
from cutswap.data.demo import rendering
from cutswap.data.demo.render import DEMO_CATEGORIES, FORMAT, DemoCounts, demo_root, make_demo
from cutswap.data.demo.rendering import Picture, defects_of, render
from cutswap.errors import CutSwapError
from cutswap.utils.files import read_json, sha256_of

ONE_OF_EACH = DemoCounts(train=1, good=1, defective=1)
DEFECTS = [(category, defect) for category in DEMO_CATEGORIES for defect in defects_of(category)]
PICTURES = 4 * 2 + len(DEFECTS)  # in a set with one of each


def blank_render(
    category: str, *, seed: int, split: str, index: int, defect: Any = None
) -> Picture:
    """A stand-in for `render` that takes no time: flat grey, told apart by its arguments."""
    grey = sum(map(ord, f"{category}{split}{defect}")) + index + seed
    mask = np.zeros((256, 256), np.uint8)
    mask[:4, :4] = 255 * (defect is not None)
    return Picture(np.full((256, 256, 3), grey % 256, np.uint8), mask)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "render", blank_render)


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A really rendered set with one picture of everything."""
    return make_demo(tmp_path_factory.mktemp("demo") / "set", counts=ONE_OF_EACH)


def files_below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


# What is painted.


@pytest.mark.parametrize("category", DEMO_CATEGORIES)
def test_a_seed_gives_the_same_pixels_and_another_seed_others(category):
    defect = defects_of(category)[0]
    first, again, other = (
        render(category, seed=seed, split="test", index=3, defect=defect) for seed in (5, 5, 6)
    )
    assert np.array_equal(first.photo, again.photo)
    assert np.array_equal(first.mask, again.mask)
    assert not np.array_equal(first.photo, other.photo)


@pytest.mark.parametrize("category", DEMO_CATEGORIES)
def test_pictures_of_a_category_differ_but_look_alike(category):
    names = [("train", 0), ("train", 1), ("test", 0)]
    photos = [render(category, seed=0, split=s, index=i).photo.astype(float) for s, i in names]
    for one, two in ((0, 1), (0, 2)):
        assert np.abs(photos[one] - photos[two]).mean() > 2
        assert np.abs(photos[one].mean((0, 1)) - photos[two].mean((0, 1))).max() < 40
    for photo in photos:  # exposed like a photograph: neither flat nor clipped
        assert photo.std() > 8
        assert np.mean((photo == 0) | (photo == 255)) < 0.02


def test_there_are_two_textures_and_two_objects_with_three_defects_or_more():
    assert len(DEMO_CATEGORIES) == len(set(DEMO_CATEGORIES)) == 4
    for category in DEMO_CATEGORIES:
        assert len(set(defects_of(category))) >= 3


@pytest.mark.parametrize(("category", "defect"), DEFECTS)
def test_a_defect_changes_the_clean_picture_inside_its_mask_alone(
    category, defect, monkeypatch: pytest.MonkeyPatch
):
    picture = render(category, seed=1, split="test", index=0, defect=defect)
    # Painted as if there were no flaw, with the randomness that the defective picture had.
    scene = rendering._scene(category)
    real = scene.paint
    monkeypatch.setattr(scene, "paint", lambda arrangement, _flaw: real(arrangement, None))
    monkeypatch.setattr(rendering, "_mask", lambda *_: np.full((256, 256), 255, np.uint8))
    clean = render(category, seed=1, split="test", index=0, defect=defect).photo

    inside = picture.mask == 255
    change = np.abs(picture.photo.astype(int) - clean).max(axis=2)
    assert set(np.unique(picture.mask)) == {0, 255}
    assert 40 <= inside.sum() < 0.2 * inside.size
    assert change[~inside].max() == 0
    # Visible, though a few pixels inside may be as they were: the mask has no pinholes.
    assert np.mean(change[inside] >= rendering.NOTICEABLE) > 0.6


@pytest.mark.parametrize(
    ("category", "defect"), [("teapot", None), ("hex_nut", "melancholy"), ("../hex_nut", None)]
)
def test_unknown_names_are_refused(category, defect):
    with pytest.raises(CutSwapError, match="expected a (category|defect) among"):
        render(category, seed=0, split="test", index=0, defect=defect)


def test_a_defect_that_cannot_be_seen_is_an_error_not_an_endless_search(monkeypatch):
    monkeypatch.setattr(rendering, "_mask", lambda *_: np.zeros((256, 256), np.uint8))
    monkeypatch.setattr(rendering, "ATTEMPTS", 2)
    with pytest.raises(CutSwapError, match="a fainter one in 2 attempts"):
        render("leather", seed=0, split="test", index=0, defect="cut")


# The set on disk.


def test_the_layout_is_mvtec_ads(tiny_set):
    expected = {"manifest.json", "license.txt"}
    for category in DEMO_CATEGORIES:
        expected |= {f"{category}/train/good/000.png", f"{category}/test/good/000.png"}
        for defect in defects_of(category):
            expected.add(f"{category}/test/{defect}/000.png")
            expected.add(f"{category}/ground_truth/{defect}/000_mask.png")
    assert files_below(tiny_set) == expected


def test_files_hold_the_rendered_pixels(tiny_set):
    category, defect = DEFECTS[-1]
    picture = render(category, seed=0, split="test", index=0, defect=defect)
    with Image.open(tiny_set / category / "test" / defect / "000.png") as photo:
        assert (photo.mode, photo.size) == ("RGB", (256, 256))
        assert np.array_equal(np.asarray(photo), picture.photo)
    with Image.open(tiny_set / category / "ground_truth" / defect / "000_mask.png") as mask:
        assert mask.mode == "L"
        assert np.array_equal(np.asarray(mask), picture.mask)


def test_the_manifest_lists_every_file_with_size_and_hash(tiny_set):
    manifest = read_json(tiny_set / "manifest.json")
    assert (manifest["format"], manifest["seed"]) == (FORMAT, 0)
    assert set(manifest["files"]) == files_below(tiny_set) - {"manifest.json"}
    for name, entry in manifest["files"].items():
        path = tiny_set / name
        assert (entry["bytes"], entry["sha256"]) == (path.stat().st_size, sha256_of(path))


@pytest.mark.usefixtures("quick")
def test_one_seed_gives_the_same_bytes_and_progress_counts_every_picture(tmp_path):
    calls: list[tuple[int, int]] = []
    one = make_demo(tmp_path / "one", counts=ONE_OF_EACH, progress=lambda *c: calls.append(c))
    two = make_demo(tmp_path / "two", counts=ONE_OF_EACH)
    other = make_demo(tmp_path / "other", counts=ONE_OF_EACH, seed=1)
    assert read_json(one / "manifest.json") == read_json(two / "manifest.json")
    assert read_json(one / "manifest.json")["files"] != read_json(other / "manifest.json")["files"]
    assert calls == [(n, PICTURES) for n in range(1, PICTURES + 1)]


@pytest.mark.usefixtures("quick")
def test_make_demo_never_touches_a_folder_that_holds_something(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(CutSwapError, match="expected a new or empty folder"):
        make_demo(tmp_path, counts=ONE_OF_EACH)
    with pytest.raises(CutSwapError, match="found a file"):
        make_demo(tmp_path / "mine.txt", counts=ONE_OF_EACH)
    assert files_below(tmp_path) == {"mine.txt"}
    (tmp_path / "empty").mkdir()
    assert files_below(make_demo(tmp_path / "empty", counts=ONE_OF_EACH))


def failing_render(error: Exception) -> Callable[..., Picture]:
    def fail(category: str, **arguments: Any) -> Picture:
        if category == DEMO_CATEGORIES[-1]:
            raise error
        return blank_render(category, **arguments)

    return fail


def test_a_failing_render_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "render", failing_render(RuntimeError("paint is out")))
    with pytest.raises(RuntimeError, match="paint is out"):
        demo_root(cache=tmp_path, counts=ONE_OF_EACH)
    monkeypatch.setattr(rendering, "render", failing_render(OSError(28, "No space left")))
    with pytest.raises(CutSwapError, match="No space left.*CUTSWAP_CACHE"):
        demo_root(cache=tmp_path, counts=ONE_OF_EACH)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_caller_may_stop_from_its_progress(tmp_path):
    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_demo(tmp_path / "set", counts=ONE_OF_EACH, progress=stop)
    assert list(tmp_path.iterdir()) == []


# The cache.


@pytest.mark.usefixtures("quick")
def test_the_cache_argument_wins_over_the_variable_over_the_platform(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _name: str(tmp_path / "platform"))
    monkeypatch.delenv("CUTSWAP_CACHE", raising=False)
    name = f"demo-v{FORMAT}"
    assert demo_root(counts=ONE_OF_EACH) == tmp_path / "platform" / name
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "variable"))
    assert demo_root(counts=ONE_OF_EACH) == tmp_path / "variable" / name
    found = demo_root(cache=tmp_path / "argument", counts=ONE_OF_EACH)
    assert found == tmp_path / "argument" / name


def truncate_one(root: Path) -> None:
    path = root / "leather" / "train" / "good" / "000.png"
    path.write_bytes(path.read_bytes()[:-1])


def edit_manifest(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        manifest = read_json(root / "manifest.json")
        change(manifest)
        (root / "manifest.json").write_text(json.dumps(manifest))

    return edit


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "a photo is missing": lambda root: (root / "chip/test/good/000.png").unlink(),
    "a photo is cut short": truncate_one,
    "no manifest": lambda root: (root / "manifest.json").unlink(),
    "half a manifest": lambda root: (root / "manifest.json").write_text('{"format": 1, "fi'),
    "a manifest of something else": lambda root: (root / "manifest.json").write_text("[1]"),
    "another format": edit_manifest(lambda m: m.update(format=FORMAT + 1)),
    "other counts": edit_manifest(lambda m: m["counts"].update(train=7)),
    "a manifest without files": edit_manifest(lambda m: m["files"].clear()),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_whole_set_is_kept_and_a_damaged_one_made_anew(tmp_path, damage):
    calls: list[int] = []
    root = demo_root(cache=tmp_path, counts=ONE_OF_EACH)
    whole, manifest = files_below(root), read_json(root / "manifest.json")
    demo_root(cache=tmp_path, counts=ONE_OF_EACH, progress=lambda done, _: calls.append(done))
    assert calls == []
    damage(root)
    assert demo_root(cache=tmp_path, counts=ONE_OF_EACH) == root
    assert files_below(root) == whole
    assert read_json(root / "manifest.json") == manifest
    assert demo_data._is_whole(root, ONE_OF_EACH)
    assert list(tmp_path.iterdir()) == [root]


@pytest.mark.parametrize("first_is_whole", [True, False], ids=["whole", "damaged"])
def test_another_process_may_finish_first(tmp_path, monkeypatch, first_is_whole):
    root = tmp_path / f"demo-v{FORMAT}"

    def meanwhile(category: str, **arguments: Any) -> Picture:
        if not root.exists():
            monkeypatch.setattr(rendering, "render", blank_render)
            make_demo(root, counts=ONE_OF_EACH)
            (root / "theirs").touch()
            if not first_is_whole:
                truncate_one(root)
        return blank_render(category, **arguments)

    monkeypatch.setattr(rendering, "render", meanwhile)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert demo_root(cache=tmp_path, counts=ONE_OF_EACH) == root
    assert demo_data._is_whole(root, ONE_OF_EACH)
    assert (root / "theirs").exists() == first_is_whole
    assert list(tmp_path.iterdir()) == [root]


@pytest.mark.usefixtures("quick")
def test_what_a_killed_run_left_is_swept_but_not_a_live_runs_folder(tmp_path, monkeypatch):
    dead, live = (tmp_path / f".demo-v{FORMAT}.{name}.tmp" for name in ("dead", "live"))
    for folder in (dead, live):
        (folder / "chip").mkdir(parents=True)
    now = live.stat().st_mtime
    monkeypatch.setattr("time.time", lambda: now + 10)
    monkeypatch.setattr(demo_data, "_STALE", 5.0)
    os.utime(live, (now + 8, now + 8))
    demo_root(cache=tmp_path, counts=ONE_OF_EACH)
    assert not dead.exists()
    assert live.exists()


def test_a_cache_that_cannot_be_written_is_said_so(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CutSwapError, match="to be able to write the demo set"):
        demo_root(cache=tmp_path / "file" / "below", counts=ONE_OF_EACH)


def test_importing_it_loads_no_imaging_library():
    program = (
        "import sys, cutswap.data.demo.render as d; print(len(d.DEMO_CATEGORIES), "
        "[name for name in ('cv2', 'scipy', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "4 []", done.stderr
