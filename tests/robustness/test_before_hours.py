"""Refused before hours instead of after: nothing to score, blank photos, a changed set.

Each test runs the command as a user does; trainings are of two updates, or must not begin at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cutswap.commands.parser import main
from cutswap.data.images import is_constant
from cutswap.negatives.draw import UnchangedError
from cutswap.networks.backbone import load_backbone
from cutswap.runs.folder import RunFolder
from cutswap.sweeps import cell
from tests.helpers.datasets import build_category, noise_photo, write_image

TINY = [
    *("--image-size", "64", "--weights", "random", "--saliency-backbone", "squeezenet1_0"),
    *("--saliency-weights", "random", "--epochs", "1", "--steps-per-epoch", "2"),
    *("--batch-size", "2", "--hidden", "8", "--device", "cpu", "--precision", "float32", "--quiet"),
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


# Plans


@pytest.mark.parametrize(
    ("test", "found"),
    [({"good": 3}, "3 good and 0"), ({"crack": 2}, "0 good and 2"), ({}, "0 good and 0")],
    ids=["only good", "only defective", "no test photo"],
)
@pytest.mark.parametrize(
    "command", [["sweep", "--grid", "k=1..2"], ["reproduce", "--table", "1"]], ids=["sweep", "rep"]
)
def test_a_plan_with_nothing_to_score_is_refused_before_the_first_training(
    command, test, found, tmp_path: Path, monkeypatch, capsys
):
    for name in ("bolt", "nut", "ring"):
        build_category(tmp_path / "data" / name, test=None if name == "bolt" else test)

    def trained(*_: object, **__: object) -> None:
        raise AssertionError("a training has begun")

    monkeypatch.setattr(cell, "finetune", trained)
    words = [*command, "--data", tmp_path / "data", "--out", tmp_path / "out", *TINY]
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert "nut" in said  # every such category at once, and not the sound one
    assert f"{found} defective in ring" in said
    assert "bolt" not in said
    assert not (tmp_path / "out" / "cells").exists()


def test_what_skip_bad_leaves_is_asked_for_before_the_training(tmp_path: Path, monkeypatch, capsys):
    category = build_category(tmp_path / "data" / "bolt", test={"good": 1, "crack": 2})
    (category / "test/good/000.png").write_bytes(b"")  # the only good one

    def trained(*_: object, **__: object) -> None:
        raise AssertionError("a training has begun")

    monkeypatch.setattr(cell, "finetune", trained)
    words = ["reproduce", "--table", "1", "--seeds", "1", "--data", tmp_path / "data", "--skip-bad"]
    assert run(*words, "--out", tmp_path / "out", *TINY) == 1
    said = capsys.readouterr().out
    assert "0 good and 2 defective" in said
    assert "a training has begun" not in said


# Blank photos


def spotted(level: int, spots: int, change: int, side: int = 128) -> np.ndarray:
    photo = np.full((side, side, 3), level, np.uint8)
    places = np.random.default_rng(0).integers(0, side, (spots, 2))
    photo[places[:, 0], places[:, 1]] += np.uint8(change)
    return photo


def finely_patterned() -> np.ndarray:
    """Uniform once it is squashed to half its size."""
    odd = np.indices((128, 128)).sum(axis=0) % 2
    return np.repeat((odd[..., None] * 2 + 100).astype(np.uint8), 3, axis=2)


def noisy(level: int, channels: int) -> np.ndarray:
    """A covered lens: noise of one level."""
    photo = np.full((128, 128, 3), level, np.uint8)
    photo[..., :channels] += np.random.default_rng(0).integers(0, 2, (128, 128, 1), np.uint8)
    return photo


@pytest.mark.parametrize(
    ("photo", "is_seen_by_check"),
    [
        (spotted(255, 1, 255), True),  # one pixel of 254
        (spotted(0, 3, 90), True),
        (spotted(128, 12, 1), True),
        (noisy(120, 1), True),
        (noisy(0, 3), True),
        (finely_patterned(), False),  # only the working size makes it uniform
    ],
    ids=["white and one 254", "black and 3", "grey and 12", "red noise", "dark", "fine pattern"],
)
def test_a_blank_photo_is_named_before_training(
    photo, is_seen_by_check: bool, tmp_path: Path, capsys
):
    data = build_category(tmp_path / "bolt", train=3)
    for i in range(3):
        write_image(data / f"train/good/{i:03d}.png", noise_photo(i, (64, 64)))
    write_image(data / "train/good/white.png", photo)
    assert is_constant(photo) is is_seen_by_check
    assert run("check-data", "--data", data) == int(is_seen_by_check)
    assert ("white.png" in capsys.readouterr().out) is is_seen_by_check
    words = ["finetune", "--data", data, "--out", tmp_path / "run", *TINY]
    assert run(*words) == 2
    assert "white" in capsys.readouterr().err
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    assert run(*words, "--skip-bad") == 0
    assert "left out 1 unusable file (white.png)" in capsys.readouterr().err
    data = RunFolder(tmp_path / "run").settings()["data"]
    assert [Path(p["path"]).name for p in data["left_out"]] == ["white.png"]
    assert data["n_train"] == 3
    assert run(*words, "--skip-bad") == 0  # goes on with the same photos


def striped() -> np.ndarray:
    photo = np.full((128, 128, 3), 90, np.uint8)
    photo[:, ::2] += 4
    return photo


def speckled() -> np.ndarray:
    """Two levels that come to the same mean in each square of four."""
    return np.tile(np.array([[60, 64], [64, 60]], np.uint8), (64, 64))[..., None].repeat(3, 2)


HEAD = [
    *("--train", "projector", "--augment", "nsa", "--area", "0.2,0.4", "--head-updates", "2"),
    *("--head-draws", "1", "--head-grid", "8", "--head-width", "8"),
]


@pytest.mark.parametrize(
    ("photo", "command"),
    [
        (striped, ["finetune", *HEAD]),
        (speckled, ["finetune", *HEAD]),
        pytest.param(finely_patterned, ["sweep", "--grid", "k=2"], marks=pytest.mark.journey),
    ],
    ids=["striped", "speckled", "sweep"],
)
def test_what_the_working_size_makes_uniform_is_left_out_of_every_training(
    photo: Callable[[], np.ndarray], command: list[str], tmp_path: Path, capsys
):
    data = build_category(tmp_path / "data/bolt", train=4)
    write_image(data / "train/good/fine.png", photo())
    assert not is_constant(photo())
    words = [*command, "--data", tmp_path / "data", "--out", tmp_path / "out", *TINY]
    if command[0] == "finetune":
        assert run(*words) == 2
        said = capsys.readouterr().err
        assert "fine.png: (nearly) all pixels are alike at 64 x 64" in said
        assert "--skip-bad" in said
    assert run(*words, "--skip-bad") == 0


@pytest.mark.parametrize("seed", range(3))
def test_photos_that_show_something_are_not_blank(seed: int):
    photo = np.full((256, 256, 3), 255, np.uint8)
    photo[100 + seed : 112 + seed, 60:72] = noise_photo(seed, (12, 12))  # a small part on white
    assert not is_constant(photo)
    assert not is_constant(noise_photo(seed))


def test_a_photo_that_its_jitter_blanks_is_named(tmp_path: Path, monkeypatch, capsys):
    from cutswap.negatives import samples

    def unchanged(*_: object, **__: object) -> None:
        raise UnchangedError("positive image", expected="a", found="b", fix="c")

    monkeypatch.setattr(samples, "draw_sample", unchanged)
    data = build_category(tmp_path / "bolt", train=3)
    assert run("finetune", "--data", data, "--out", tmp_path / "run", *TINY) == 2
    assert "train/good/00" in capsys.readouterr().err


# A resumed run


def replaced(data: Path) -> None:
    write_image(data / "train/good/001.png", noise_photo(99))


def added(data: Path) -> None:
    write_image(data / "train/good/007.png", noise_photo(99))


def swapped(data: Path) -> None:
    first, second = data / "train/good/000.png", data / "train/good/001.png"
    first.rename(data / "x")
    second.rename(first)
    (data / "x").rename(second)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (replaced, "1 changed (train/good/001)"),
        (swapped, "2 changed (train/good/000, train/good/001)"),
        (lambda data: (added(data), (data / "train/good/002.png").unlink()), "1 new"),
    ],
    ids=["replaced", "swapped", "one for another"],
)
@pytest.mark.parametrize("kind", ["backbone", pytest.param("projector", marks=pytest.mark.journey)])
def test_a_run_whose_photos_changed_is_not_resumed(
    change: Callable[[Path], object], said: str, kind: str, tmp_path: Path, capsys
):
    data, out = build_category(tmp_path / "bolt", train=4), tmp_path / "run"
    words = ["finetune", "--data", data, "--out", out, *TINY]
    if kind == "projector":
        words += ["--train", "projector", "--augment", "nsa", "--head-updates", "2"]
        words += ["--head-draws", "1", "--head-grid", "8", "--head-width", "8", "--area", "0.2,0.4"]
    assert run(*words) == 0
    (out / "result.json").unlink()  # as if it had been stopped
    before = (out / "metrics.jsonl").read_bytes()
    for photo in (data / "train/good").iterdir():
        os.utime(photo, (1, 1))  # a copied set is the same set
    assert run(*words) == 0
    (out / "result.json").unlink()
    change(data)
    capsys.readouterr()
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "another --out" in told
    assert (out / "metrics.jsonl").read_bytes() == before
    if change is not replaced:
        return
    assert run(*words, "--beside") == 0  # the way out
    assert f"this one is in {tmp_path / 'run-2'}" in capsys.readouterr().err
    assert (tmp_path / "run-2/result.json").is_file()
    assert not (out / "result.json").exists()
    # Runs of earlier versions noted no photos: they go on, which is said once.
    (out / "photos.json").unlink()
    assert run(*words) == 0
    assert "without noting its training photos" in capsys.readouterr().err
    (out / "result.json").unlink()
    assert run(*words, "--beside") == 0  # the very same start: it goes on where it is
    assert "older version" not in capsys.readouterr().err
    assert (out / "result.json").exists()


@pytest.mark.parametrize("kind", ["backbone", pytest.param("projector", marks=pytest.mark.journey)])
def test_a_run_whose_starting_weights_changed_is_not_resumed(kind: str, tmp_path: Path, capsys):
    """The file keeps its name and gets other content: settings alone would not show it."""
    data, out = build_category(tmp_path / "bolt", train=4), tmp_path / "run"
    files = {"trained": tmp_path / "phi.pth", "saliency": tmp_path / "saliency.pth"}
    networks = {"trained": "resnet18", "saliency": "squeezenet1_0"}

    def write(name: str, seed: int) -> None:
        state = load_backbone(networks[name], "random", seed=seed).module.state_dict()
        torch.save(state, files[name])

    for name in files:
        write(name, 0)
    words = ["finetune", "--data", data, "--out", out, *TINY]
    words += ["--weights", files["trained"], "--saliency-weights", files["saliency"]]
    if kind == "projector":
        words += ["--train", "projector", "--head-updates", "2", "--head-draws", "1"]
        words += ["--head-grid", "8", "--head-width", "8", "--area", "0.2,0.4"]
    assert run(*words) == 0
    (out / "result.json").unlink()
    before = (out / "checkpoint.safetensors").read_bytes()
    for name, file in files.items():
        write(name, 1)
        capsys.readouterr()
        assert run(*words) == 2
        told = capsys.readouterr().err
        assert f"the {name} network's" in told
        assert str(file) in told
        assert "--beside" in told
        write(name, 0)
    assert (out / "checkpoint.safetensors").read_bytes() == before


def test_a_run_that_never_began_may_have_other_photos(tmp_path: Path):
    data, out = build_category(tmp_path / "bolt", train=4), tmp_path / "run"
    out.mkdir()
    (out / "photos.json").write_text(json.dumps({"train/good/000": "0" * 64}))  # killed early
    assert run("finetune", "--data", data, "--out", out, *TINY) == 0
    assert len(json.loads((out / "photos.json").read_text())) == 4
    shutil.rmtree(out)
