"""Other detectors: named, planned and told apart without anomalib; run where it is installed."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from cutswap.commands.parser import main, parse
from cutswap.config import SaliencySettings
from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.evaluation.anomalib_models import Detector, need_anomalib
from cutswap.evaluation.detector_settings import (
    ANOMALIB,
    DETECTORS,
    DetectorSettings,
    detector_names,
)
from cutswap.evaluation.detectors import evaluate_detector
from cutswap.intra.settings import IntraSettings
from cutswap.networks.backbone import load_backbone
from cutswap.results.paper_tables import CUTSWAP
from cutswap.studies.cells import detector_of, identities
from cutswap.studies.findings import statements
from cutswap.studies.flags import repeat_study, study_settings
from cutswap.studies.folder import read_study, write_study
from cutswap.studies.plan import PRESETS, StudySettings, plan
from cutswap.studies.tables import entries
from cutswap.sweeps.identity import Weights
from cutswap.utils.signals import Stopped
from tests.helpers.scored import build_parts
from tests.helpers.studies import write_small_study

SMALL = DetectorSettings(epochs=2, batch_size=4, image_size=64)
DATA = {"train": "t", "test": "u"}
WEIGHTS = Weights("w", "s", ("a", "b", "c", "d", "e"))


class TestPlans:
    def test_names(self):
        assert detector_names("draem,STFPM") == ("stfpm", "draem")
        assert detector_names("") == ()
        assert detector_names("intra") == ("intra",)
        with pytest.raises(CutSwapError, match="spd-padim is one of --methods"):
            detector_names("stfpm,spd")

    def test_they_stand_in_tables_of_categories_only(self):
        rows = {c.variant.row for c in plan(("II",), ("bolt",), 1, ("padim", "stfpm"))}
        assert rows == {"CutPaste + PC", "ResNet18 + PC", CUTSWAP, "STPM", "PaDiM"}
        assert plan(("V",), ("bolt",), 1, ("padim",)) == plan(("V",), ("bolt",), 1)

    def test_the_coreset_does_not_make_another_cell_but_the_seed_and_the_recipe_do(self):
        cells = [c for c in plan(("I", "II"), ("bolt",), 2, ("padim",)) if c.variant.row == "PaDiM"]
        settings = StudySettings("laptop", PRESETS["laptop"].training, SaliencySettings())
        found = [identities(c, settings, WEIGHTS, DATA) for c in cells]
        assert [(c.coreset, c.seed) for c in cells] == [
            (0.001, 0),
            (0.01, 0),
            (0.001, 1),
            (0.01, 1),
        ]
        assert found[0] == found[1] != found[2] == found[3]
        assert found[0][1] == ""  # no tuned network
        for other in (
            StudySettings("laptop", settings.training, settings.saliency, SMALL),
            StudySettings("laptop", settings.training.replace(image_size=128), settings.saliency),
        ):
            assert identities(cells[0], other, WEIGHTS, DATA) != found[0]
        for name in ("padim", "intra"):
            assert detector_of(name, settings).image_size == settings.training.image_size

    def test_intra_has_settings_of_its_own_and_no_backbone(self):
        (cell,) = plan(("II",), ("bolt",), 1, ("intra",))[-1:]
        base = StudySettings("laptop", PRESETS["laptop"].training, SaliencySettings())
        longer = dataclasses.replace(base, intra=IntraSettings(updates=7))
        assert cell.variant.row == "InTra"
        found = identities(cell, base, WEIGHTS, DATA)
        assert identities(cell, longer, WEIGHTS, DATA) != found
        other = Weights("another network", "s", WEIGHTS.levels)
        assert identities(cell, base, other, DATA) == found
        assert StudySettings.from_dict(longer.to_dict()) == longer

    def test_studies_of_before_keep_their_settings(self):
        settings = StudySettings("laptop", PRESETS["laptop"].training, SaliencySettings())
        assert "detector" not in settings.to_dict()
        longer = StudySettings("laptop", settings.training, settings.saliency, SMALL)
        assert StudySettings.from_dict(longer.to_dict()) == longer
        with pytest.raises(CutSwapError):
            StudySettings.from_dict({**settings.to_dict(), "detector": []})

    def test_their_figures_stand_beside_the_papers_and_the_command_repeats_them(self, tmp_path):
        settings = StudySettings("laptop", PRESETS["laptop"].training, SaliencySettings(), SMALL)
        study = write_small_study(
            tmp_path / "s",
            lambda _: 0.9,
            tables=("II",),
            categories=("transistor",),
            others=("stfpm",),
            settings=settings,
        )
        assert study.detectors == ("stfpm",)
        rows = {e.row: e for e in entries(study, "II", "pixel_auroc") if not e.is_average}
        assert rows["STPM"].ours is not None
        assert rows["STPM"].paper is not None
        assert rows["InTra"].ours is None  # the paper's number alone
        assert [e.row for e in entries(study, "II", "image_auroc")].count("STPM") == 2
        assert "STPM trains for 2 epochs of anomalib's recipe; its paper for 100." in statements(
            study
        )
        words = repeat_study(study)
        assert words[words.index("--detectors") + 1] == "stfpm"
        again = study_settings(parse(words))
        assert again.detector.replace(image_size=64) == SMALL
        write_study(study)
        assert read_study(study.path).detectors == ("stfpm",)

    def test_without_anomalib_it_is_refused_before_any_work(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "anomalib", None)
        monkeypatch.setitem(sys.modules, "anomalib.models", None)
        with pytest.raises(CutSwapError, match=r"cutswap\[anomalib\]"):
            need_anomalib()
        data = str(build_parts(tmp_path / "parts"))
        assert (
            main(
                [
                    "evaluate-anomalib",
                    "--data",
                    data,
                    "--detector",
                    "padim",
                    "--out",
                    str(tmp_path / "x"),
                ]
            )
            == 2
        )
        assert (
            main(
                [
                    "reproduce",
                    "--data",
                    data,
                    "--table",
                    "1",
                    "--detectors",
                    "padim",
                    "--weights",
                    "random",
                    "--saliency-weights",
                    "random",
                    "--out",
                    str(tmp_path / "x"),
                ]
            )
            == 2
        )
        assert capsys.readouterr().err.count("expected the optional package anomalib") == 2
        assert not (tmp_path / "x").exists()


@pytest.fixture(scope="module")
def anomalib():
    return pytest.importorskip(
        "anomalib", reason="anomalib is an optional extra: pip install cutswap[anomalib]"
    )


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Path:
    return build_parts(tmp_path_factory.mktemp("detectors") / "parts")


_TINY = ["--image-size", "64", "--patch", "16", "--window", "3", "--width", "32"]
_TINY += ["--blocks", "2", "--windows", "8", "--updates", "20"]


class TestIntra:
    """Our own, which needs no anomalib."""

    def test_same_seed_same_figures_and_the_layout_of_the_script(self, parts, tmp_path):
        words = ["evaluate-intra", "--data", str(parts), "--quiet", "--device", "cpu", *_TINY]
        tables = []
        for seed, out in ((1, "a"), (1, "b"), (2, "c")):
            assert main([*words, "--seed", str(seed), "--out", str(tmp_path / out)]) == 0
            tables.append((tmp_path / out / "detector_scores.csv").read_text())
        assert tables[0] == tables[1] != tables[2]
        assert len(list((tmp_path / "a/anomaly_maps/bolt/test").rglob("*.tiff"))) == 6
        summary = json.loads((tmp_path / "a/detector.json").read_text())
        assert (summary["row"], summary["backbone"]) == ("InTra", None)
        assert summary["settings"]["width"] == 32
        assert "random values" in summary["weights"]

    def test_flags_that_do_not_fit_are_refused_before_any_work(self, parts, tmp_path, capsys):
        words = ["evaluate-intra", "--data", str(parts), "--out", str(tmp_path / "x")]
        assert main([*words, "--heads", "3"]) == 2
        assert "a divisor of the width, 128" in capsys.readouterr().err
        assert not (tmp_path / "x").exists()

    def test_reproduce_computes_its_cell_once_and_says_what_it_is(
        self, parts, tmp_path, monkeypatch
    ):
        monkeypatch.setitem(sys.modules, "anomalib", None)  # nobody asks for it
        monkeypatch.setitem(sys.modules, "anomalib.models", None)
        words = ["reproduce", "--data", str(parts), "--table", "2", "--detectors", "intra"]
        words += ["--seeds", "1", "--weights", "random", "--saliency-weights", "random"]
        words += ["--image-size", "64", "--steps-per-epoch", "1", "--batch-size", "2", "--quiet"]
        words += ["--out", str(tmp_path / "s")]
        tiny = [f"--intra-{w[2:]}" if w.startswith("--") else w for w in _TINY[2:]]
        for computed in (4, 0):
            assert main([*words, *tiny, "--json", str(tmp_path / "r.json")]) == 0
            assert json.loads((tmp_path / "r.json").read_text())["computed"] == computed
        study = read_study(tmp_path / "s")
        (cell,) = [c for c in study.cells if c.row == "InTra"]
        assert study.result(cell).metrics["image_auroc"] is not None
        assert any("InTra is ours" in one for one in statements(study))
        again = study_settings(parse(repeat_study(study)))
        assert again.intra.updates == 20


@pytest.mark.usefixtures("anomalib")
class TestAnomalib:
    """Skipped, with the reason, where anomalib is not installed."""

    @pytest.mark.parametrize("name", ANOMALIB)
    def test_same_seed_same_figures_and_the_layout_of_the_script(self, parts, tmp_path, name):
        words = [
            "evaluate-anomalib",
            "--data",
            str(parts),
            "--detector",
            name,
            "--quiet",
            "--weights",
            "random",
            "--epochs",
            "1",
            "--batch-size",
            "4",
            "--image-size",
            "64",
            "--device",
            "cpu",
        ]
        tables = []
        for seed, out in ((1, "a"), (1, "b"), (2, "c")):
            assert main([*words, "--seed", str(seed), "--out", str(tmp_path / out)]) == 0
            tables.append((tmp_path / out / "detector_scores.csv").read_text())
        assert tables[0] == tables[1] != tables[2]
        assert len(list(csv.DictReader(tables[0].splitlines()))) == 6
        maps = sorted((tmp_path / "a/anomaly_maps/bolt/test").rglob("*.tiff"))
        assert len(maps) == 6
        summary = json.loads((tmp_path / "a/detector.json").read_text())
        assert summary["row"] == DETECTORS[name]
        assert 0 <= summary["image_auroc"] <= 1
        assert summary["missed"]["by_type"][0]["count"] == 3

    def test_the_student_is_not_the_teacher_and_the_teacher_has_our_weights(self):
        backbone = load_backbone("resnet18", "random", seed=5)
        detector = Detector("stfpm", backbone, SMALL, 0, "cpu")
        model = detector._model
        place = "layer1.0.conv1.weight"
        teacher = model.teacher_model.feature_extractor.get_parameter(place)
        student = model.student_model.feature_extractor.get_parameter(place)
        before = teacher.clone(), student.clone()
        assert (teacher == backbone.module.get_parameter(place)).all()
        assert not (teacher == student).all()
        photos = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
        detector.fit(photos, lambda _d, _t: None, lambda: False)
        assert (teacher == before[0]).all()
        assert not (student == before[1]).all()

    def test_reproduce_computes_its_cell_once(self, parts, tmp_path):
        words = [
            "reproduce",
            "--data",
            str(parts),
            "--table",
            "2",
            "--detectors",
            "padim",
            "--seeds",
            "1",
            "--weights",
            "random",
            "--saliency-weights",
            "random",
            "--image-size",
            "64",
            "--steps-per-epoch",
            "1",
            "--batch-size",
            "2",
            "--quiet",
            "--out",
            str(tmp_path / "s"),
        ]
        for computed in (4, 0):
            assert main([*words, "--json", str(tmp_path / "r.json")]) == 0
            assert json.loads((tmp_path / "r.json").read_text())["computed"] == computed
        study = read_study(tmp_path / "s")
        (cell,) = [c for c in study.cells if c.row == "PaDiM"]
        assert study.result(cell).missed["by_type"][0]["count"] == 3
        assert cell.run == ""

    def test_it_can_be_stopped(self, parts):
        checked = check_category(parts, None, skip_bad=False)
        asked = iter((False, True))
        with pytest.raises(Stopped):
            evaluate_detector(
                checked,
                "stfpm",
                load_backbone("resnet18", "random"),
                SMALL,
                stop=lambda: next(asked),
            )

    def test_draem_without_textures_to_paste_is_refused(self, tmp_path):
        with pytest.raises(CutSwapError, match="--textures"):
            Detector(
                "draem",
                load_backbone("resnet18", "random"),
                SMALL.replace(textures=str(tmp_path)),
                0,
                "cpu",
            )
