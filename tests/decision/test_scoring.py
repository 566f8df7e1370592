"""Photos that come in: a line each, heatmaps in their sub-folders, nothing of others replaced."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutswap.data.images import read_photo
from cutswap.data.reading import ReadingSettings
from cutswap.decision.decision import Decision
from cutswap.decision.incoming import list_photos, need_folder
from cutswap.decision.open_detector import OpenDetector
from cutswap.decision.score_table import COLUMNS, ScoredPhoto, read_table
from cutswap.decision.scoring import DRIFT_PHOTOS, FolderScorer, score_once, watch
from cutswap.errors import CutSwapError
from tests.helpers.datasets import write_image

SIDE = 16
GOOD = np.linspace(0.1, 0.5, 19, dtype=np.float32)


def brightness(photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A detector to whom bright is defective: scores in [0, 1], and the photos as heatmaps."""
    heatmaps = photos.mean(axis=-1, dtype=np.float32) / 255
    return heatmaps.mean(axis=(1, 2)), heatmaps


DETECTOR = OpenDetector(
    folder=Path("detector"),
    identity="one",
    category="bolt",
    image_size=SIDE,
    reading=ReadingSettings(),
    threshold=0.5,
    how="by hand",
    decision=Decision.of("bolt", "bank", GOOD, 0.1, "by hand"),
    range=(0.0, 1.0),
    scores_of=brightness,
)


def shade(path: Path, level: int, size: tuple[int, int] = (20, 30)) -> Path:
    """A photo of one grey: its score is level / 255."""
    return write_image(path, np.full((*size, 3), level, np.uint8))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    shade(folder / "b10.png", 51)
    shade(folder / "b9.jpg", 204)
    shade(folder / "left/a.png", 102)
    shade(folder / "left/deep/a.png", 255)
    shade(folder / "left/a.bmp", 0)
    return folder


def lines_of(scorer: FolderScorer) -> dict[str, ScoredPhoto]:
    scorer.begin(scorer.need_same(watch=False), watch=False)
    return {line.name: line for lines in score_once(scorer) for line in lines}


def test_names_scores_p_values_and_verdicts(photos: Path, tmp_path: Path):
    out = tmp_path / "out"
    lines = lines_of(FolderScorer(DETECTOR, photos, out))
    assert list(lines) == ["b9.jpg", "b10.png", "left/a.bmp", "left/a.png", "left/deep/a.png"]
    assert [line.verdict for line in lines.values()] == [
        "defective", "good", "good", "good", "defective",
    ]  # fmt: skip
    assert lines["left/a.png"].score == pytest.approx(0.4)
    assert lines["left/a.png"].p_value == 6 / 20  # five good ones score as high or higher
    assert lines["left/deep/a.png"].p_value == 1 / 20
    assert read_table(out / "scores.csv") == list(lines.values())
    rows = list(csv.reader((out / "scores.csv").open()))
    assert tuple(rows[0]) == COLUMNS
    assert float(rows[2].pop(1)) == pytest.approx(0.2)
    assert rows[2][:4] == ["b10.png", "0.75", "good", "0.5"]
    drawn = sorted(p.relative_to(out).as_posix() for p in (out / "heatmaps").rglob("*.png"))
    assert drawn == sorted(f"heatmaps/{name}.png" for name in lines)
    assert read_photo(out / "heatmaps/left/a.png.png").shape == (SIDE, SIDE, 3)


