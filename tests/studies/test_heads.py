"""Studies with heads and other negatives as rows beside the paper's methods."""

from __future__ import annotations

import json

import pytest

from cutswap.commands.parser import main, parse
from cutswap.config import HEADS, LEARNT_HEADS, HeadSettings
from cutswap.errors import CutSwapError
from cutswap.results.paper_tables import CUTPASTE, CUTSWAP, UNTUNED
from cutswap.studies.cells import finetuning_of, identities, patchcore_of, run_name
from cutswap.studies.findings import statements
from cutswap.studies.flags import repeat_study, study_settings
from cutswap.studies.folder import FINISHED, read_study
from cutswap.studies.methods import METHODS, OTHER_METHODS, UNGUIDED, method_names
from cutswap.studies.plan import Cell, StudySettings, Variant, plan, variants
from cutswap.studies.report import write_reports
from cutswap.studies.tables import entries
from cutswap.sweeps.identity import Weights
from tests.helpers.datasets import build_category

WEIGHTS = Weights("a", "b", ("1", "2", "3", "4", "5"))
DATA = {"train": "t", "test": "u"}
TINY = ["--image-size", "64", "--weights", "random", "--saliency-backbone", "squeezenet1_0"]
TINY += ["--saliency-weights", "random", "--epochs", "1", "--steps-per-epoch", "1"]
TINY += ["--batch-size", "2", "--hidden", "8", "--device", "cpu", "--precision", "float32"]
SMALL_HEAD = ["--head-updates", "2", "--head-grid", "4", "--head-width", "8", "--head-photos", "4"]


def settings(*more: str) -> StudySettings:
    words = ["reproduce", "--table", "1", "--data", "d", "--out", "o", *more]
    return study_settings(parse(words))


def cell(name: str, coreset: float = 0.001, seed: int = 0) -> Cell:
    row = METHODS[name].row
    return Cell("I", Variant(row, row), "bolt", coreset, seed)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("gaussian", ("gaussian",)),
        ("nsa, random-swap", ("random-swap", "nsa")),
        ("projector", ("cutpaste-projector", "random-swap-projector", "cutswap-projector")),
        ("cutswap-discriminator,gaussian", ("cutswap-discriminator", "gaussian")),
        ("cutswap,cutpaste", ()),  # they are in every table
    ],
)
def test_names_are_read(text: str, names: tuple[str, ...]):
    assert method_names(text) == names
    assert method_names(",".join(names)) == names


@pytest.mark.parametrize("text", ["head", "cutswap-gaussian", "projector-cutswap", "bank"])
def test_other_names_are_refused(text: str):
    with pytest.raises(CutSwapError, match="--methods"):
        method_names(text)


def test_rows_stand_beside_the_papers_in_tables_of_methods_alone():
    rows = [v.row for v in variants("I", ("gaussian", "cutswap-projector"))]
    assert rows == [CUTPASTE, UNTUNED, CUTSWAP, "CutSwap projector", "Gaussian"]
    assert variants("V", OTHER_METHODS) == variants("V")
    assert len({m.row for m in METHODS.values()}) == len(METHODS)
    asked = plan(("I", "II"), ("bolt",), 1, ("cutswap-projector",))
    assert {c.coreset for c in asked if c.variant.row == "CutSwap projector"} == {0.001, 0.01}


OF_NEGATIVES = [n for n, m in METHODS.items() if m.is_tuned and m.objective == "classes"]


@pytest.mark.parametrize("name", OF_NEGATIVES)
def test_a_row_trains_what_its_name_says(name: str):
    tuning = finetuning_of(cell(name), settings(), WEIGHTS)
    negatives, _, trained = name.rpartition("-") if name.endswith(LEARNT_HEADS) else (name, "", "")
    assert tuning.head.train == (trained or ("gaussian" if name == "gaussian" else "backbone"))
    if name != "gaussian":
        family = "cutswap" if negatives == "random-swap" else negatives
        assert tuning.training.augment == family
    assert (tuning.clusters == UNGUIDED) == name.startswith("random-swap")
    identity, run = identities(cell(name), settings(), WEIGHTS, DATA)
    assert run_name(cell(name), run) == f"bolt-{name}-seed0-{run}"
    other, same = identities(cell(name, coreset=0.01), settings(), WEIGHTS, DATA)
    assert (same, other != identity) == (run, True)  # coresets share what was trained


def test_every_method_is_another_cell():
    found = {identities(cell(n), settings(), WEIGHTS, DATA)[0] for n in METHODS}
    assert len(found) == len(METHODS)


@pytest.mark.parametrize(
    ("flags", "changes"),
    [
        (["--head-updates", "30"], {"cutswap-projector", "nsa-discriminator"}),
        (["--head-grid", "8"], {"cutswap-projector", "nsa-discriminator", "gaussian"}),
        (["--epochs", "9"], {"cutswap", "nsa"}),
    ],
)
def test_settings_change_the_cells_they_decide(flags: list[str], changes: set[str]):
    for name in ("cutswap", "nsa", "cutswap-projector", "nsa-discriminator", "gaussian"):
        one = identities(cell(name), settings(), WEIGHTS, DATA)
        other = identities(cell(name), settings(*flags), WEIGHTS, DATA)
        assert (one != other) == (name in changes), name


def test_the_bank_has_the_heads_layers():
    asked = settings("--head-layers", "layer1,layer2")
    assert patchcore_of(cell("cutswap-projector"), asked).layers == ("layer1", "layer2")
    assert patchcore_of(cell("cutswap"), asked).layers == ("layer2", "layer3")
    assert StudySettings.from_dict(asked.to_dict()) == asked
    assert "head" not in settings().to_dict()  # studies of before stay the same


@pytest.mark.journey
def test_heads_are_computed_once_and_stand_in_tables_and_reports(tmp_path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    build_category(tmp_path / "data" / "bolt", train=4)
    out, told = tmp_path / "study", tmp_path / "r.json"
    line = ["reproduce", "--data", str(tmp_path / "data"), "--out", str(out), "--seeds", "1"]
    line += [*TINY, *SMALL_HEAD, "--quiet", "--json", str(told)]
    line += ["--methods", "cutpaste-projector", "gaussian"]
    assert main([*line, "--table", "1"]) == 0
    result = json.loads(told.read_text())
    assert (result["asked"], result["computed"], result["done"]) == (5, 5, 5)
    assert main([*line, "--table", "1,2"]) == 0  # the other ratio, with the same heads
    assert json.loads(told.read_text())["computed"] == 5
    study = read_study(out)
    assert study.state == FINISHED
    assert study.methods == ("cutpaste-projector", "gaussian")
    names = {p.name.rpartition("-seed")[0] for p in (out / "runs").iterdir()}
    assert names == {"bolt-cutpaste", "bolt-cutswap", "bolt-cutpaste-projector", "bolt-gaussian"}
    found = {e.row: e for e in entries(study, "I", "image_auroc") if e.category == "bolt"}
    for row in ("CutPaste projector", "Gaussian"):
        assert found[row].ours is not None
        assert found[row].paper is None
    assert "The network of projector and gaussian stays as it is" in " ".join(statements(study))
    assert "CutPaste projector" in write_reports(study).read_text()
    words = repeat_study(study)
    assert words[words.index("--methods") + 1] == "cutpaste-projector,gaussian"
    again = study_settings(parse(words))
    assert again.head == HeadSettings(updates=2, grid=4, width=8, photos=4)
    assert again.to_dict() == study.settings


def test_every_head_there_is_has_a_row():
    assert {m.trained for m in METHODS.values()} == {"backbone", *HEADS}
