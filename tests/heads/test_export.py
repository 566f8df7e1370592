"""A head in an exported network: ONNX Runtime and LibTorch score as the library does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cutswap.commands.parser import main
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.heads import export as exporting
from cutswap.heads.export import HeadOutputs
from cutswap.heads.patch_head import KINDS, PatchHead
from cutswap.networks.export import FILES, export_model
from cutswap.patchcore.embeddings import embed
from tests.helpers.datasets import build_category
from tests.helpers.head_runs import HEAD_LAYERS, HEAD_SIZE, train_tiny_head
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import tiny_backbone

PHOTOS = np.stack([photo_of(seed, (HEAD_SIZE, HEAD_SIZE)) for seed in (7, 8)])
NAMES = [*HEAD_LAYERS, "patch_scores", "image_score"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    build_category(folder / "bolt", train=5)
    return folder


@pytest.fixture(scope="module", params=sorted(KINDS))
def head(request: pytest.FixtureRequest, root: Path, tmp_path_factory) -> PatchHead:
    run = train_tiny_head(root, tmp_path_factory.mktemp("run") / request.param, request.param)
    return PatchHead.load(run / "head.safetensors")


def outputs(path: Path, photos: np.ndarray) -> dict[str, np.ndarray]:
    """What ONNX Runtime makes of (N, H, W, 3) uint8, by name."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install cutswap[export]")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    image = photos.transpose(0, 3, 1, 2).astype(np.float32) / 255
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(None, {"image": image}), strict=True))


def by_the_library(head: PatchHead, photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    patches = head.score_patches(embed(tiny_backbone(0), to_image(photos), HEAD_LAYERS))
    return patches, head.image_scores(patches)


@pytest.mark.parametrize("grid", [8, 5])  # 5 places of 32: cells of unequal size
@pytest.mark.journey
def test_onnx_runtime_scores_as_the_library_does(root: Path, head: PatchHead, tmp_path, grid):
    pytest.importorskip("onnxscript", reason="pip install cutswap[export]")
    if grid != head.settings.grid:
        run = train_tiny_head(root, tmp_path / "run", head.settings.train, grid=grid)
        head = PatchHead.load(run / "head.safetensors")
    export_model(
        tiny_backbone(0),
        tmp_path / "x",
        layers=HEAD_LAYERS,
        image_size=HEAD_SIZE,
        formats=("onnx",),
        extra=HeadOutputs(head),
    )
    for photos in (PHOTOS, PHOTOS[:1]):
        found = outputs(tmp_path / "x" / FILES["onnx"], photos)
        patches, images = by_the_library(head, photos)
        assert list(found) == NAMES
        np.testing.assert_allclose(found["patch_scores"], patches, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found["image_score"], images, rtol=1e-3, atol=1e-4)
        assert patches.std() > 0  # a constant would agree with anything


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_torchscript_scores_as_the_library_does(head: PatchHead, tmp_path: Path):
    about = export_model(
        tiny_backbone(0),
        tmp_path,
        layers=("layer3",),  # other outputs than the head's layers
        image_size=HEAD_SIZE,
        formats=("torchscript",),
        extra=HeadOutputs(head),
    )
    loaded = torch.jit.load(str(tmp_path / FILES["torchscript"]))
    image = torch.from_numpy(PHOTOS.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    _, patches, images = (v.numpy() for v in loaded(image))
    wanted = by_the_library(head, PHOTOS)
    np.testing.assert_allclose(patches, wanted[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(images, wanted[1], rtol=1e-3, atol=1e-4)
    assert list(about["outputs"]) == ["layer3", "patch_scores", "image_score"]
    assert about["outputs"]["image_score"] == ["N"]


def test_a_head_that_scores_otherwise_is_not_left(head: PatchHead, tmp_path, monkeypatch):
    scores = exporting.HeadGraph.forward
    monkeypatch.setattr(
        exporting.HeadGraph, "forward", lambda s, *x: tuple(1.01 * v for v in scores(s, *x))
    )
    with pytest.raises(CutSwapError, match="patch_scores within"):
        export_model(
            tiny_backbone(0),
            tmp_path,
            layers=HEAD_LAYERS,
            image_size=HEAD_SIZE,
            formats=("torchscript",),
            extra=HeadOutputs(head),
        )
    assert list(tmp_path.iterdir()) == []


# The command


@pytest.fixture(scope="module")
def run(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny_head(root, tmp_path_factory.mktemp("run") / "projector")


def export(run: Path, out: Path, *more: object) -> int:
    words = ["export", "model", "--run", run, "--out", out, "--formats", "torchscript", *more]
    return main([*map(str, words), "--quiet"])


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of the tiny network are read back as such."""
    from cutswap.training import finetuning

    monkeypatch.setattr(finetuning, "tuned_backbone", lambda *_: tiny_backbone(0))


def test_a_head_run_is_exported_with_its_head(run: Path, tmp_path: Path, capsys):
    assert export(run, tmp_path / "x") == 0
    said = capsys.readouterr().out
    assert "the projector for bolt is in it: patch_scores" in said
    about: dict[str, Any] = json.loads((tmp_path / "x" / "model.json").read_text())
    assert list(about["outputs"]) == NAMES
    assert about["input"]["shape"] == ["N", 3, HEAD_SIZE, HEAD_SIZE]
    assert about["head"]["settings"]["train"] == "projector"
    assert about["head"]["origin"]["category"] == "bolt"
    assert set(about["head"]["outputs"]) == {"patch_scores", "image_score"}


def test_another_image_size_than_the_heads_is_refused(run: Path, tmp_path: Path, capsys):
    assert export(run, tmp_path / "x", "--image-size", 96) == 2
    assert "expected 64, which the head was trained on, found 96" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_run_whose_head_is_not_there_is_refused(run: Path, tmp_path: Path, capsys):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "head.safetensors").unlink()
    assert export(tmp_path / "run", tmp_path / "x") == 2
    assert "the run has not finished" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
