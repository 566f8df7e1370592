"""Files of an evaluation: one heatmap a photo, whatever the photos are called."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.commands.parser import main
from cutswap.data.records import Record
from cutswap.evaluation.evaluate import evaluation_files, heatmap_names
from cutswap.evaluation.scored_set import read_scored
from tests.helpers.datasets import build_category, noise_photo, write_image

EVALUATE = ["evaluate", "--weights", "random", "--coreset", "1", "--image-size", "64", "--quiet"]


def records(*names: str) -> tuple[Record, ...]:
    """Test images of these names, `defect/stem`."""
    return tuple(Record(Path(f"/d/test/{name}.png"), "test", name.split("/")[0]) for name in names)


def test_a_heatmap_is_called_as_its_photo():
    assert heatmap_names(records("good/000", "crack/003")) == ("good_000", "crack_003")


@pytest.mark.parametrize(
    "names",
    [
        ("scratch/deep_000", "scratch_deep/000"),
        ("a_b/c_d", "good/0", "a/b_c_d", "a_b_c/d"),
        ("Crack/000", "crack/000", "CRACK/000"),  # on a disk that takes case for nothing
        ("x/y_0", "x_y/0", "x_y/0-1", "x/y_0-2", "x_y/0-2-"),
        ("x/" + "y" * 240, "x/" + "y" * 250, "x/" + "y" * 239 + "z"),
        ("日" * 80 + "/" + "本" * 80, "日" * 80 + "/" + "本" * 79),
    ],
)
def test_names_of_heatmaps_are_unique_and_short_enough(names: tuple[str, ...]):
    found = heatmap_names(records(*names))
    assert len({name.casefold() for name in found}) == len(names)
    assert max(len(f"{name}.png".encode()) for name in found) <= 255
    for place, name in enumerate(found, start=1):  # which photo it is can still be told
        plain = names[place - 1].replace("/", "_")
        assert name == plain or name.rstrip("-").endswith(f"-{place}")


@given(st.lists(st.tuples(*[st.text("ab_-1Aß", min_size=1, max_size=4)] * 2), unique=True))
def test_all_heatmaps_of_any_names_are_different(pairs: list[tuple[str, str]]):
    found = heatmap_names(records(*(f"{defect}/{stem}" for defect, stem in pairs)))
    assert len({name.casefold() for name in found}) == len(pairs)


@pytest.mark.parametrize(
    "more",
    [
        ("scratch/deep_000", "scratch_deep/000"),
        ("scratch/" + "x" * 236, "scratch/" + "x" * 237),
        ("s" * 255 + "/" + "x" * 251,),
        ("scratch/" + "é" * 118, "scratch/ö 日本"),
    ],
    ids=["nested", "240 bytes", "255 bytes", "not ASCII"],
)
def test_every_photo_gets_its_heatmap(tmp_path: Path, more: tuple[str, ...]):
    folder = build_category(tmp_path / "part", train=3, masks=False)
    for seed, name in enumerate(more):
        write_image(folder / f"test/{name}.png", noise_photo(900 + seed))
    out = tmp_path / "out"
    assert main([*EVALUATE, "--data", str(folder), "--out", str(out)]) == 0
    found = read_scored(out)
    assert len(found.names) == 5 + len(more)
    written = {f"heatmaps/{p.name}" for p in (out / "heatmaps").iterdir()}
    assert len(written) == len(found.names)
    assert written < set(evaluation_files(found.need_records()))
    with (out / "scores.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(found.names)


@pytest.mark.parametrize("stem", ["x" * 251, "é" * 125 + "x", "日" * 83 + "xx"])
def test_maps_that_cannot_have_their_photo_s_name_are_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stem: str
):
    """MVTec's script looks for `<photo>.tiff`, which is a byte longer than `<photo>.png`."""
    folder = build_category(tmp_path / "part", train=3)
    write_image(folder / f"test/good/{stem}.png", noise_photo(900))
    scored, out = tmp_path / "scored", tmp_path / "maps"
    assert main([*EVALUATE, "--data", str(folder), "--out", str(scored)]) == 0
    line = ["export", "maps", "--evaluation", str(scored), "--out", str(out), "--quiet"]
    assert main(line) == 2
    assert "at most 255 bytes" in capsys.readouterr().err
    assert not out.exists()
