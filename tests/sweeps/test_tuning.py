"""The search for settings: on held-out photos, resumed from its own JSON, shown without Optuna."""

from __future__ import annotations

import json

import pytest

from app.study import tuning as study_tuning
from cutswap.commands.parser import main
from cutswap.commands.tune import read_space
from cutswap.config import FineTuningSettings, TrainingSettings
from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.sweeps.store import FolderStore
from cutswap.sweeps.tuning import SearchSpace
from cutswap.training.validation import Validation
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.sweeps import TINY, demo

_ENDED = ((0, "complete", 0.6), (1, "pruned", 0.9), (2, "complete", 0.5))


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    return demo(tmp_path / "data")


def test_too_few_photos_to_hold_some_out_are_refused(data):
    checked = check_category(data, "leather", skip_bad=False)
    few = FineTuningSettings(TrainingSettings(image_size=64))
    with pytest.raises(CutSwapError, match="5 good training photos"):
        Validation(checked, few, 0)


@pytest.mark.journey
def test_a_search_goes_on_and_is_shown(tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="pip install 'cutswap[tune]'")
    from cutswap.data.demo.render import DemoCounts, make_demo

    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    data = make_demo(tmp_path / "demo", counts=DemoCounts(train=6, good=1, defective=1))
    settings = FineTuningSettings(TrainingSettings(image_size=64))
    checked = check_category(data, "leather", skip_bad=False)
    validation = Validation(checked, settings, 0)
    training = validation.training.category
    assert (len(training.train), len(training.test)) == (4, 0)
    assert validation.families == ("cutpaste", "smoothblend", "nsa", "perlin")

    small_app(tmp_path / "app", monkeypatch)
    out = tmp_path / "app" / "runs" / "search"
    line = [
        "tune",
        "--data",
        str(data),
        "--category",
        "leather",
        "--steps-per-epoch",
        "3",
        "--out",
        str(out),
        *TINY,
    ]
    assert main([*line, "--trials", "2"]) == 0
    first = FolderStore(out).read("trials/00000")
    result = tmp_path / "r.json"
    assert main([*line, "--trials", "5", "--json", str(result)]) == 0
    assert json.loads(result.read_text())["ended"] == 3
    assert FolderStore(out).names("trials") == [f"{n:05d}" for n in range(5)]
    assert FolderStore(out).read("trials/00000") == first
    assert set(first["values"]) == {"k", "layers", "patch", "learning_rate"}
    assert main([*line, "--trials", "6", "--batch-size", "3"]) == 2  # another search

    study_tuning.searches.clear()
    at = open_page("study")
    assert_alive(at)
    assert "Searches for settings" in [e.label for e in at.expander]
    assert "never of the test set" in texts(at)


