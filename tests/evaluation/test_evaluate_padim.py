"""`evaluate --detector padim`: files, figures, their readers, flags that do not go together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cutswap.commands.parser import main, parse
from cutswap.config import PadimSettings, PatchCoreSettings, scoring_of
from cutswap.data.images import to_image
from cutswap.data.loading import check_category, load_photos
from cutswap.decision.open_detector import read_evaluated
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import padim_arguments, padim_settings
from cutswap.evaluation.evaluate_padim import evaluate_padim, padim_files, write_padim
from cutswap.evaluation.scored_set import read_scored
from cutswap.padim.detector import PadimDetector
from cutswap.reports.repeat import evaluate_again
from cutswap.results.scores import scores_of_runs
from cutswap.results.setups import scoring_in_words
from cutswap.results.table import build_table
from cutswap.runs.find import find_runs
from cutswap.runs.states import DONE
from tests.helpers.datasets import write_image
from tests.helpers.scored import build_parts
from tests.helpers.tiny_networks import tiny_backbone

WORDS = ["--backbone", "resnet18", "--weights", "random", "--image-size", "64", "--device", "cpu"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Path:
    return build_parts(tmp_path_factory.mktemp("padim") / "parts")


@pytest.fixture(scope="module")
def folder(parts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "runs" / "padim"
    words = ["evaluate", "--detector", "padim", "--data", str(parts), *WORDS, "--quiet"]
    assert main([*words, "--padim-channels", "20", "--seed", "3", "--out", str(out)]) == 0
    return out


def test_it_writes_what_it_lists_and_says_what_it_is(folder, parts):
    summary = json.loads((folder / "result.json").read_text())
    assert (summary["detector"], summary["seed"]) == ("padim", 3)
    assert summary["padim"]["channels"] == 20
    assert not {"patchcore", "bank_size"} & set(summary)
    assert summary["memory"]["kept_bytes"] == 4 * 256 * (20 + 400)
    checked = check_category(parts, "bolt", skip_bad=False)
    assert all((folder / name).is_file() for name in padim_files(checked.category.test))
    assert not (folder / "bank.safetensors").exists()


def test_its_figures_are_those_of_its_heatmaps(folder):
    scored = read_scored(folder)
    assert scored.is_padim
    assert scored.settings == scoring_of(scored.summary)
    assert scored.scores == pytest.approx(scored.heatmaps.max(axis=(1, 2)))
    assert scored.summary["image_auroc"] == pytest.approx(
        roc_auc_score(scored.labels, scored.scores), abs=1e-4
    )
    masks = scored.masks()
    assert scored.summary["pixel_auroc"] == pytest.approx(
        roc_auc_score(masks.ravel(), scored.heatmaps.ravel()), abs=1e-4
    )


def test_its_file_scores_the_photos_as_it_did(folder):
    scored, detector = read_scored(folder), PadimDetector.load(folder / "padim.safetensors")
    drawn = np.random.default_rng(3).choice(64 + 128 + 256, 20, replace=False)
    assert (detector.seed, set(detector.channels)) == (3, set(drawn))
    said = detector.score(to_image(load_photos(scored.need_records(), 64)))
    assert said.scores == pytest.approx(scored.scores, rel=1e-5)
    assert np.allclose(said.heatmaps, scored.heatmaps, rtol=1e-4)


def test_the_same_seed_gives_the_same_and_the_command_repeats_it(folder):
    words = evaluate_again(json.loads((folder / "result.json").read_text()))
    assert words is not None
    options = parse([str(word) for word in words])
    again = padim_settings(options)
    assert (options.detector, options.seed) == ("padim", 3)
    assert again == read_scored(folder).settings
    words = ["evaluate", "--data", "d", "--out", "o", *padim_arguments(again)]
    assert padim_settings(parse(words)) == again


def test_it_stands_in_the_results_beside_patchcore(folder, parts):
    out = folder.parent / "bank"
    assert main(["evaluate", "--data", str(parts), *WORDS, "--quiet", "--out", str(out)]) == 0
    found = find_runs(folder.parent)
    assert {(e.name, e.state) for e in found.evaluations} == {("padim", DONE), ("bank", DONE)}
    table = build_table(found.evaluations, found.runs, "image_auroc")
    labels = sorted(setup.label for setup in table.setups)
    assert len(labels) == 2
    assert "coreset 0.01" in labels[1] or "coreset 0.01" in labels[0]
    (padim,) = [s for s in table.setups if s.coreset is None]
    assert "PaDiM, layer1+layer2+layer3" in padim.label
    assert len(table.figures) == 2
    (own,) = [e for e in found.evaluations if e.name == "padim"]
    assert scoring_in_words(own).startswith("PaDiM, layer1+layer2+layer3, ")
    assert scores_of_runs((), found.evaluations, found.runs) == ()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--coreset", "0.1"], "--coreset: expected --detector patchcore"),
        (["--preset", "plain"], "--preset: expected --detector patchcore"),
        (["--false-alarms", "0.01"], "--false-alarms: expected --detector patchcore"),
        (["--score", "bank"], "--score: expected --detector patchcore"),
        (["--padim-channels", "0"], "channels"),
        (["--layers", "layer9"], "layer9"),
    ],
)
def test_flags_that_only_patchcore_has_are_refused(parts, tmp_path, words, message, capsys):
    call = ["evaluate", "--detector", "padim", "--data", str(parts), *WORDS, *words]
    assert main([*call, "--quiet", "--out", str(tmp_path / "x")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_its_own_flags_are_refused_by_patchcore(parts, tmp_path, capsys):
    call = ["evaluate", "--data", str(parts), *WORDS, "--padim-regularisation", "0.1"]
    assert main([*call, "--out", str(tmp_path / "x")]) == 2
    assert "--padim-regularisation: expected --detector padim" in capsys.readouterr().err


def test_what_needs_a_bank_says_that_there_is_none(folder):
    with pytest.raises(CutSwapError, match="one by PaDiM"):
        read_evaluated(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"padim": None}, "padim"),
        ({"padim": {"sigma": -1}}, "sigma"),
        ({"detector": "other"}, "patchcore"),
    ],
)
def test_a_damaged_result_is_refused(folder, tmp_path, change, message):
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CutSwapError, match=message):
        read_scored(tmp_path / "copy")


def test_a_region_keeps_heat_and_scores_inside(parts, tmp_path):
    inside = np.zeros((64, 64), dtype=bool)
    inside[:, 20:] = True
    write_image(parts / "bolt" / "region.png", inside)
    try:
        checked = check_category(parts, "bolt", skip_bad=False)
        found = evaluate_padim(checked, tiny_backbone(), PadimSettings(image_size=64, channels=8))
        write_padim(found, tmp_path)
        scored = read_scored(tmp_path)
    finally:
        (parts / "bolt" / "region.png").unlink()
    assert scored.region is not None
    assert not scored.heatmaps[:, ~scored.region].any()
    assert found.summary["region"]["hides"]


def test_records_without_a_detector_are_patchcores():
    values = PatchCoreSettings(coreset=0.1)
    assert scoring_of({"patchcore": values.to_dict()}) == values