BAD: dict[str, Callable[[Path], object]] = {
    "cut.png": lambda p: p.write_bytes((p.parent / "b10.png").read_bytes()[:60]),
    "empty.jpg": lambda p: p.write_bytes(b""),
    "text.png": lambda p: p.write_text("no picture"),
    "tiny.png": lambda p: shade(p, 9, (4, 4)),
    "gone.png": lambda p: p.symlink_to(p.parent / "nowhere.png"),
    "dark.tiff": lambda p: Image.fromarray(np.full((20, 20), 7.5, np.float32)).save(p),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_has_its_line_and_ends_nothing(photos: Path, tmp_path: Path, name: str):
    BAD[name](photos / name)
    scorer = FolderScorer(DETECTOR, photos, tmp_path / "out")
    lines = lines_of(scorer)
    bad = lines.pop(name)
    assert (bad.score, bad.p_value, bad.verdict) == (None, None, "unreadable")
    assert bad.problem.startswith("expected ")
    assert "\n" not in bad.problem
    assert len(lines) == 5
    assert all(line.score is not None and not line.problem for line in lines.values())
    told = scorer.end(watch=False)
    assert (told["photos"], told["good"], told["defective"], told["unreadable"]) == (6, 3, 2, 1)
    assert json.loads((tmp_path / "out/score.json").read_text()) == told


@pytest.mark.skipif(os.name == "nt", reason="names there are text")
@pytest.mark.parametrize(
    "name", ["=1+1.png", "a\nb.png", 'comma, quote".png', os.fsdecode(b"\xff.png")]
)
def test_odd_names_have_their_line(photos: Path, tmp_path: Path, name: str):
    try:
        shade(photos / name, 51)
    except OSError:
        pytest.skip("this file system has no such name")
    out = tmp_path / "out"
    shown = name.encode("utf-8", "backslashreplace").decode()
    line = lines_of(FolderScorer(DETECTOR, photos, out))[shown]
    assert line.verdict == "good"
    assert line in read_table(out / "scores.csv")
    assert "\n=1" not in (out / "scores.csv").read_text()  # no spreadsheet computes it
    assert (out / f"heatmaps/{shown}.png").is_file()


def test_what_is_no_photo_is_told(photos: Path, tmp_path: Path):
    (photos / "left/notes.txt").write_text("x")
    (photos / ".hidden.png").write_text("x")
    (photos / "link").symlink_to(photos / "left", target_is_directory=True)
    (photos / "linked.png").symlink_to(photos / "b10.png")
    listing = list_photos(photos, tmp_path / "out")
    assert listing.left_out == ("left/notes.txt", "link")
    assert len(listing.photos) == 6


def test_results_inside_the_folder_are_not_scored(photos: Path):
    scorer = FolderScorer(DETECTOR, photos, photos / "out")
    assert len(lines_of(scorer)) == 5
    assert len(list_photos(photos, photos / "out").photos) == 5
    need_folder(photos, photos / "out")
    with pytest.raises(CutSwapError, match="another folder than the photos'"):
        need_folder(photos, photos / "left/..")
    for name in ("nowhere", "b10.png"):
        with pytest.raises(CutSwapError, match="expected a folder of photos"):
            need_folder(photos / name, photos / "out")


@pytest.mark.parametrize(
    "kind", ["a picture", "an edited heatmap", "a link", "a link to nothing", "a folder"]
)
def test_a_heatmap_replaces_nothing_but_ours(photos: Path, tmp_path: Path, kind: str):
    out = tmp_path / "out"
    place = out / "heatmaps/left/a.png.png"
    lines_of(FolderScorer(DETECTOR, photos, out))
    assert not lines_of(FolderScorer(DETECTOR, photos, out))["left/a.png"].problem  # ours
    place.unlink()
    if kind == "a picture":
        shade(place, 1)
    elif kind == "an edited heatmap":  # saved by another program, whose file has no mark
        write_image(place, read_photo(out / "heatmaps/b9.jpg.png"))
    elif kind.startswith("a link"):
        place.symlink_to(out / ("nowhere" if "nothing" in kind else "heatmaps/b9.jpg.png"))
    else:
        place.mkdir()
    before = place.read_bytes() if place.is_file() else None
    line = lines_of(FolderScorer(DETECTOR, photos, out))["left/a.png"]
    assert "no heatmap" in line.problem
    assert line.verdict == "good"
    assert place.is_dir() or (place.read_bytes() if place.is_file() else None) == before
    assert place.is_symlink() == kind.startswith("a link")


def test_scoring_again_leaves_nothing_of_before(photos: Path, tmp_path: Path):
    out = tmp_path / "out"
    lines_of(FolderScorer(DETECTOR, photos, out))
    shutil.rmtree(photos / "left")
    foreign = shade(out / "heatmaps/mine.png", 3)
    shade(out / "heatmaps/left/a.bmp.png", 3)  # in the place of ours
    assert set(lines_of(FolderScorer(DETECTOR, photos, out))) == {"b9.jpg", "b10.png"}
    left = {p.relative_to(out / "heatmaps").as_posix() for p in (out / "heatmaps").rglob("*")}
    assert left == {"b9.jpg.png", "b10.png.png", "mine.png", "left", "left/a.bmp.png"}
    assert foreign.is_file()
    lines_of(FolderScorer(DETECTOR, photos, out, heatmaps=False))
    assert sorted(p.name for p in (out / "heatmaps").iterdir()) == ["left", "mine.png"]


def test_a_name_in_the_table_deletes_nothing_elsewhere(photos: Path, tmp_path: Path):
    out = tmp_path / "out"
    lines_of(FolderScorer(DETECTOR, photos, out))
    other = tmp_path / "other.png"
    shutil.copy(out / "heatmaps/b9.jpg.png", other)  # with our mark
    table = out / "scores.csv"
    table.write_text(table.read_text().replace("b9.jpg", "../../other"))
    lines_of(FolderScorer(DETECTOR, photos, out))
    assert other.is_file()


# Watching


def watching(scorer: FolderScorer, looks: list[Callable[[], object]]) -> list[list[str]]:
    """Names scored in each look; between two looks something happens, after the last it ends."""
    scored: list[list[str]] = [[]]
    todo = list(looks)

    def pause(_: float) -> None:
        if todo:
            todo.pop(0)()
            scored.append([])
        else:
            todo.append(lambda: None)  # the mark of the end

    def stop() -> bool:
        return len(scored) == len(looks) + 1 and bool(todo)

    before = scorer.need_same(watch=True)
    scorer.begin(before, watch=True)
    for lines in watch(scorer, before, stop, pause=pause):
        scored[-1] += [line.name for line in lines]
    scorer.end(watch=True)
    return scored


def nothing() -> None:
    """Between two looks."""


def test_a_photo_is_scored_once_it_has_stopped_growing(tmp_path: Path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    whole = shade(tmp_path / "whole.png", 51).read_bytes()
    photo = folder / "sub/a.png"

    def grow(to: int) -> Callable[[], object]:
        def write() -> None:
            photo.parent.mkdir(exist_ok=True)
            photo.write_bytes(whole[:to])

        return write

    scorer = FolderScorer(DETECTOR, folder, out)
    steps = [grow(20), grow(50), grow(len(whole)), nothing, nothing]
    assert watching(scorer, steps) == [[], [], [], [], ["sub/a.png"], []]
    (line,) = read_table(out / "scores.csv")
    assert line.verdict == "good"
    assert scorer.tally.unreadable == 0


def test_watching_goes_on_where_it_stopped(photos: Path, tmp_path: Path):
    out = tmp_path / "out"
    first = watching(FolderScorer(DETECTOR, photos, out), [nothing])
    assert [len(names) for names in first] == [0, 5]
    (photos / "b9.jpg").unlink()  # its line stays: this is a log
    with (out / "scores.csv").open("a") as table:
        table.write("torn.png,0.3,0.")  # as a killed process leaves it
    shade(photos / "new.png", 250)
    os.utime(photos / "left/a.png", ns=(5, 5))  # changed since
    again = watching(FolderScorer(DETECTOR, photos, out), [nothing])
    assert again == [[], ["left/a.png", "new.png"]]
    names = [line.name for line in read_table(out / "scores.csv")]
    assert sorted(names) == sorted([*first[1], "left/a.png", "new.png"])
    assert names[-2:] == ["left/a.png", "new.png"]


def test_the_log_is_not_lost_and_has_one_detector(photos: Path, tmp_path: Path):
    out = tmp_path / "out"
    watching(FolderScorer(DETECTOR, photos, out), [nothing])
    before = (out / "scores.csv").read_text()
    with pytest.raises(CutSwapError, match="the lines that score --watch wrote"):
        FolderScorer(DETECTOR, photos, out).need_same(watch=False)
    other = replace(DETECTOR, identity="two")
    with pytest.raises(CutSwapError, match="scores by another detector or threshold"):
        FolderScorer(other, photos, out).need_same(watch=True)
    assert (out / "scores.csv").read_text() == before


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", ",".join(COLUMNS) + "\nx,y\nz,1,1,good,1,t,\n"])
def test_another_table_is_refused(tmp_path: Path, text: str):
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(CutSwapError, match="expected a table of the columns"):
        read_table(tmp_path / "scores.csv")


def test_drift_is_looked_for_every_hundred_photos(tmp_path: Path):
    rng = np.random.default_rng(0)
    sound, bright = (rng.uniform(*ends, DRIFT_PHOTOS) for ends in ((0.1, 0.5), (0.4, 0.9)))
    for index, level in enumerate([*sound, *bright]):
        shade(tmp_path / f"in/{index}.png", int(255 * level), (8, 8))
    scorer = FolderScorer(DETECTOR, tmp_path / "in", tmp_path / "out", heatmaps=False)
    lines_of(scorer)
    told = scorer.end(watch=False)["drift"]
    assert [(one["photos"], one["is_drift"]) for one in told] == [(100, False), (100, True)]
    assert told[1]["is_higher"] is True
    assert not (tmp_path / "out/heatmaps").exists()
