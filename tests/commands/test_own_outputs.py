"""No command replaces a file that it did not write, and nothing old of ours stays among the new."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from cutswap.commands.own_outputs import WRITTEN_BY, claim
from cutswap.commands.parser import main
from cutswap.errors import CutSwapError
from cutswap.utils.folder_names import WRITTEN
from tests.helpers.datasets import build_category, noise_photo, write_image

SIDE = 64
LOOK = ["--backbone", "squeezenet1_0", "--weights", "random", "--image-size", str(SIDE), "--quiet"]
# Commands as typed; {data} has the categories bolt and nut, {tmp} holds scored/ of bolt.
SALIENCY = ["saliency", "photo.png", *LOOK, "--layers", "4,12"]
AUGMENT = ["augment", "photo.png", "--method", "cutpaste", "--image-size", str(SIDE), "--quiet"]
EVALUATE = [
    *("evaluate", "--data", "data", "--weights", "random", "--coreset", "1"),
    *("--image-size", str(SIDE), "--quiet"),
]
BOLT, NUT = ["--category", "bolt"], ["--category", "nut"]
MAPS = ["export", "maps", "--evaluation", "scored", "--quiet"]
QUALITY = [
    *("quality", "--data", "data", *BOLT, "--methods", "cutpaste", "--per-photo", "1"),
    *("--image-size", str(SIDE), "--quiet"),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a photo and a data set."""
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "here"
    write_image(folder / "photo.png", noise_photo(0, (SIDE, SIDE)))
    for name in ("bolt", "nut"):
        build_category(folder / "data" / name, train=4)
    monkeypatch.chdir(folder)
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# Row: a file of somebody else is not replaced

IN_THE_WAY = [
    (SALIENCY, "input.png"),
    (SALIENCY, "overlay_fused.png"),
    (SALIENCY, "overlay_12.png"),
    (SALIENCY, "saliency.npz"),
    (AUGMENT, "positive.png"),
    (AUGMENT, "negative_007.png"),
    (AUGMENT, "record.json"),
    ([*AUGMENT, "--weak-jitter", "0.1"], "positive_003.png"),
    ([*EVALUATE, *BOLT], "result.json"),
    ([*EVALUATE, *BOLT], "heatmaps/crack_001.png"),
    ([*EVALUATE, *BOLT], "bank.safetensors"),
    (QUALITY, "quality.csv"),
]


@pytest.mark.parametrize(("command", "name"), IN_THE_WAY)
def test_a_file_of_another_origin_is_in_the_way(here: Path, capsys, command, name: str):
    write_image(here / "mine.png", noise_photo(1))
    (here / name).parent.mkdir(exist_ok=True)
    (here / "mine.png").rename(here / name)
    before = contents(here)
    assert main([*command, "--out", "."]) == 2
    assert contents(here) == before
    said = capsys.readouterr().err
    assert name in said
    assert "did not write" in said
    assert "move the file away" in said


@pytest.mark.parametrize("way", [".", "x/..", "link", "absolute"])
def test_a_photo_is_not_replaced_by_its_own_saliency(here: Path, capsys, way: str):
    """The issue's own case: a photo called as an output, in the folder that is written into."""
    write_image(here / "input.png", noise_photo(2, (300, 500)))
    (here / "x").mkdir()
    (here / "link").symlink_to(here)
    before = (here / "input.png").read_bytes()
    out = str(here) if way == "absolute" else way
    assert main([*SALIENCY[:1], "input.png", *SALIENCY[2:], "--out", out]) == 2
    assert (here / "input.png").read_bytes() == before
    assert "input.png" in capsys.readouterr().err


def test_a_link_in_the_way_is_not_replaced_either(here: Path):
    (here / "out").mkdir()
    (here / "out" / "positive.png").symlink_to("gone")
    assert main([*AUGMENT, "--out", "out"]) == 2
    assert (here / "out" / "positive.png").readlink() == Path("gone")


def test_the_results_of_a_run_are_not_replaced_by_an_evaluation(here: Path):
    (here / "run").mkdir()
    for name in ("settings.json", "environment.json", "result.json"):
        (here / "run" / name).write_text("{}")
    before = contents(here / "run")
    assert main([*EVALUATE, *BOLT, "--out", "run"]) == 2
    assert contents(here / "run") == before


