"""`finetune --train projector|discriminator` and `evaluate --run`, end to end on tiny data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cutswap.commands.parser import main
from cutswap.config import HEADS, LEARNT_HEADS, NO_FAMILY
from cutswap.heads.detector import HeadDetector
from cutswap.heads.patch_head import PatchHead
from cutswap.runs.states import DONE, read_run
from tests.helpers.datasets import build_category

SIDE = 64
SMALL = ["--quiet", "--image-size", SIDE, "--weights", "random"]
HEAD = [
    "--augment",
    "nsa",
    "--head-updates",
    4,
    "--head-width",
    8,
    "--head-kernel",
    3,
    "--head-blocks",
    1,
    "--head-draws",
    1,
    "--head-photos",
    4,
    "--head-grid",
    8,
    "--area",
    "0.2,0.4",
]


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in ("bolt", "nut"):
        build_category(folder / name, train=5)
    return folder


def train(root: Path, out: Path, *more: object, kind: str = "projector") -> int:
    return run(
        "finetune",
        "--data",
        root,
        "--category",
        "bolt",
        "--train",
        kind,
        "--out",
        out,
        *SMALL,
        *HEAD,
        *more,
    )


def evaluate(root: Path, trained: Path, out: Path, *more: object, category: str = "bolt") -> int:
    return run(
        "evaluate",
        "--data",
        root,
        "--category",
        category,
        "--run",
        trained,
        "--out",
        out,
        "--quiet",
        "--image-size",
        SIDE,
        "--coreset",
        0.05,
        *more,
    )


@pytest.fixture(scope="module", params=HEADS)
def trained(request: pytest.FixtureRequest, root: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / request.param
    assert train(root, out, kind=request.param) == 0
    return out


def test_a_run_is_done_for_all_that_lists_runs(trained: Path):
    found = read_run(trained)
    learns = trained.name in LEARNT_HEADS
    updates = (8, 8) if learns else (0, None)  # on trial, then on all photos
    assert (found.state, found.step, found.steps) == (DONE, *updates)
    assert found.result["trained"] == trained.name
    assert found.result["updates"] == updates[0]
    assert found.result.get("chance") == (0.5 if learns else None)
    assert not list(trained.glob("*features*"))


def test_an_evaluation_says_whose_scores_count(trained: Path, root: Path, tmp_path: Path):
    results = {}
    for name in ("bank", "head", "both"):
        assert evaluate(root, trained, tmp_path / name, "--score", name) == 0
        results[name] = json.loads((tmp_path / name / "result.json").read_text())
        assert results[name]["score"] == name
        figures = results[name]["scores"]
        assert set(figures) == {"bank", "head", "both"}
        assert results[name]["image_auroc"] == figures[name]["image_auroc"]
        own = (tmp_path / name / "by_score" / name / "scores.csv").read_bytes()
        assert own == (tmp_path / name / "scores.csv").read_bytes()
    assert results["bank"]["scores"] == results["both"]["scores"]


def test_the_bank_is_the_one_that_evaluate_gives_without_a_head(
    trained: Path, root: Path, tmp_path: Path
):
    assert evaluate(root, trained, tmp_path / "ours", "--score", "bank") == 0
    assert (
        run(
            "evaluate",
            "--data",
            root,
            "--category",
            "bolt",
            "--out",
            tmp_path / "plain",
            "--weights",
            trained / "backbone.safetensors",
            "--quiet",
            "--image-size",
            SIDE,
            "--coreset",
            0.05,
        )
        == 0
    )
    for file in ("scores.csv", "heatmaps.npy"):
        assert (tmp_path / "ours" / file).read_bytes() == (tmp_path / "plain" / file).read_bytes()


def test_a_saved_detector_gives_the_scores_of_its_evaluation(
    trained: Path, root: Path, tmp_path: Path
):
    from cutswap.data.datasets import open_dataset
    from cutswap.data.images import to_image
    from cutswap.data.loading import load_photos

    assert evaluate(root, trained, tmp_path / "e") == 0
    detector = HeadDetector.load(tmp_path / "e" / "detector.safetensors")
    photos = load_photos(open_dataset(root).category("bolt").test, SIDE)
    found = detector.score(to_image(photos))
    for name in ("bank", "head", "both"):
        kept = np.load(tmp_path / "e" / "by_score" / name / "heatmaps.npy", allow_pickle=False)
        np.testing.assert_allclose(found.by(name).heatmaps, kept, rtol=1e-4, atol=1e-5)


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said to a refused command: one line, beside where weights come from."""
    (line,) = [v for v in capsys.readouterr().err.splitlines() if v.startswith("cutswap: ")]
    return line


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--layers", "layer1,layer2"], "layers of head and bank"),
        (["--image-size", "96"], "image size of head and bank"),
    ],
)
def test_a_head_for_another_bank_is_refused(
    trained: Path, root: Path, tmp_path: Path, capsys, more, said
):
    assert evaluate(root, trained, tmp_path / "e", *more) == 2
    assert said in refusal(capsys)
    assert not (tmp_path / "e").exists()


