"""SPD and PaDiM as rows of a study: what is trained once, what decides a cell, the paper's row."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cutswap.commands.parser import parse
from cutswap.config import EARLY, PadimSettings, PatchCoreSettings, SaliencySettings, SpdSettings
from cutswap.results.paper_tables import SPD_PADIM
from cutswap.studies.cells import finetuning_of, identities, padim_of, run_name
from cutswap.studies.estimate import time_left
from cutswap.studies.findings import spd_sentences, statements
from cutswap.studies.flags import repeat_study, study_settings
from cutswap.studies.folder import DONE
from cutswap.studies.methods import METHODS, method_names
from cutswap.studies.plan import PRESETS, StudySettings
from cutswap.studies.run import prepare, run_study
from cutswap.studies.tables import entries
from cutswap.sweeps.cell import CellSpec
from tests.helpers.datasets import build_category
from tests.helpers.studies import write_small_study
from tests.studies.test_heads import DATA, TINY, WEIGHTS, cell, settings

ROWS = ("spd", "spd-padim", "untuned-padim")


def identity(name: str, *flags: str, coreset: float = 0.001, seed: int = 0) -> tuple[str, str]:
    return identities(cell(name, coreset, seed), settings(*flags), WEIGHTS, DATA)


def test_names_are_read():
    assert method_names("untuned-padim,SPD-padim,spd") == ROWS


def test_one_network_for_both_detectors_and_none_for_the_untuned():
    names = {name: run_name(cell(name), identity(name)[1]) for name in ROWS}
    assert names["spd"] == names["spd-padim"] == f"bolt-spd-seed0-{identity('spd')[1]}"
    assert names["untuned-padim"] == ""
    assert len({identity(name)[0] for name in ROWS}) == 3


def test_padim_has_no_coreset_and_patchcore_has():
    for name, is_one in (("spd", False), ("spd-padim", True), ("untuned-padim", True)):
        assert (identity(name) == identity(name, coreset=0.01)) == is_one
        assert identity(name) != identity(name, seed=1)


@pytest.mark.parametrize(
    ("flags", "changes"),
    [
        (["--spd-weight", "0.2"], {"spd", "spd-padim"}),
        (["--padim-channels", "50"], {"spd-padim", "untuned-padim"}),
        (["--padim-batch-size", "3"], set()),
        (["--image-size", "128"], {*ROWS, "cutswap"}),
        (["--batch-size", "3"], {"spd", "spd-padim", "cutswap"}),
        (["--hidden", "8"], {"cutswap"}),
    ],
)
def test_settings_change_the_cells_they_decide(flags: list[str], changes: set[str]):
    for name in (*ROWS, "cutswap"):
        assert (identity(name) != identity(name, *flags)) == (name in changes), name


def test_what_is_trained_and_who_scores():
    asked = settings("--spd-base", "simclr", "--padim-channels", "7", "--image-size", "128")
    assert finetuning_of(cell("spd-padim"), asked, WEIGHTS).spd == SpdSettings(base="simclr")
    assert padim_of(cell("spd-padim"), asked) == PadimSettings(channels=7, image_size=128)
    assert padim_of(cell("spd"), asked) is None
    assert not finetuning_of(cell("cutswap"), asked, WEIGHTS).is_spd


def test_studies_of_before_keep_their_settings_and_these_are_read_back():
    plain = StudySettings("laptop", PRESETS["laptop"].training, SaliencySettings())
    assert not {"spd", "padim"} & set(plain.to_dict())
    other = StudySettings(
        "laptop",
        plain.training,
        plain.saliency,
        spd=SpdSettings(weight=1),
        padim=PadimSettings(channels=9),
    )
    assert StudySettings.from_dict(other.to_dict()) == other


def test_our_row_stands_beside_the_papers_and_the_command_repeats_it(tmp_path):
    asked = StudySettings(
        "laptop",
        PRESETS["laptop"].training,
        SaliencySettings(),
        spd=SpdSettings(base="simclr"),
        padim=PadimSettings(channels=9),
    )
    study = write_small_study(
        tmp_path / "s",
        lambda _: 0.9,
        tables=("IV",),
        categories=("candle",),
        others=ROWS,
        settings=asked,
    )
    assert study.methods == ROWS
    found = {e.row: e for e in entries(study, "IV", "image_auroc") if not e.is_average}
    assert (found[SPD_PADIM].ours.mean, found[SPD_PADIM].paper) == (0.9, 0.891)
    assert [e.row for e in entries(study, "IV", "image_auroc")].count(SPD_PADIM) == 2
    assert found["Draem"].ours is None
    assert any("SPD trains resnet18 on the category's own" in s for s in statements(study))
    words = repeat_study(study)
    assert words[words.index("--methods") + 1] == ",".join(ROWS)
    again = study_settings(parse(words))
    assert (again.spd, again.padim) == (asked.spd, asked.padim)
    assert time_left(study).cells == 0


@pytest.mark.parametrize(
    ("frozen", "kept"), [(EARLY, "layer1 and layer2 stay"), (("layer1",), "layer1 stay"), ((), "")]
)
def test_layers_of_padim_that_nothing_trains_are_told(tmp_path, frozen, kept):
    training = PRESETS["laptop"].training.replace(frozen=frozen)
    asked = StudySettings("laptop", training, SaliencySettings())
    about = {"tables": ("IV",), "others": ROWS, "settings": asked}
    (said,) = spd_sentences(write_small_study(tmp_path / "s", lambda _: 0.9, **about))
    assert ("SPD can change little" in said) == bool(kept)
    assert kept in said


def test_a_cell_crosses_processes_as_json():
    asked = settings()
    spec = CellSpec(
        "a1",
        "x",
        "/",
        "c",
        finetuning_of(cell("spd-padim"), asked, WEIGHTS),
        PatchCoreSettings(),
        seed=0,
        run="r",
        padim=padim_of(cell("spd-padim"), asked),
    )
    assert CellSpec.from_json(spec.to_json()) == spec


def test_one_network_is_trained_and_scored_both_ways(tmp_path):
    build_category(tmp_path / "parts/bolt")
    asked = settings(*TINY, "--padim-channels", "6")
    arguments = (tmp_path / "s", tmp_path / "parts", ("III", "IV"), asked)
    prepared = prepare(*arguments, categories=("bolt",), seeds=1, others=ROWS)
    rows = {METHODS[name].row for name in ROWS}
    ours = {i: pair for i, pair in prepared.asked.items() if pair[0].variant.row in rows}
    # SPD at two coresets, PaDiM's two at none
    done = list(run_study(replace(prepared, asked=ours)))
    assert [state for _, state in done] == [DONE] * 4
    assert len(list((tmp_path / "s/runs").iterdir())) == 1
    (own,) = {place.id for place, _ in done if place.row == SPD_PADIM}
    record = json.loads((tmp_path / f"s/cells/{own}.json").read_text())
    assert record["detector"] == "padim"
    assert record["padim"]["channels"] == 6
    assert record["updates"] == 1
    assert 0 <= record["metrics"]["pixel_auroc"] <= 1