def test_other_files_in_the_folder_are_left_alone(here: Path):
    before = contents(here)
    assert main([*AUGMENT, "--count", "2", "--out", "."]) == 0
    assert main([*AUGMENT, "--count", "1", "--out", "."]) == 0
    after = contents(here)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    "name", ["photo.png", "annotations.json", "list.json", "notes.txt", "one.json"]
)
def test_a_json_result_replaces_no_file_of_another_origin(here: Path, capsys, name: str):
    (here / "annotations.json").write_text(json.dumps({"images": []}, indent=2))
    (here / "list.json").write_text("[]")
    (here / "notes.txt").write_text("note")
    (here / "one.json").write_text('{"written_by": "me"}')
    before = contents(here)
    assert main([*AUGMENT, "--out", "out", "--json", name]) == 2
    assert contents(here) == before  # and nothing was begun
    assert name in capsys.readouterr().err


def test_a_json_result_replaces_earlier_ones_and_empty_files(here: Path):
    (here / "r.json").write_text("")  # as mktemp leaves it
    for command in (["check-data", "--data", "data"], [*AUGMENT, "--out", "out"]):
        assert main([*command, "--quiet", "--json", "r.json"]) == 0
        found = json.loads((here / "r.json").read_text())
        assert next(iter(found)) == WRITTEN_BY
        assert found[WRITTEN_BY] == f"cutswap {command[0]}"


@pytest.mark.parametrize("place", ["data", "photo.png/r.json", "x" * 300, "y" * 300 + "/r.json"])
def test_a_json_result_that_cannot_be_written_is_refused_before_the_work(here, capsys, place: str):
    assert main([*AUGMENT, "--out", "out", "--json", place]) == 2
    assert not (here / "out").exists()
    assert "disk space" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["record.json", "negative_000.png", "../out/record.json"])
def test_a_json_result_is_none_of_the_folder_s_own_files(here: Path, capsys, name: str):
    assert main([*AUGMENT, "--out", "out", "--json", f"out/{name}"]) == 2
    assert not (here / "out").exists()
    assert "--json" in capsys.readouterr().err


def test_a_json_result_goes_into_a_pipe_and_stays_one(here: Path):
    os.mkfifo(here / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((here / "pipe").read_text()), daemon=True)
    reader.start()
    assert main(["check-data", "--data", "data", "--quiet", "--json", "pipe"]) == 0
    reader.join(20)
    assert json.loads(read[0])["layout"] == "mvtec"
    assert stat.S_ISFIFO((here / "pipe").stat().st_mode)


@pytest.mark.parametrize("given", ["--start", "--teacher", "--class-teacher"])
def test_distilling_does_not_replace_what_it_reads(here: Path, capsys, given: str):
    (here / "w.safetensors").write_bytes(b"weights")
    words = ["distill", "--photos", "data", "--student", "resnet18", given, "w.safetensors"]
    assert main([*words, "--out", "./w.safetensors"]) == 2
    assert "which is read" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["s.safetensors", "s.json"])
@pytest.mark.parametrize("content", ["{}", "weights", '{"student": "resnet18", "sha256": "0"}'])
def test_distilling_replaces_only_what_it_wrote(here: Path, capsys, name: str, content: str):
    (here / name).write_text(content)
    before = contents(here)
    words = ["distill", "--photos", "nowhere", "--student", "resnet18", "--class-teacher", "no"]
    assert main([*words, "--out", "s.safetensors"]) == 2
    is_own_card = name == "s.json" and "sha256" in content
    assert ("of another origin" in capsys.readouterr().err) == (not is_own_card)
    assert contents(here) == before


TINY = ["--weights", "random", "--saliency-weights", "random", "--quiet", "--data", "data"]
TINY += ["--saliency-backbone", "squeezenet1_0", "--image-size", str(SIDE)]
STUDIES = {
    "sweep": ["sweep", "--grid", "k=2", "--plan"],
    "reproduce": ["reproduce", "--table", "5", "--plan"],
    "tune": ["tune", *BOLT, "--trials", "1"],
}
MINE = {"by": "somebody"}


@pytest.mark.parametrize(
    ("command", "name", "beside"),
    [
        ("sweep", "results.csv", ()),
        ("sweep", "results.csv", ("cells/photo.png", "cells/solar.json")),
        ("sweep", "sweep.json", ()),
        ("reproduce", "study.csv", ()),
        ("reproduce", "report.html", ("cells/photo.png",)),
        ("tune", "tune.json", ()),
        ("tune", "trials/00001.json", ()),
        ("tune", "trials/00000.json", ("cells/photo.png",)),
    ],
)
def test_sweeps_studies_and_searches_replace_no_file_of_another_origin(
    here: Path, capsys, command, name, beside
):
    for file in (name, *beside):
        (here / file).parent.mkdir(exist_ok=True)
        (here / file).write_text(json.dumps(MINE))
    before = contents(here)
    assert main([*STUDIES[command], *TINY, "--out", "."]) == 2
    assert "of another origin" in capsys.readouterr().err
    assert contents(here) == before