def test_a_head_of_another_category_is_refused(trained: Path, root: Path, tmp_path: Path, capsys):
    assert evaluate(root, trained, tmp_path / "e", category="nut") == 2
    assert "trained on, bolt, found nut" in refusal(capsys)


def test_a_head_of_another_network_is_refused(trained: Path, root: Path, tmp_path: Path, capsys):
    other = tmp_path / "run"
    shutil.copytree(trained, other)
    assert train(root, tmp_path / "seed", "--seed", "1") == 0  # other random weights
    shutil.copy(tmp_path / "seed" / "backbone.safetensors", other / "backbone.safetensors")
    capsys.readouterr()
    assert evaluate(root, other, tmp_path / "e") == 2
    assert "network of head and bank" in refusal(capsys)


@pytest.mark.parametrize("kind", HEADS)
def test_one_training_photo_is_refused(tmp_path: Path, capsys, kind: str):
    build_category(tmp_path / "bolt", train=1)
    assert train(tmp_path, tmp_path / "run", kind=kind) == 2
    assert "at least 2 good ones" in refusal(capsys)


FEW = ["--area", "0.0005,0.0006", "--ways", "2", "--head-grid", "2"]


@pytest.mark.parametrize("kind", LEARNT_HEADS)
def test_negatives_without_a_changed_patch_are_refused(root: Path, tmp_path: Path, capsys, kind):
    assert train(root, tmp_path / "run", *FEW, kind=kind) == 2
    assert "change more than half of at least one" in refusal(capsys)


def test_a_gaussian_needs_no_negatives(root: Path, tmp_path: Path, capsys):
    for out, more in (("few", FEW), ("saliency", ["--augment", "cutswap", *FEW])):
        assert train(root, tmp_path / out, *more, kind="gaussian") == 0
        assert "mean and deviation of every channel" in capsys.readouterr().out
    one, other = (tmp_path / n / "head.safetensors" for n in ("few", "saliency"))
    assert one.read_bytes() == other.read_bytes()  # whatever negatives would have been drawn
    assert train(root, tmp_path / "few", *FEW, kind="gaussian") == 0  # again: it is done


def test_score_wants_a_run_with_a_head(root: Path, tmp_path: Path, capsys):
    assert (
        run(
            "evaluate",
            "--data",
            root,
            "--category",
            "bolt",
            "--out",
            tmp_path / "e",
            "--weights",
            "random",
            "--score",
            "head",
        )
        == 2
    )
    assert "a --run that trained a head" in refusal(capsys)


def test_an_unfinished_run_is_refused(trained: Path, root: Path, tmp_path: Path, capsys):
    other = tmp_path / "run"
    shutil.copytree(trained, other)
    (other / "head.safetensors").unlink()
    assert evaluate(root, other, tmp_path / "e") == 2
    assert "the run has not finished" in refusal(capsys)


def test_the_head_knows_what_it_was_trained_on(trained: Path):
    head = PatchHead.load(trained / "head.safetensors")
    assert head.origin.category == "bolt"
    assert head.origin.family == ("nsa" if trained.name in LEARNT_HEADS else NO_FAMILY)
    assert head.origin.held_out == (0,)
    assert head.settings.train == trained.name
