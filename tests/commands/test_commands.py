"""The command line end to end, on tiny data and untrained networks, and everything it refuses."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import cutswap
from cutswap.commands.parser import main, parse
from cutswap.config import FAMILIES, METHODS
from cutswap.data.images import read_mask, read_photo
from cutswap.negatives.by_hand import BY_HAND
from cutswap.negatives.draw import redraw
from cutswap.negatives.record import NegativeRecord
from tests.helpers.datasets import build_category

SIDE = 64
SMALL = ["--image-size", str(SIDE), "--quiet"]
LOOK = ["--saliency-backbone", "squeezenet1_0", "--saliency-weights", "random", "--layers", "4,12"]
SHORT = ["--weights", "random", "--epochs", "1", "--steps-per-epoch", "2", "--batch-size", "2"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "part one.png"
    Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("bolt", "nut"):
        build_category(tmp_path / "data" / name, train=4)
    return tmp_path / "data"


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


class TestSaliency:
    def test_writes_maps_overlays_and_json(self, photo, tmp_path):
        out, result = tmp_path / "out", tmp_path / "result.json"
        status = run(
            "saliency",
            photo,
            "--backbone",
            "squeezenet1_0",
            "--weights",
            "random",
            "--layers",
            "4,12",
            "--out",
            out,
            "--json",
            result,
            *SMALL,
        )
        assert status == 0
        with np.load(out / "saliency.npz", allow_pickle=False) as stored:
            assert stored["maps"].shape == (2, SIDE, SIDE)
            assert list(stored["layers"]) == ["4", "12"]
            assert stored["maps"].min() >= 0
            assert stored["maps"].max() <= 1
        assert (out / "overlay_4.png").exists()
        assert json.loads(result.read_text())["weights"]["source"] == "random"


class TestAugment:
    @pytest.mark.parametrize("method", METHODS)
    def test_negatives_masks_and_a_record_that_repaints(self, photo, tmp_path, method):
        out = tmp_path / "out"
        status = run(
            "augment",
            photo,
            "--method",
            method,
            "--backbone",
            "squeezenet1_0",
            "--weights",
            "random",
            "--layer",
            "4",
            "--k",
            "3",
            "--count",
            "3",
            "--seed",
            "5",
            "--out",
            out,
            *SMALL,
        )
        assert status == 0
        record = json.loads((out / "record.json").read_text())
        positive = read_photo(out / "positive.png")
        assert np.array_equal(positive, read_photo(photo))
        for index, values in enumerate(record["negatives"]):
            negative = read_photo(out / f"negative_{index:03d}.png")
            mask = read_mask(out / f"mask_{index:03d}.png")
            assert np.array_equal(mask, (negative != positive).any(axis=-1))
            assert mask.any()
            extra = ("positive_jitter", "changed_share")
            known = NegativeRecord.from_dict({k: v for k, v in values.items() if k not in extra})
            assert np.array_equal(redraw(positive, known).photo, negative)

    @pytest.mark.parametrize("method", ["cutswap", "cutswap-scar"])
    def test_patches_placed_by_hand_at_a_draw_s_anchors_give_that_draw(
        self, photo, tmp_path, method
    ):
        words = (
            "augment", photo, "--method", method, "--backbone", "squeezenet1_0", "--weights",
            "random", "--layer", "4", "--seed", "5", "--count", "1", "--weak-jitter", "0.1", *SMALL,
        )  # fmt: skip
        assert run(*words, "--out", tmp_path / "drawn") == 0
        drawn = json.loads((tmp_path / "drawn/record.json").read_text())["negatives"][0]
        at = ",".join(str(n) for anchor in drawn["anchors"] for n in anchor)
        assert run(*words, "--at", at, "--out", tmp_path / "placed") == 0
        for name in ("positive_000.png", "negative_000.png", "mask_000.png"):
            assert (tmp_path / "placed" / name).read_bytes() == (
                tmp_path / "drawn" / name
            ).read_bytes()
        record = json.loads((tmp_path / "placed/record.json").read_text())
        assert record["at"] == drawn["anchors"]
        assert record["negatives"][0]["moves"] == drawn["moves"]
        assert record["negatives"][0]["fallbacks"][-1] == BY_HAND

    def test_the_same_seed_writes_the_same_files(self, photo, tmp_path):
        for out in ("a", "b"):
            run(
                "augment",
                photo,
                "--method",
                "cutpaste",
                "--weak-jitter",
                "0.1",
                "--count",
                "2",
                "--out",
                tmp_path / out,
                *SMALL,
            )
        for name in ("negative_001.png", "positive_001.png", "record.json"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


class TestChain:
    def test_finetune_then_evaluate_then_resume_is_a_no_op(self, data, tmp_path):
        out, result = tmp_path / "run", tmp_path / "train.json"
        command = [
            "finetune",
            "--data",
            data,
            "--category",
            "bolt",
            *SHORT,
            *LOOK,
            "--out",
            out,
            "--json",
            result,
            *SMALL,
        ]
        assert run(*command) == 0
        assert {p.name for p in out.iterdir()} == {
            "settings.json",
            "environment.json",
            "metrics.jsonl",
            "photos.json",
            "checkpoint.safetensors",
            "backbone.safetensors",
            "result.json",
            "heartbeat.json",
            "seen.png",
            "seen.json",
            ".lock",
        }
        steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").open()]
        assert steps == [1, 2]
        assert json.loads(result.read_text())["chance"] == pytest.approx(1 / 3, abs=1e-3)
        settings = json.loads((out / "settings.json").read_text())
        assert settings["training"]["pretrained_factor"] == 0.02  # gentle is the default
        before = (out / "backbone.safetensors").read_bytes()
        assert run(*command) == 0
        assert (out / "backbone.safetensors").read_bytes() == before

        scored, figures = tmp_path / "scored", tmp_path / "figures.json"
        assert (
            run(
                "evaluate",
                "--data",
                data,
                "--category",
                "bolt",
                "--run",
                out,
                "--coreset",
                "0.5",
                "--out",
                scored,
                "--json",
                figures,
                *SMALL,
            )
            == 0
        )
        found = json.loads(figures.read_text())
        for key in (
            "image_auroc",
            "pixel_auroc",
            "aupro",
            "f1_max",
            "threshold",
            "n_train",
            "n_test",
            "bank_size",
            "seconds",
        ):
            assert key in found, key
        assert (found["n_train"], found["n_test"]) == (4, 5)
        heatmaps = np.load(scored / "heatmaps.npy", allow_pickle=False)
        assert heatmaps.shape == (5, SIDE, SIDE)
        assert len(list((scored / "heatmaps").glob("*.png"))) == 5
        rows = list(csv.DictReader((scored / "scores.csv").open()))
        assert len(rows) == 5
        # The verdicts in the table are those of the threshold that gives F1-max.
        called = np.array([r["called_defective"] == "1" for r in rows])
        truth = np.array([r["is_defective"] == "1" for r in rows])

        def f1(verdicts: np.ndarray) -> float:
            return float(2 * (verdicts & truth).sum() / (verdicts.sum() + truth.sum()))

        scores = np.array([float(r["score"]) for r in rows])
        assert f1(called) == pytest.approx(found["f1_max"])
        # No other threshold does better; calling everything may well do as well as any here.
        assert f1(called) == pytest.approx(max(f1(scores >= limit) for limit in scores))
        assert "fine-tuned run" in found["weights"]["source"]

    def test_a_partial_state_dict_is_said_and_recorded(self, data, tmp_path, capsys):
        from cutswap.networks.backbone import load_backbone

        state = load_backbone("resnet18", "random").module.state_dict()
        part = {n: v for n, v in state.items() if not n.startswith(("layer4", "fc"))}
        save_file(part, tmp_path / "part.safetensors")
        arguments = [
            "finetune",
            "--data",
            data,
            "--category",
            "bolt",
            *SHORT,
            *LOOK,
            "--weights",
            tmp_path / "part.safetensors",
            "--out",
            tmp_path / "r",
            *SMALL,
        ]
        assert run(*arguments) == 0
        assert "left random: fc, layer4" in capsys.readouterr().err
        record = json.loads((tmp_path / "r/environment.json").read_text())["weights"]["phi"]
        assert {n.split(".")[0] for n in record["not_loaded"]} == {"fc", "layer4"}

    def test_recipe_paper_and_a_flag_over_it(self):
        from cutswap.training.flags import finetuning_settings

        options = parse(
            [
                "finetune",
                "--data",
                "d",
                "--out",
                "o",
                "--recipe",
                "paper",
                "--pretrained-factor",
                "0.5",
            ]
        )
        training = finetuning_settings(options).training
        assert (training.recipe, training.freeze_batch_norm) == ("paper", False)
        assert training.pretrained_factor == 0.5

    @pytest.mark.parametrize("family", FAMILIES)
    def test_every_family_trains_three_ways(self, data, tmp_path, family):
        out = tmp_path / "run"
        common = ["--data", data, "--category", "bolt", *SHORT, *LOOK, "--out", out, *SMALL]
        assert run("finetune", *common, "--augment", family) == 0
        assert json.loads((out / "settings.json").read_text())["training"]["augment"] == family
        assert json.loads((out / "result.json").read_text())["chance"] == pytest.approx(1 / 3, 1e-3)

    def test_another_command_in_the_same_folder_is_refused(self, data, tmp_path, capsys):
        common = [
            "finetune",
            "--data",
            data,
            "--category",
            "bolt",
            *SHORT,
            *LOOK,
            "--out",
            tmp_path / "run",
            *SMALL,
        ]
        assert run(*common) == 0
        assert run(*common, "--k", "2") == 2
        assert "clusters.k" in capsys.readouterr().err

    def test_an_unfinished_run_is_not_evaluated(self, data, tmp_path, capsys):
        out = tmp_path / "run"
        run("finetune", "--data", data, "--category", "bolt", *SHORT, *LOOK, "--out", out, *SMALL)
        (out / "backbone.safetensors").unlink()
        assert (
            run(
                "evaluate",
                "--data",
                data,
                "--category",
                "bolt",
                "--run",
                out,
                "--out",
                tmp_path / "x",
                *SMALL,
            )
            == 2
        )
        assert "has not finished" in capsys.readouterr().err

    def test_skip_bad_goes_on_and_records(self, data, tmp_path, capsys):
        bad = data / "bolt/train/good/001.png"
        bad.write_bytes(b"")
        common = [
            "evaluate",
            "--data",
            data,
            "--category",
            "bolt",
            "--weights",
            "random",
            "--coreset",
            "1",
            "--json",
            tmp_path / "j.json",
            *SMALL,
        ]
        assert run(*common, "--out", tmp_path / "a") == 2
        assert "--skip-bad" in capsys.readouterr().err
        assert run(*common, "--out", tmp_path / "b", "--skip-bad") == 0
        found = json.loads((tmp_path / "j.json").read_text())
        assert found["n_train"] == 3
        assert [Path(p["path"]).name for p in found["data"]["left_out"]] == ["001.png"]


class TestCheckData:
    def test_sound_data(self, data, tmp_path):
        assert run("check-data", "--data", data, "--json", tmp_path / "r.json", "--quiet") == 0
        assert set(json.loads((tmp_path / "r.json").read_text())["categories"]) == {"bolt", "nut"}

    def test_all_problems_at_once_and_status_1(self, data, capsys):
        (data / "bolt/train/good/000.png").write_bytes(b"nonsense")
        whole = (data / "nut/test/crack/000.png").read_bytes()
        (data / "nut/test/crack/000.png").write_bytes(whole[: len(whole) // 2])
        assert run("check-data", "--data", data, "--quiet") == 1
        printed = capsys.readouterr().out
        assert "bolt/train/good/000.png" in printed
        assert "nut/test/crack/000.png" in printed


def misfit(folder: Path) -> Path:
    path = folder / "misfit.safetensors"
    save_file({"conv1.weight": torch.zeros(3, 3)}, path)
    return path


# (name, arguments with {data} {photo} {tmp}, words that the one line on stderr must have)
REFUSALS = [
    ("missing data", "evaluate --data {tmp}/nowhere --weights random --out {tmp}/o", ["nowhere"]),
    (
        "category that does not exist",
        "evaluate --data {data} --category bolts --weights random --out {tmp}/o",
        ["bolts", "bolt, nut"],
    ),
    ("no category named", "evaluate --data {data} --weights random --out {tmp}/o", ["bolt, nut"]),
    (
        "missing image",
        "saliency {tmp}/no.png --backbone resnet18 --weights random --out {tmp}/o",
        ["no.png"],
    ),
    (
        "layer that does not exist",
        "saliency {photo} --backbone squeezenet1_0 --weights random --layers 4,99 --out {tmp}/o",
        ["99", "0 to 12"],
    ),
    (
        "unknown backbone",
        "saliency {photo} --backbone vgg99 --weights random --out {tmp}/o",
        ["vgg99", "resnet18"],
    ),
    (
        "K below 1",
        "augment {photo} --k 0 --backbone resnet18 --weights random --out {tmp}/o",
        ["k:", ">= 1", "0"],
    ),
    (
        "K not a number",
        "augment {photo} --k four --backbone resnet18 --weights random --out {tmp}/o",
        ["--k", "whole number", "four"],
    ),
    (
        "coreset above 1",
        "evaluate --data {data} --category bolt --weights random --coreset 1.5 --out {tmp}/o",
        ["coreset", "1.5"],
    ),
    (
        "coreset 0",
        "evaluate --data {data} --category bolt --weights random --coreset 0 --out {tmp}/o",
        ["coreset", "> 0"],
    ),
    (
        "patch larger than the image",
        "augment {photo} --method cutpaste --area 0.5,1.5 --out {tmp}/o",
        ["area", "<= 1"],
    ),
    (
        "patches placed by hand that overlap",
        "augment {photo} --backbone squeezenet1_0 --weights random --layer 4 --k 1 --at 3,3,3,4"
        " --out {tmp}/o",
        ["second anchor", "apart from the first", "row 3, column 4"],
    ),
    (
        "patches placed by hand outside",
        "augment {photo} --backbone squeezenet1_0 --weights random --layer 4 --at 3,9999,3,4"
        " --out {tmp}/o",
        ["first anchor", "column 9999"],
    ),
    (
        "a paste placed by hand",
        "augment {photo} --method cutpaste --at 3,3,40,40 --out {tmp}/o",
        ["--at", "swaps two patches", "cutpaste"],
    ),
    (
        "three numbers for two anchors",
        "augment {photo} --at 3,3,40 --out {tmp}/o",
        ["--at", "Y,X,Y,X", "3,3,40"],
    ),
    ("unknown method", "augment {photo} --method cutmix --out {tmp}/o", ["cutmix", "cutpaste"]),
    (
        "missing weights",
        "saliency {photo} --backbone resnet18 --weights {tmp}/no.pth --out {tmp}/o",
        ["no.pth", "no such file"],
    ),
    (
        "weights that do not fit",
        "saliency {photo} --backbone resnet18 --weights {misfit} --out {tmp}/o",
        ["conv1.weight", "(3, 3)", "(64, 3, 7, 7)"],
    ),
    (
        "weights that are no state dict",
        "saliency {photo} --backbone resnet18 --weights {photo} --out {tmp}/o",
        ["state dict"],
    ),
    (
        "target class out of range",
        "saliency {photo} --backbone resnet18 --weights random --target-class 5000 --out {tmp}/o",
        ["5000", "0 to 999"],
    ),
    ("out is a file", "augment {photo} --method cutpaste --out {photo}", ["a file"]),
    (
        "run that is none",
        "evaluate --data {data} --category bolt --run {tmp} --out {tmp}/o",
        ["settings.json"],
    ),
    (
        "device that is not there",
        "evaluate --data {data} --category bolt --weights random --device cuda:7 --out {tmp}/o",
        ["cuda:7", "cpu"],
    ),
    (
        "two layers for augment",
        "augment {photo} --layer 4,12 --backbone squeezenet1_0 --weights random --out {tmp}/o",
        ["one layer"],
    ),
]


class TestRefusals:
    @pytest.mark.parametrize(
        ("command", "words"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS]
    )
    def test_one_clear_line_and_status_2(self, command, words, data, photo, tmp_path, capsys):
        paths = {"data": data, "photo": "PHOTO", "tmp": tmp_path, "misfit": misfit(tmp_path)}
        arguments = [str(photo) if a == "PHOTO" else a for a in command.format(**paths).split()]
        assert main([*arguments, "--quiet"]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        refusal = lines[-1]
        assert refusal.startswith("cutswap: ")
        assert "expected" in refusal
        assert "To fix it" in refusal
        assert not any("Traceback" in line for line in lines)
        for word in words:
            assert word in refusal

    def test_debug_shows_the_traceback(self, tmp_path):
        with pytest.raises(ValueError, match="nowhere"):
            run("check-data", "--data", tmp_path / "nowhere", "--debug")

    def test_a_constant_image_has_no_negative(self, tmp_path, capsys):
        path = tmp_path / "grey.png"
        Image.fromarray(np.full((SIDE, SIDE, 3), 127, np.uint8)).save(path)
        assert (
            run(
                "augment",
                path,
                "--method",
                "cutpaste",
                "--jitter",
                "0",
                "--out",
                tmp_path / "o",
                *SMALL,
            )
            == 2
        )
        assert "constant" in capsys.readouterr().err

    def test_a_one_folder_data_set_is_enough_for_negatives_but_not_for_scores(
        self, data, tmp_path, capsys
    ):
        folder = tmp_path / "mine"
        shutil.copytree(data / "bolt/train/good", folder)
        assert (
            run("finetune", "--data", folder, *SHORT, *LOOK, "--out", tmp_path / "r", *SMALL) == 0
        )
        assert (
            run(
                "evaluate", "--data", folder, "--weights", "random", "--out", tmp_path / "e", *SMALL
            )
            == 2
        )
        assert "test images" in capsys.readouterr().err


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"cutswap {cutswap.__version__}\n"


def test_help_needs_no_torch():
    code = (
        "import sys; from cutswap.commands.parser import build_parser;"
        " build_parser().format_help();"
        " sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