def test_the_table_of_a_sweep_is_its_own(here: Path):
    (here / "results.csv").write_text("ours")
    (here / "cells").mkdir()
    (here / "cells/0123456789abcdef.json").write_text("{}")
    assert main([*STUDIES["sweep"], *TINY, "--out", "."]) == 0


RUN_FILES = {  # what a killed run may leave before its settings, of another origin
    "environment.json": '{"name": "conda"}',
    "photos.json": '{"a.png": "good"}',
    "heartbeat.json": "72 bpm",
    ".lock": "held by another program",
    "features.npy": "mine",
    "settings.json": '{"editor.fontSize": 12}',
    "notes.txt": "mine",
}


@pytest.mark.parametrize("train", ["backbone", "projector"])
@pytest.mark.parametrize("name", RUN_FILES)
def test_a_run_is_begun_beside_no_file_of_another_origin(here: Path, capsys, train, name):
    (here / "out").mkdir()
    (here / "out" / name).write_text(RUN_FILES[name])
    before = contents(here)
    assert main(["finetune", *BOLT, "--train", train, *TINY, "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert name in said
    assert "choose another --out" in said
    assert contents(here) == before  # neither a lock nor a heartbeat


# Row: a folder's contents belong to one command


def listed(folder: Path) -> set[str]:
    return set(json.loads((folder / WRITTEN).read_text())["files"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([*AUGMENT, "--count", "8"], [*AUGMENT, "--count", "2"]),
        ([*AUGMENT, "--weak-jitter", "0.1", "--count", "3"], [*AUGMENT, "--count", "3"]),
        (SALIENCY, [*SALIENCY[:-1], "4"]),
        ([*EVALUATE, *BOLT], [*EVALUATE, *NUT]),
        (QUALITY, QUALITY),
        (MAPS, [*MAPS, "--heatmap-size"]),
    ],
    ids=["count", "weak jitter", "layers", "category", "quality", "maps"],
)
def test_the_second_time_a_folder_is_as_if_it_were_new(here: Path, first, second):
    build_category(here / "data" / "nut", train=4, test={"good": 1, "hole": 2})
    shutil.rmtree(here / "data/nut/test/crack")
    assert main([*EVALUATE, *BOLT, "--out", "scored"]) == 0
    assert main([*first, "--out", "twice"]) == 0
    assert main([*second, "--out", "twice"]) == 0
    assert main([*second, "--out", "once"]) == 0
    twice, once = contents(here / "twice"), contents(here / "once")
    assert set(twice) == set(once)
    pictures = [name for name in once if name.endswith((".png", ".npy", ".csv", ".tiff"))]
    assert [twice[n] for n in pictures] == [once[n] for n in pictures]
    empty = [p for p in (here / "twice").rglob("*") if p.is_dir() and not any(p.iterdir())]
    assert empty == []


@pytest.mark.parametrize(
    "command",
    [
        SALIENCY,
        SALIENCY[:-2],
        AUGMENT,
        [*AUGMENT, "--weak-jitter", "0.1", "--count", "1"],
        [*EVALUATE, *BOLT],
        QUALITY,
    ],
    ids=["saliency", "all layers", "augment", "weak jitter", "evaluate", "quality"],
)
def test_what_is_claimed_is_what_is_written(here: Path, command):
    """A file that is written and not claimed could replace somebody's."""
    assert main([*command, "--out", "out"]) == 0
    assert set(contents(here / "out")) == listed(here / "out") | {WRITTEN}


def test_maps_of_several_categories_share_a_folder(here: Path):
    for category in (BOLT, NUT):
        assert main([*EVALUATE, *category, "--out", f"scored/{category[1]}"]) == 0
        line = ["export", "maps", "--evaluation", f"scored/{category[1]}", "--quiet"]
        assert main([*line, "--out", "maps"]) == 0
    found = [name for name in contents(here / "maps") if name.endswith(".tiff")]
    assert len(found) == 10
    for category in ("bolt", "nut"):
        place = here / "maps/anomaly_maps" / category
        assert set(contents(place)) == listed(place) | {WRITTEN}


@pytest.mark.parametrize(
    ("first", "second"),
    [(AUGMENT, SALIENCY), (SALIENCY, AUGMENT), (AUGMENT, [*EVALUATE, *BOLT])],
    ids=["saliency", "augment", "evaluate"],
)
def test_another_command_s_folder_is_refused(here: Path, capsys, first, second):
    assert main([*first, "--out", "out"]) == 0
    before = contents(here / "out")
    assert main([*second, "--out", "out"]) == 2
    assert f"one that cutswap {first[0]} wrote" in capsys.readouterr().err
    assert contents(here / "out") == before


@pytest.mark.parametrize("name", ["negative_000.png", "negative_001.png", "record.json"])
def test_a_file_that_was_changed_since_is_somebody_s(here: Path, capsys, name: str):
    """Whether the next command would replace it or would delete it."""
    assert main([*AUGMENT, "--count", "2", "--out", "out"]) == 0
    (here / "out" / name).write_bytes(b"edited by hand")
    before = contents(here / "out")
    assert main([*AUGMENT, "--count", "1", "--out", "out"]) == 2
    assert f"{name}: " in capsys.readouterr().err
    assert contents(here / "out") == before


def test_what_was_deleted_by_hand_is_written_again(here: Path):
    assert main([*AUGMENT, "--count", "2", "--out", "out"]) == 0
    (here / "out" / "negative_000.png").unlink()
    assert main([*AUGMENT, "--count", "2", "--out", "out"]) == 0
    assert (here / "out" / "negative_000.png").exists()


# The list itself


def write_some(folder: Path, *names: str) -> None:
    with claim(folder, "try", names).writing():
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("ours")


@pytest.mark.parametrize("times", [1, 2])
def test_what_a_stopped_command_left_does_not_bar_the_next(tmp_path: Path, times: int):
    out = tmp_path / "out"
    write_some(out, "a", "old")

    def stop_halfway() -> None:
        with claim(out, "try", ["a", "b", "c/d"]).writing():
            (out / "a").write_text("half of it")
            (out / "b").write_text("new")
            raise KeyboardInterrupt

    for _ in range(times):
        with pytest.raises(KeyboardInterrupt):
            stop_halfway()
    write_some(out, "c/d")
    assert set(contents(out)) == {WRITTEN, "c/d"}


def test_what_a_killed_command_left_does_not_bar_the_next(tmp_path: Path):
    out = tmp_path / "out"
    write_some(out, "a", "old")
    writing = claim(out, "try", ["a", "b"]).writing()
    writing.__enter__()  # and never ends
    (out / "a").write_text("another length")
    (out / "b").write_text("new")
    write_some(out, "c")
    assert set(contents(out)) == {WRITTEN, "c"}


def test_a_file_that_came_during_the_work_is_kept(tmp_path: Path):
    found = claim(tmp_path / "out", "try", ["a"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("mine")
    with pytest.raises(CutSwapError, match="did not write"), found.writing():
        raise AssertionError("never begun")
    assert (tmp_path / "out" / "a").read_text() == "mine"


OUTSIDE = ["../mine", "x/../../mine", "{tmp}/mine", "link/mine", "..", ".", "", "x/.."]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_list_that_names_files_outside_deletes_nothing(tmp_path: Path, name: str):
    """A folder may come from somebody else, and its list with it."""
    (tmp_path / "elsewhere").mkdir()
    for place in ("mine", "elsewhere/mine"):
        (tmp_path / place).write_text("mine")
    write_some(tmp_path / "out", "a")
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    files = {name.format(tmp=tmp_path): None}
    about = {WRITTEN_BY: "cutswap try", "files": files}
    (tmp_path / "out" / WRITTEN).write_text(json.dumps(about))
    before = contents(tmp_path)
    with pytest.raises(CutSwapError, match="the list of what was written"):
        claim(tmp_path / "out", "try", ["a"])
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "[]", "{}", '{"written_by": "cutswap try"}', '{"files": {}}']
    + [f'{{"written_by": "cutswap try", "files": {v}}}' for v in ("1", '{"a": 1}', '{"a": [1]}')],
)
def test_a_damaged_list_is_refused(tmp_path: Path, text: str):
    write_some(tmp_path, "a")
    (tmp_path / WRITTEN).write_text(text)
    with pytest.raises(CutSwapError, match=r"\.cutswap\.json"):
        claim(tmp_path, "try", ["a"])


@pytest.mark.parametrize("name", ["x" * 256, "a/" + "é" * 128, "日" * 86 + "/b"])
def test_names_too_long_are_met_before_the_work(tmp_path: Path, name: str):
    with pytest.raises(CutSwapError, match="at most 255 bytes"):
        claim(tmp_path, "try", ["fine", name])
