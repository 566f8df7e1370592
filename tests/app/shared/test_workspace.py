"""Nothing outside the allowed roots is read, listed or deleted, however the path is written.

The holes of others, tried here: MLflow's artifact route (CVE-2024-1558: `..` behind an encoding),
Gradio's file route (CVE-2023-51449: absolute paths and links inside an allowed folder).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from app.data import disk as data_cache
from app.data import folders as data_folders
from app.inspect_heatmaps import caches as inspect_caches
from app.shared import workspace
from app.shared import workspace as roots
from app.shared.selection import found_runs
from app.uploads.photos import Upload
from app.uploads.store import store_images, sweep_uploads, uploads_folder
from cutswap.data.datasets import open_dataset
from cutswap.data.images import save_png
from cutswap.errors import CutSwapError
from cutswap.utils.files import cache_folder, write_json
from cutswap.utils.processes import Process, this_process
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.scored import build_parts, score_parts
from tests.helpers.small_photos import photo_of
from tests.robustness.hostile_pictures import sound


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data_folders.counts.clear()
    data_cache.sizes.clear()
    made = small_app(tmp_path, monkeypatch)
    save_png(tmp_path / "secret" / "private.png", photo_of(5, (64, 64)))
    return made


def spelled(root: Path) -> dict[str, str]:
    """The folder `secret` beside the allowed one, in every spelling."""
    secret = root.parent / "secret"
    (root / "link").symlink_to(secret)
    return {
        "dots": f"{root}/../secret",
        "absolute": str(secret),
        "encoded": f"{root}/%2e%2e/secret",
        "encoded twice": f"{root}/%252e%252e/secret",
        "a link": str(root / "link"),
        "through a link": f"{root}/link/.",
        "a file URL": f"file://{secret}",
        "UNC": f"\\\\host\\share{secret}",
        "backslashes": f"{root}\\..\\secret",
        "a home": "~root",
        "a prefix of the name": str(root) + "-not",
    }


WAYS = tuple(
    (
        "dots",
        "absolute",
        "encoded",
        "encoded twice",
        "a link",
        "through a link",
        "a file URL",
        "UNC",
        "backslashes",
        "a home",
        "a prefix of the name",
    )
)


@pytest.mark.parametrize("way", WAYS)
def test_a_path_out_of_the_roots_is_refused_and_not_remembered(way: str, root: Path, monkeypatch):
    monkeypatch.setenv(roots.VARIABLE, str(root))
    text = spelled(root)[way]
    Path(f"{root}-not").mkdir()
    save_png(Path(f"{root}-not") / "x.png", photo_of(1, (64, 64)))
    with pytest.raises(CutSwapError):
        workspace.add_folder(Path(text))
    assert workspace.folders() == (root,)
    at = open_page("data")
    (field,) = [t for t in at.text_input if t.label == "Data folder"]
    field.set_value(text).run()
    assert_alive(at)
    assert at.error
    assert "private" not in texts(at)
    assert not [b for b in at.button if b.label == "Add this folder"]


@pytest.mark.parametrize("way", ["dots", "absolute", "a link"])
def test_without_roots_the_user_may_name_any_folder(way: str, root: Path, monkeypatch):
    monkeypatch.delenv(roots.VARIABLE, raising=False)
    assert workspace.add_folder(Path(spelled(root)[way])).layout == "images"


def test_several_roots_and_remembered_folders(root: Path, monkeypatch):
    secret = root.parent / "secret"
    monkeypatch.setenv(roots.VARIABLE, os.pathsep.join([str(root), str(secret)]))
    workspace.add_folder(secret)
    assert workspace.folders() == (root, secret)
    monkeypatch.setenv(roots.VARIABLE, str(root))  # what was remembered before is no way round
    assert workspace.folders() == (root,)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["cat", "img", "run", "eval", "beside"])
def test_paths_in_the_link_are_names_and_nothing_else(name: str, way: str, root: Path):
    """URL parameters choose among what is listed; a path is never made of them."""
    if name in ("eval", "beside") and way not in ("dots", "encoded", "a file URL"):
        pytest.skip("one page load each is enough for the knobs")
    text = spelled(root)[way]
    (root / "link").unlink()
    page = "inspect_heatmaps" if name in ("eval", "beside") else "data"
    at = open_page(page, **{name: text})
    assert_alive(at)
    assert "private" not in texts(at)
    assert at.session_state["selection"].category.root.is_relative_to(root)


def test_links_inside_a_data_set_are_not_followed(root: Path):
    secret = root.parent / "secret"
    (root / "part/train/good/zzz.png").symlink_to(secret / "private.png")
    (root / "nut/train").mkdir(parents=True)
    (root / "nut/train/good").symlink_to(secret)
    (root / "whole").symlink_to(secret)
    dataset = open_dataset(root)
    assert dataset.categories == ("nut", "part")
    with pytest.raises(CutSwapError, match="good photos to learn from"):
        dataset.category("nut")
    for record in dataset.category("part").train:
        assert "private" not in record.image.resolve().name


def test_an_evaluation_cannot_name_photos_elsewhere(root: Path, tmp_path: Path):
    """result.json says where its photos lie; only the category on the screen is believed."""
    elsewhere = build_parts(tmp_path / "elsewhere")
    made = score_parts(elsewhere, tmp_path / "runs" / "scored")
    mine = open_dataset(root).category("part")
    found = inspect_caches.scored(made.folder, mine)
    assert found.records is None
    assert found.lost is not None
    inspect_caches._scored.clear()
    right = inspect_caches.scored(made.folder, made.checked.category)
    assert right.records is not None
    assert np.array_equal(found.scores, right.scores)


@pytest.mark.usefixtures("root")
def test_runs_behind_links_are_not_listed_and_names_do_not_leave(tmp_path: Path):
    from tests.helpers.runs import write_run

    write_run(tmp_path / "outside" / "bolt")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(tmp_path / "outside" / "bolt")
    found_runs.clear()
    found = found_runs(tmp_path / "runs")
    assert found.runs == ()
    assert found.not_followed == ("linked",)
    from cutswap.runs.edits import delete_run

    for run in (
        tmp_path / "runs" / "linked",
        tmp_path / "runs/../outside/bolt",
        tmp_path / "outside" / "bolt",
    ):
        with pytest.raises(CutSwapError):
            delete_run(tmp_path / "runs", run, lambda _: False)
    assert (tmp_path / "outside" / "bolt" / "settings.json").is_file()


@pytest.mark.usefixtures("root")
def test_uploads_of_an_ended_app_go_at_the_next_start():
    store_images("a" * 32, [Upload("x.png", sound()["rgb.png"])])
    store_images("b" * 32, [Upload("x.png", sound()["rgb.png"])])
    index = uploads_folder() / ("b" * 32) / "my_images" / "index.json"
    values = json.loads(index.read_text())
    values["by"] = Process(2**22 - 1, "another start", this_process().host).to_dict()
    write_json(index, values)
    assert sweep_uploads() == 1
    assert [p.name for p in uploads_folder().iterdir()] == ["a" * 32]
    assert uploads_folder().is_relative_to(cache_folder())