@pytest.mark.journey
def test_a_search_for_a_head_scores_it_with_its_bank_and_goes_on(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna", reason="pip install 'cutswap[tune]'")
    from cutswap.data.demo.render import DemoCounts, make_demo

    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    data = make_demo(tmp_path / "demo", counts=DemoCounts(train=6, good=1, defective=1))
    for photo in (data / "hex_nut" / "test").rglob("*.png"):
        photo.write_bytes(b"no photo")  # whoever looks at one of these stops
    out, told = tmp_path / "search", tmp_path / "r.json"
    line = ["tune", "--data", str(data), "--category", "hex_nut", "--skip-bad", "--out", str(out)]
    line += [*TINY, "--train", "projector", "--search-updates", "2,4", "--head-grid", "4"]
    line += ["--head-width", "8", "--json", str(told), "--search-area", "0.2,0.3"]
    assert main([*line, "--trials", "1"]) == 0
    store = FolderStore(out)
    first = store.read("trials/00000")
    assert main([*line, "--trials", "2"]) == 0
    assert store.read("trials/00000") == first
    assert set(first["values"]) == {"k", "layers", "patch", "learning_rate", "updates"}
    assert 2 <= first["values"]["updates"] <= 4
    assert 0 <= first["value"] <= 1
    assert store.read("tune")["base"]["head"]["train"] == "projector"
    said = capsys.readouterr().out
    assert "--train projector --head-updates" in said
    assert "--head-learning-rate" in said


def test_a_search_of_what_does_not_learn_is_refused(data, tmp_path, capsys):
    pytest.importorskip("optuna", reason="pip install 'cutswap[tune]'")
    line = ["tune", "--data", str(data), "--category", "hex_nut", "--out", str(tmp_path / "s")]
    assert main([*line, *TINY, "--train", "gaussian"]) == 2
    assert "nothing to search in what does not learn" in capsys.readouterr().err
    assert main([*line, *TINY, "--search-updates", "1,2"]) == 2
    assert "--search-updates 1,2: expected a head" in capsys.readouterr().err
    assert main([*line, *TINY, "--train", "projector", "--search-updates", "0,2"]) == 2
    assert "--search-updates 0,2: expected" in capsys.readouterr().err


def test_a_broken_search_is_left_out_and_charts_show_the_rest(tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "tune.json").write_text('{"trials": [{}]}')
    trials = [{"number": n, "state": s, "value": v, "values": {"k": n}} for n, s, v in _ENDED]
    good = {"trials": trials, "importance": {"k": 1.0}, "validation": ["nsa"]}
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "tune.json").write_text(json.dumps(good))
    study_tuning.searches.clear()
    assert list(study_tuning.searches(tmp_path)) == ["good"]
    assert study_tuning.best_of(trials)["number"] == 0  # a pruned one is not judged to its end
    figure = study_tuning.history(trials)
    assert list(figure.data[2].y) == [0.6, 0.6]


def test_ranges_are_read():
    base, levels = FineTuningSettings(), ("4", "16", "30")
    assert read_space(base, levels).layers == ("4", "30", "4+30", "4+16+30")
    assert read_space(base, levels).k == SearchSpace().k
    found = read_space(base, levels, k="2,3", layers="16, 4+fused", area="0.1,0.2", rate="0.01,0.1")
    assert found == SearchSpace((2, 3), (0.1, 0.2), (0.01, 0.1), ("16", "4+fused"))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"k": "0,3"}, "--search-k 0,3: expected a whole number >= 1"),
        ({"k": "1.5,3"}, "two whole numbers"),
        ({"k": "3"}, "two whole numbers"),
        ({"k": "6,1"}, "lower one first"),
        ({"layers": "4,99"}, "'99': expected some of 4, 16, 30, fused"),
        ({"layers": "4+4"}, "each once"),
        ({"layers": "4,,16"}, "'': expected some"),
        ({"area": "0.1,1.5"}, "--search-area"),
        ({"area": "0.001,0.2"}, "--search-area"),  # below the smallest patch area
        ({"rate": "0,0.1"}, "--search-rate 0,0.1: expected a number > 0"),
        ({"rate": "nan,0.1"}, "lower one first"),
        ({"rate": "0.1,inf"}, "--search-rate"),
    ],
)
def test_ranges_out_of_range_are_refused(typed, said):
    with pytest.raises(CutSwapError, match="1 problem:") as caught:
        read_space(FineTuningSettings(), ("4", "16", "30"), **typed)
    assert said in str(caught.value)


def test_all_problems_of_ranges_are_told_before_anything_starts(data, tmp_path, capsys):
    pytest.importorskip("optuna", reason="pip install 'cutswap[tune]'")
    line = [
        "tune",
        "--data",
        str(data),
        "--category",
        "leather",
        "--out",
        str(tmp_path / "out"),
        "--search-k",
        "0,2",
        "--search-rate",
        "1",
        "--search-layers",
        "99",
        *TINY,
    ]
    assert main(line) == 2
    assert "3 problems" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_help_says_why_not_the_test_set(capsys):
    with pytest.raises(SystemExit):
        main(["tune", "--help"])
    assert "never the test AUROC" in " ".join(capsys.readouterr().out.split())
