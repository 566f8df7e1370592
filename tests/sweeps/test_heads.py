"""Sweeps over heads: axes of their settings, a cell for what decides it, three scores a cell."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cutswap.commands.parser import main
from cutswap.config import (
    HEAD_JITTER,
    HEADS,
    FineTuningSettings,
    HeadSettings,
    PatchCoreSettings,
    TrainingSettings,
)
from cutswap.errors import CutSwapError
from cutswap.sweeps.grid import applied, read_grid, settled
from cutswap.sweeps.store import FolderStore
from tests.helpers.sweeps import TINY, SameProcess, demo

BASE = (FineTuningSettings(), PatchCoreSettings())
HEAD = ["--head-grid", "4", "--head-width", "8", "--head-blocks", "1", "--head-photos", "4"]


def points(*words: str) -> list[FineTuningSettings]:
    return [applied(p, *BASE)[0] for p in read_grid(words)]


def test_a_heads_axes_are_called_as_its_flags():
    (point,) = read_grid(["train=projector", "head_updates=30", "head-layers=layer1+layer2"])
    tuning, patchcore = applied(point, *BASE)
    wanted = HeadSettings(train="projector", updates=30, layers=("layer1", "layer2"))
    assert tuning.head == wanted
    assert patchcore.layers == wanted.layers  # a bank beside it must have the same
    assert tuning.weak.jitter == HEAD_JITTER
    assert points("train=projector", "jitter=0.1")[0].negatives.jitter == 0.1
    assert points("train=projector", "weak_jitter=0.1")[0].weak.jitter == 0.1


@pytest.mark.parametrize("text", ["train=head", "head_updates=0", "head_grid=1", "head_magic=1"])
def test_values_no_head_could_have_are_refused(text: str):
    with pytest.raises(CutSwapError, match="1 problem"):
        read_grid([text])


@pytest.mark.parametrize(
    ("train", "axis", "is_one"),
    [
        ("backbone", "head_updates=100,300", True),
        ("backbone", "epochs=1,2", False),
        ("projector", "epochs=1,2", True),
        ("projector", "learning_rate=0.1,0.2", True),
        ("projector", "head_learning_rate=0.1,0.2", False),
        ("projector", "augment=nsa,cutpaste", False),
        ("projector", "head_scale=places,none", False),
        ("discriminator", "head_scale=places,none", True),
        ("gaussian", "head_scale=places,none", False),
        ("gaussian", "augment=cutswap,nsa", True),
        ("gaussian", "head_updates=100,300", True),
        ("gaussian", "area=0.1+0.2,0.2+0.3", True),
        ("gaussian", "k=1,2", True),
        ("gaussian", "ways=2,3", True),
        ("gaussian", "head_grid=8,16", False),
        ("gaussian", "image_size=128,256", False),
    ],
)
def test_what_nothing_looks_at_makes_no_second_cell(train: str, axis: str, is_one: bool):
    one, other = points(f"train={train}", axis)
    assert (one == other) == is_one


@pytest.mark.parametrize("train", ["backbone", *HEADS])
def test_settled_settings_stay_as_they_are(train: str):
    tuning = FineTuningSettings(
        TrainingSettings(epochs=9, augment="nsa", image_size=128), head=HeadSettings(train=train)
    )
    assert settled(settled(tuning)) == settled(tuning)
    assert settled(tuning).head.train == train
    assert settled(tuning).training.image_size == 128


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("cutswap.commands.sweep.engine_of", lambda _: SameProcess())
    return demo(tmp_path / "data")


def sweep(data: Path, out: Path, *more: str) -> int:
    words = ["sweep", "--data", str(data), "--categories", "hex_nut", "--seeds", "1"]
    return main([*words, "--out", str(out), "--head-updates", "2", *HEAD, *TINY, *more])


@pytest.mark.journey
def test_heads_are_swept_and_a_lost_cell_alone_is_computed_again(data, tmp_path, capsys):
    out, told = tmp_path / "store", tmp_path / "r.json"
    grid = ["--grid", "train=projector,gaussian", "augment=nsa,cutpaste", "--coreset", "0.1"]
    assert sweep(data, out, *grid, "--json", str(told)) == 0
    result = json.loads(told.read_text())
    assert (result["computed"], result["done"]) == (3, 3)  # a gaussian sees no negatives
    store = FolderStore(out)
    cells = {n: store.read(f"cells/{n}") for n in store.names("cells")}
    for cell in cells.values():
        assert set(cell["scores"]) == {"bank", "head", "both"}
        assert cell["metrics"] == cell["scores"]["both"]
        assert 0 <= cell["weight"] <= 1
        assert cell["accuracy"] is None  # a separation of patches is none
    assert len({json.dumps(c["scores"]["bank"]) for c in cells.values()}) == 1  # phi is the same
    assert len({json.dumps(c["scores"]["head"]) for c in cells.values()}) == 3
    assert {c["updates"] for c in cells.values()} == {0, 4}
    lines = list(csv.DictReader((out / "results.csv").open()))
    assert [v["score"] for v in lines] == ["bank", "head", "both"] * 4
    assert "train=gaussian, augment=nsa; hex_nut, head: image AUROC" in capsys.readouterr().out
    lost = next(n for n, c in cells.items() if "projector" in c["label"])
    (out / "cells" / f"{lost}.json").unlink()
    assert sweep(data, out, *grid, "--json", str(told)) == 0
    assert json.loads(told.read_text())["computed"] == 1
    again = store.read(f"cells/{lost}")
    assert again["scores"] == cells[lost]["scores"]
