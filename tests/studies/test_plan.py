"""The plan of each table against the paper's own columns, and who a cell is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cutswap.commands.parser import parse
from cutswap.config import ClusterSettings, SaliencySettings, TrainingSettings
from cutswap.data.datasets import open_dataset
from cutswap.errors import CutSwapError
from cutswap.results.paper_tables import METRICS, PAPER_TABLES, table_values
from cutswap.studies.cells import finetuning_of, identities, patchcore_of
from cutswap.studies.draft import draft
from cutswap.studies.estimate import time_left
from cutswap.studies.flags import study_arguments, study_settings
from cutswap.studies.plan import (
    PRESETS,
    Cell,
    StudySettings,
    Variant,
    coresets,
    plan,
    table_numbers,
    variants,
)
from cutswap.studies.run import prepare
from cutswap.sweeps.identity import Weights, data_identity, weights_of
from tests.helpers.datasets import build_category
from tests.helpers.studies import LAPTOP

WEIGHTS = Weights("phi", "look", ("4", "9", "16", "23", "30"))
DATA = {"n_train": 4, "n_test": 5, "train": "a", "test": "b"}


def cell(table: str, row: str, coreset: float | None = None, seed: int = 0) -> Cell:
    (variant,) = [v for v in variants(table) if v.row == row]
    return Cell(table, variant, "bolt", coreset or coresets(table)[0], seed)


def ids(one: Cell, settings: StudySettings = LAPTOP, **data: str) -> tuple[str, str]:
    return identities(one, settings, WEIGHTS, {**DATA, **data})


@pytest.mark.parametrize("number", list(PAPER_TABLES))
@pytest.mark.parametrize("metric", METRICS)
def test_every_row_of_the_paper_that_is_ours_to_run_is_planned(number: str, metric: str):
    printed = table_values(number, metric)
    rows = [v.row for v in variants(number)]
    if PAPER_TABLES[number].has_categories:
        columns = set(printed["Average"])
        assert set(rows) == {"CutPaste + PC", "ResNet18 + PC", "CutSwap + PC"}
        assert set(rows) <= columns
        # What is left to the paper alone, by name.
        assert columns - set(rows) <= {"STPM", "InTra", "SPD + Padim", "Draem"}
        ratios = {v.coreset for line in printed.values() for v in line.values()}
        assert ratios == set(coresets(number))
    else:
        assert rows == list(printed)
        for line in printed.values():
            assert list(line) == [f"coreset {c:g}" for c in coresets(number)]


def test_the_rows_set_what_their_names_say():
    assert [v.clusters for v in variants("V")] == [ClusterSettings(k=k) for k in range(1, 7)]
    assert [v.clusters.anchors for v in variants("VI")] == [
        "random-cluster",
        "min-cluster",
        "max-cluster",
    ]
    assert {v.clusters.k for v in variants("VI")} == {4}
    layers = {
        v.row: finetuning_of(Cell("VII", v, "bolt", 0.001, 0), LAPTOP, WEIGHTS).training.levels
        for v in variants("VII")
    }
    assert layers == {
        "layers #4 Ns=1": ("4",),
        "layers #16 Ns=1": ("16",),
        "layers #30 Ns=1": ("30",),
        "layers #4 + #16 Ns=2": ("4", "16"),
        "layers #16 + #30 Ns=2": ("16", "30"),
        "layers #4 + #16 + #30 Ns=3": ("4", "16", "30"),
        "layers #4 + #9 + #16 + #23 + #30 Ns=5": None,
    }
    sorting, kmeans = variants("VIII")
    assert (sorting.clusters.anchors, sorting.clusters.top_n) == ("top-n", 300)
    assert kmeans.clusters == ClusterSettings()
    families = {
        v.row: finetuning_of(Cell("I", v, "bolt", 0.001, 0), LAPTOP, WEIGHTS).training
        for v in variants("I")
    }
    assert families["CutPaste + PC"].augment == "cutpaste"
    assert families["CutSwap + PC"].augment == "cutswap"
    assert {t.ways for t in families.values()} == {3}


def test_layers_of_another_network_are_its_levels_in_order():
    other = Weights("phi", "look", ("a", "b", "c", "d", "e"))
    four_and_sixteen = cell("VII", "layers #4 + #16 Ns=2")
    assert finetuning_of(four_and_sixteen, LAPTOP, other).training.levels == ("a", "c")
    with pytest.raises(CutSwapError, match="name five with --layers"):
        finetuning_of(four_and_sixteen, LAPTOP, Weights("phi", "look", ("a", "b")))


def test_cells_of_tables_v_and_vi_and_their_order():
    cells = plan(("VI", "V"), ("a", "b"), 2)
    assert len(cells) == (6 + 3) * 2 * 2
    assert [c.seed for c in cells] == [0] * 18 + [1] * 18  # whole tables of one seed come first
    assert [c.table for c in cells[:18]] == ["V"] * 12 + ["VI"] * 6
    assert len(plan(("VIII",), ("a",), 1)) == 4
    with pytest.raises(CutSwapError, match="1 to 100"):
        plan(("V",), ("a",), 0)
    with pytest.raises(CutSwapError, match="at least one"):
        plan(("V",), (), 1)


@pytest.mark.parametrize(
    ("text", "found"),
    [("5", ("V",)), ("6,5", ("V", "VI")), ("viii", ("VIII",)), ("all", tuple(PAPER_TABLES))],
)
def test_table_numbers_are_read(text: str, found: tuple[str, ...]):
    assert table_numbers(text) == found


@pytest.mark.parametrize("text", ["0", "9", "", ",", "IX", "5;6", "²"])
def test_other_table_numbers_are_refused(text: str):
    with pytest.raises(CutSwapError, match="1 to 8"):
        table_numbers(text)


# Identity


def test_rows_that_ask_for_the_same_are_one_cell():
    same = {
        ids(cell("V", "K=4")),
        ids(cell("VI", "Max cluster")),
        ids(cell("VII", "layers #4 + #9 + #16 + #23 + #30 Ns=5")),
        ids(cell("VIII", "anchors K-means")),
        ids(cell("I", "CutSwap + PC")),
    }
    assert len(same) == 1
    rows = [Cell(t, v, "bolt", coresets(t)[0], 0) for t in ("V", "VI", "VII") for v in variants(t)]
    assert len({ids(c)[0] for c in rows}) == len(rows) - 2


def test_coresets_share_a_network_and_nothing_else():
    small, large = ids(cell("I", "CutSwap + PC")), ids(cell("II", "CutSwap + PC"))
    assert small[0] != large[0]
    assert small[1] == large[1] != ""
    assert ids(cell("I", "ResNet18 + PC"))[1] == ""


def test_whatever_decides_the_result_makes_another_cell():
    base = ids(cell("V", "K=3"))
    longer = StudySettings("laptop", LAPTOP.training.replace(steps_per_epoch=91), LAPTOP.saliency)
    others = [
        ids(cell("V", "K=3", seed=1)),
        ids(cell("V", "K=3"), longer),
        ids(cell("V", "K=3"), train="other"),
        identities(cell("V", "K=3"), LAPTOP, Weights("x", "look", WEIGHTS.levels), DATA),
        identities(cell("V", "K=3"), LAPTOP, Weights("phi", "x", WEIGHTS.levels), DATA),
    ]
    assert len({base, *others}) == 6
    assert len({run for _, run in (base, *others)}) == 6
    tested = ids(cell("V", "K=3"), test="other")
    assert tested[0] != base[0]
    assert tested[1] == base[1]  # other test photos need no other network


def test_untuned_cells_do_not_depend_on_the_recipe():
    longer = StudySettings("laptop", LAPTOP.training.replace(steps_per_epoch=91), LAPTOP.saliency)
    one = cell("I", "ResNet18 + PC")
    assert ids(one) == ids(one, longer)


def test_a_moved_data_set_is_the_same_and_a_changed_photo_is_not(tmp_path: Path):
    build_category(tmp_path / "a/bolt", train=3)
    first = data_identity(open_dataset(tmp_path / "a").category("bolt"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert data_identity(open_dataset(tmp_path / "b").category("bolt")) == first
    photos = sorted((tmp_path / "b/bolt/train/good").iterdir())
    shutil.copy(photos[0], photos[1])
    changed = data_identity(open_dataset(tmp_path / "b").category("bolt"))
    assert changed["train"] != first["train"]
    assert changed["test"] == first["test"]
    mask = next((tmp_path / "b/bolt/ground_truth").rglob("*.png"))
    shutil.copy(photos[0], mask)
    masked = data_identity(open_dataset(tmp_path / "b").category("bolt"))
    assert masked["test"] != first["test"]


def test_weights_are_told_by_their_content(tmp_path: Path, resnet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = {k: v.contiguous() for k, v in resnet.module.state_dict().items()}
    save_file(state, tmp_path / "a.safetensors")
    shutil.copy(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    state["conv1.weight"] = state["conv1.weight"] + torch.ones(1)
    save_file(state, tmp_path / "c.safetensors")
    look = SaliencySettings(backbone="squeezenet1_0", weights="random")

    def of(name: str) -> Weights:
        training = LAPTOP.training.replace(weights=str(tmp_path / name))
        return weights_of(training, look)

    assert of("a.safetensors") == of("b.safetensors") != of("c.safetensors")
    assert len(of("a.safetensors").levels) == 5


# Settings and the command


def test_presets_say_what_they_are():
    laptop, paper = PRESETS["laptop"].training, PRESETS["paper"].training
    assert (paper.epochs, paper.batch_size, paper.steps_per_epoch) == (256, 32, None)
    assert (paper.recipe, paper.pretrained_factor, paper.freeze_batch_norm) == ("paper", 1.0, False)
    assert (laptop.recipe, laptop.pretrained_factor) == ("gentle", 0.02)
    for preset in PRESETS.values():
        settings = StudySettings(preset.name, preset.training, SaliencySettings())
        assert settings.is_papers_length == preset.is_papers_length


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--preset", "paper"],
        ["--preset", "paper", "--recipe", "gentle", "--epochs", "3"],
        ["--image-size", "128", "--steps-per-epoch", "60", "--device", "cpu", "--weights", "w.pth"],
        ["--saliency-backbone", "squeezenet1_0", "--layers", "1,2,3,4,5", "--target-class", "3"],
        ["--steps-per-epoch", "none", "--frozen", "conv1,bn1", "--skip-bad"],
    ],
)
def test_the_command_of_a_study_read_back_gives_the_study(flags):
    words = [
        "reproduce",
        "--table",
        "5,6",
        "--data",
        "/d",
        "--categories",
        "a,b",
        "--seeds",
        "2",
        "--out",
        "/o",
        *flags,
    ]
    asked = parse(words)
    wanted = study_settings(asked)
    again = parse(
        study_arguments(
            wanted,
            Path("/d"),
            Path("/o"),
            tables=("V", "VI"),
            categories=("a", "b"),
            seeds=2,
            skip_bad=asked.skip_bad,
        )
    )
    assert study_settings(again) == wanted
    # What a preset or a recipe brings is not named.
    assert getattr(again, "TrainingSettings.pretrained_factor") is None
    assert StudySettings.from_dict(wanted.to_dict()) == wanted
    for name in ("data", "out", "table", "categories", "seeds", "preset", "skip_bad"):
        assert getattr(again, name) == getattr(asked, name)


def test_scoring_uses_the_training_image_size():
    settings = StudySettings("laptop", LAPTOP.training.replace(image_size=128), LAPTOP.saliency)
    found = patchcore_of(Cell("I", Variant("CutSwap + PC"), "bolt", 0.001, 0), settings)
    assert (found.image_size, found.coreset) == (128, 0.001)


def test_a_draft_has_the_cells_of_the_plan_that_is_made_of_it(tmp_path):
    """The app says beforehand what the plan says afterwards: the same cells, networks and time."""
    root = build_category(tmp_path / "data/bolt").parent
    build_category(root / "nut")
    training = TrainingSettings(image_size=64, weights="random", batch_size=2)
    saliency = SaliencySettings(backbone="squeezenet1_0", weights="random", image_size=64)
    settings = StudySettings("laptop", training, saliency)
    made = prepare(tmp_path / "out", root, ("V", "VI", "VII"), settings, seeds=2).study
    categories = [open_dataset(root).category(name) for name in ("bolt", "nut")]
    drawn = draft("out", ("V", "VI", "VII"), categories, settings, seeds=2)
    assert len(drawn.cells) == len(made.cells)
    assert len(drawn.distinct) == len(made.distinct) < len(made.cells)
    assert time_left(drawn) == time_left(made)
