"""What a run began from: notes of older runs, places beside, and what a message names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cutswap.errors import CutSwapError
from cutswap.runs.folder import RunFolder
from cutswap.runs.provenance import free_beside, note_start, place_of, refuse_other_weights
from tests.helpers.runs import write_run

PHOTOS = {f"train/good/{i:03}": f"{i:064x}" for i in range(40)}


def report(sha256: str | None, source: str = "/w/phi.pth") -> dict[str, Any]:
    return {"source": source, "sha256": sha256}


def weights_of(phi: str | None, saliency: str | None = "5" * 64) -> dict[str, Any]:
    return {"phi": report(phi), "saliency": report(saliency, "embedded")}


def begun(folder: Path, weights: dict[str, Any] | None = None) -> RunFolder:
    run = RunFolder(folder)
    assert run.begin({"seed": 0}, {"weights": weights or weights_of("a" * 64)}, PHOTOS) == ""
    return run


def test_a_run_goes_on_from_the_same_start_and_from_no_other(tmp_path: Path):
    run = begun(tmp_path / "run")
    run.begin({"seed": 0}, {"weights": weights_of("a" * 64)}, PHOTOS)
    others = dict.fromkeys(PHOTOS, "f" * 64)
    with pytest.raises(CutSwapError, match=r"40 changed \(train/good/000, .* and 37 more\)"):
        run.begin({"seed": 0}, {"weights": weights_of("a" * 64)}, others)
    with pytest.raises(CutSwapError, match="differs in seed"):
        run.begin({"seed": 1}, {"weights": weights_of("a" * 64)}, PHOTOS)
    with pytest.raises(CutSwapError, match="aaaaaaaaaaaa, found others: /w/phi.pth, bbbbbbbbbbbb"):
        run.begin({"seed": 0}, {"weights": weights_of("b" * 64)}, PHOTOS)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (weights_of(None), weights_of(None)),  # random: the seed decides, and settings have it
        (weights_of("a" * 64, None), weights_of("a" * 64)),
        ({"phi": report("a" * 64), "saliency": None}, weights_of("a" * 64)),
    ],
)
def test_what_has_no_hash_is_compared_by_nobody(was: Any, now: Any, tmp_path: Path):
    refuse_other_weights(begun(tmp_path, was).path, now)


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        (("photos.json",), "its training photos"),
        (("environment.json",), "its starting weights"),
        (("photos.json", "environment.json"), "its training photos and starting weights"),
    ],
)
def test_what_an_older_run_lacks_is_said_once_and_then_noted(lost, named: str, tmp_path: Path):
    run = begun(tmp_path / "run")
    for name in lost:
        (run.path / name).unlink()
    weights = weights_of("b" * 64)
    if "environment.json" not in lost:
        weights = weights_of("a" * 64)
    said = note_start(run.path, PHOTOS, weights)
    assert f"run without noting {named}:" in said
    assert "\n" not in said
    assert note_start(run.path, PHOTOS, weights) == ""
    others = {**PHOTOS, "train/good/007": "f" * 64}
    with pytest.raises(CutSwapError, match="1 changed"):
        run.refuse_other_start({"seed": 0}, others, weights)
    with pytest.raises(CutSwapError, match="others: /w/phi.pth"):
        run.refuse_other_start({"seed": 0}, PHOTOS, weights_of("c" * 64))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"weights": 1}', '{"weights": {"phi": [1]}}'])
def test_an_environment_that_is_none_counts_as_an_older_run(text: str, tmp_path: Path):
    run = begun(tmp_path / "run")
    (run.path / "environment.json").write_text(text)
    assert "starting weights" in note_start(run.path, PHOTOS, weights_of("b" * 64))
    kept = json.loads((run.path / "environment.json").read_text())
    assert kept["weights"]["phi"]["sha256"] == "b" * 64


def test_the_place_beside_is_free_or_of_this_very_run(tmp_path: Path):
    begun(tmp_path / "run")
    start = {"seed": 1}, PHOTOS, weights_of("a" * 64)
    (tmp_path / "run-2").write_text("a file")
    (tmp_path / "run-3").mkdir()
    (tmp_path / "run-3/mine.txt").touch()

    def place() -> str:
        return place_of(tmp_path / "run", lambda p: RunFolder(p).refuse_other_start(*start)).name

    assert place() == "run-4"
    RunFolder(tmp_path / "run-4").begin({"seed": 1}, {"weights": start[2]}, PHOTOS)
    assert place() == "run-4"  # as another process of this run finds it, and the same command later


def test_a_name_beside_is_nobodys(tmp_path: Path):
    run = write_run(tmp_path / "run")
    write_run(tmp_path / "run-2")
    (tmp_path / "run-3.log").touch()
    assert free_beside(run, {tmp_path / "run-4"}).name == "run-5"
