"""A detector that leaves: its network scores as the library does, and edits are found."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cutswap.commands.parser import main
from cutswap.data.images import read_photo, resize_photo
from cutswap.data.reading import RESIZES, ReadingSettings
from cutswap.data.regions.frame import framed_photo
from cutswap.decision import export as exporting
from cutswap.decision import graph as graphs
from cutswap.decision.conformal import p_values
from cutswap.decision.decision import Decision
from cutswap.decision.export import export_detector, made_up_photos
from cutswap.decision.exported import DETECTOR_FILES, NETWORK, content_hash, open_detector
from cutswap.decision.graph import DetectorGraph
from cutswap.decision.open_detector import EvaluatedDetector, OpenDetector, scores_by
from cutswap.decision.run_detector import read_photo as runner_reads
from cutswap.errors import CutSwapError
from cutswap.heads.detector import HeadDetector
from cutswap.heads.joining import Join
from cutswap.heads.patch_head import PatchHead
from cutswap.patchcore.memory_bank import MemoryBank
from tests.helpers.datasets import build_category, noise_photo, write_image
from tests.helpers.head_runs import HEAD_LAYERS, HEAD_SIZE, train_tiny_head
from tests.helpers.scored import SETTINGS
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import tiny_backbone

PHOTOS = np.stack([photo_of(seed, (HEAD_SIZE, HEAD_SIZE)) for seed in (7, 8, 9)])
TRAIN = np.stack([photo_of(seed, (HEAD_SIZE, HEAD_SIZE)) for seed in range(4)])


def bank_of(**settings: Any) -> MemoryBank:
    """A bank of a tiny network; the first photo it is asked about is one of its own."""
    from cutswap.data.images import to_image

    own = SETTINGS.replace(layers=HEAD_LAYERS, coreset=0.02, **settings)
    return MemoryBank.fit(tiny_backbone(), [to_image(TRAIN)], own, count=len(TRAIN))


def by_the_graph(graph: DetectorGraph, photos: np.ndarray) -> dict[str, np.ndarray]:
    with torch.no_grad():
        values = graph.eval()(torch.from_numpy(photos))
    return {name: value.numpy() for name, value in zip(graph.names, values, strict=True)}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"image_patches": 1},
        {"neighbours": 3, "sigma": 0.0},
        {"reweight": 4, "image_patches": 2},
        {"whiten": "pca", "sigma": 6.0},
        {"whiten": "both", "neighbours": 2},
        {"layers": ("layer1",), "whiten": "channels", "reweight": 3},
        {"image_patches": 5000, "neighbours": 500, "reweight": 500},  # more than there are
    ],
    ids=str,
)
def test_the_graph_scores_as_the_bank_does(settings: dict[str, Any]):
    own = {"layers": HEAD_LAYERS, **settings}
    layers = own.pop("layers")
    from cutswap.data.images import to_image

    setting = SETTINGS.replace(layers=layers, coreset=0.02, **own)
    bank = MemoryBank.fit(tiny_backbone(), [to_image(TRAIN)], setting, count=len(TRAIN))
    photos = np.concatenate([PHOTOS, TRAIN[:1]])
    scores, heatmaps = scores_by(bank, None, "bank")(photos)
    found = by_the_graph(DetectorGraph(bank, None, "bank", float(scores[1]), None), photos)
    assert list(found) == ["score", "heatmap", "is_defective"]
    np.testing.assert_allclose(found["score"], scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["heatmap"], heatmaps, rtol=1e-4, atol=1e-4)
    assert heatmaps.std() > 0  # a constant would agree with anything


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> PatchHead:
    root = tmp_path_factory.mktemp("heads")
    build_category(root / "bolt", train=5)
    return PatchHead.load(train_tiny_head(root, root / "run") / "head.safetensors")


@pytest.mark.parametrize("score", ["head", "both", "bank"])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_graph_scores_as_bank_and_head_do(head: PatchHead, score: str, weight: float):
    detector = HeadDetector(bank_of(image_size=HEAD_SIZE), head, Join(weight, 1.7, 0.6))
    scores, heatmaps = scores_by(detector.bank, detector, score)(PHOTOS)
    good = np.sort(scores)
    graph = DetectorGraph(detector.bank, detector, score, float(good[1]), good)
    found = by_the_graph(graph, PHOTOS)
    np.testing.assert_allclose(found["score"], scores, rtol=1e-4)
    np.testing.assert_allclose(found["heatmap"], heatmaps, rtol=1e-4, atol=1e-4)
    assert found["is_defective"].tolist() == (found["score"] >= np.float32(good[1])).tolist()
    np.testing.assert_allclose(found["p_value"], p_values(good, found["score"]), rtol=1e-6)


def evaluated(bank: MemoryBank, **changes: Any) -> EvaluatedDetector:
    """As `read_evaluated` gives it, for a bank in memory to whom noise is defective."""
    noise = noise_photo(0, (HEAD_SIZE, HEAD_SIZE))[None]
    good = np.linspace(0.1, 0.9, 19) * scores_by(bank, None, "bank")(noise)[0]
    decision = Decision.of("bolt", "bank", good, 0.1, "by hand")
    opened = OpenDetector(
        folder=Path("evaluation"),
        identity="one",
        category="bolt",
        image_size=HEAD_SIZE,
        reading=ReadingSettings(),
        threshold=decision.promise.threshold,
        how="by hand",
        decision=decision,
        range=(0.0, 3.0),
        scores_of=scores_by(bank, None, "bank"),
    )
    return EvaluatedDetector(replace(opened, **changes), bank, None, "bank")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported detector; its bank is searched in groups, its network in the whole bank."""
    pytest.importorskip("onnxscript", reason="pip install cutswap[export]")
    pytest.importorskip("onnxruntime", reason="pip install cutswap[export]")
    out = tmp_path_factory.mktemp("leaves") / "out"
    export_detector(evaluated(bank_of(search="hnsw")), out, PHOTOS, "test photos")
    return out


def test_onnx_runtime_gives_our_scores(folder: Path):
    opened = open_detector(folder)
    scores, heatmaps = scores_by(bank_of(), None, "bank")(PHOTOS)
    for photos in (slice(0, 3), slice(1, 2)):
        found = opened.scores_of(PHOTOS[photos])
        np.testing.assert_allclose(found[0], scores[photos], rtol=1e-4)
        np.testing.assert_allclose(found[1], heatmaps[photos], rtol=1e-4, atol=1e-4)
    about = json.loads((folder / "detector.json").read_text())
    assert sorted(p.name for p in folder.iterdir()) == sorted(DETECTOR_FILES)
    assert about["category"] == opened.category == "bolt"
    assert about["settings"]["search"] == "exact"
    assert about["check"]["max_score_difference"] < 1e-4
    assert set(about["check"]["seconds_per_photo"]) == {"cutswap", "onnxruntime"}
    assert {"onnxruntime", "onnx"} <= set(about["environment"]["export"])
    assert opened.decision is not None
    assert opened.threshold == opened.decision.promise.threshold


def test_another_rate_or_threshold_of_an_exported_detector(folder: Path):
    assert open_detector(folder, threshold=1.25).threshold == 1.25
    higher = open_detector(folder, rate=0.2)
    assert higher.decision is not None
    assert higher.threshold == higher.decision.promise.threshold < open_detector(folder).threshold
    with pytest.raises(CutSwapError, match="at least 99 good photos"):
        open_detector(folder, rate=0.01)


def edit_card(path: Path, **changes: Any) -> None:
    about = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(about))


EDITS = {
    "the threshold": lambda f: edit_card(f / "detector.json", threshold={"value": 1, "how": ""}),
    "the category": lambda f: edit_card(f / "detector.json", category="nut"),
    "the network": lambda f: (f / NETWORK).write_bytes((f / NETWORK).read_bytes()[:-1] + b"x"),
    "the runner": lambda f: (f / "run_detector.py").write_text("print(0)"),
    "no network": lambda f: (f / NETWORK).unlink(),
    "no JSON": lambda f: (f / "detector.json").write_text("{"),
    "another file": lambda f: (f / "detector.json").write_text('{"format": "x"}'),
}


@pytest.mark.parametrize("case", EDITS)
def test_an_edited_folder_is_refused(folder: Path, tmp_path: Path, case: str):
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    open_detector(own)
    EDITS[case](own)
    with pytest.raises(CutSwapError, match="expected (the file that was exported|a )"):
        open_detector(own)


@pytest.mark.parametrize(
    "changes",
    [{"image_size": "64"}, {"image_size": 10**6}, {"bits": 99}, {"range": [1]}, {"threshold": 3}],
    ids=str,
)
def test_a_folder_with_a_right_hash_and_wrong_values_is_refused(folder: Path, tmp_path, changes):
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    about = {**json.loads((own / "detector.json").read_text()), **changes}
    (own / "detector.json").write_text(json.dumps({**about, "content": content_hash(about)}))
    with pytest.raises(CutSwapError, match="detector.json"):
        open_detector(own)


@pytest.mark.parametrize(
    ("name", "factor"), [("score", 1.001), ("heatmap", 1.01), ("p_value", 1.1), ("is_defective", 0)]
)
def test_a_network_that_scores_otherwise_is_not_left(tmp_path: Path, monkeypatch, name, factor):
    pytest.importorskip("onnxscript", reason="pip install cutswap[export]")

    def run(photos: np.ndarray) -> list[np.ndarray]:
        found = by_the_graph(graph, photos)
        value = ~found[name] if name == "is_defective" else np.float32(factor) * found[name]
        return [*{**found, name: value}.values()]

    own = evaluated(bank_of())
    decision = own.opened.decision
    assert decision is not None
    graph = DetectorGraph(own.bank, None, "bank", own.opened.threshold, decision.good)
    monkeypatch.setattr(exporting, "write_onnx", lambda *_, **__: run)
    with pytest.raises(CutSwapError, match="the exported detector: expected"):
        export_detector(own, tmp_path, PHOTOS, "test photos")
    assert list(tmp_path.iterdir()) == []


# The runner


def run_alone(folder: Path, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The runner in a process of its own, which finds no cutswap."""
    line = [sys.executable, "-I", str(folder / "run_detector.py"), *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, check=False)


def test_the_runner_says_what_the_library_says(folder: Path, tmp_path: Path):
    photos = tmp_path / "in"
    write_image(photos / "=b.png", noise_photo(0, (HEAD_SIZE, HEAD_SIZE)))
    write_image(photos / "sub/a.png", PHOTOS[0].repeat(2, axis=0))
    write_image(photos / "sub/c.png", resize_photo(TRAIN[0], (90, 64)))
    (photos / "bad.png").write_text("no picture")
    (photos / "notes.txt").write_text("x")
    done = run_alone(folder, photos, "--heatmaps", tmp_path / "maps", cwd=tmp_path)
    assert done.returncode == 1  # one could not be read
    assert "bad.png" in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["photo"] for row in rows] == ["'=b.png", "sub/a.png", "sub/c.png"]  # no formula
    opened = open_detector(folder)
    for row in rows:
        name = row["photo"].removeprefix("'")
        photo = resize_photo(read_photo(photos / name), (HEAD_SIZE, HEAD_SIZE))
        (score,), (heatmap,) = opened.scores_of(photo[None])
        assert float(row["score"]) == pytest.approx(float(score), rel=1e-6)
        assert row["verdict"] == opened.verdict(float(score))
        told = opened.p_values(np.array([score]))
        assert told is not None
        assert float(row["p_value"]) == pytest.approx(float(told[0]), rel=1e-5)
        assert np.load(tmp_path / f"maps/{name}.npy").shape == heatmap.shape
    assert {row["verdict"] for row in rows} == {"good", "defective"}
    # it needs nothing of ours, and refuses another network
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    (own / NETWORK).write_bytes(b"x")
    assert "changed since it was exported" in run_alone(own, photos, cwd=tmp_path).stderr
    text = (folder / "run_detector.py").read_text()
    assert "cutswap" not in text.split('"""', 2)[2]
    assert len(text.splitlines()) < 100


@pytest.mark.parametrize(
    ("image", "bits"),
    [
        (Image.fromarray(noise_photo(0, (40, 60))), None),
        (Image.fromarray(noise_photo(1, (40, 60))).convert("L"), None),
        (Image.fromarray(noise_photo(2, (40, 60))).convert("P"), None),
        (Image.fromarray(np.dstack([noise_photo(3, (40, 60))] * 2)[..., :4]), None),
        (Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27), None),
        (Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40, 60)), 12),
        (Image.fromarray(np.linspace(0, 1, 2400, dtype=np.float32).reshape(40, 60)), None),
    ],
    ids=["RGB", "grey", "palette", "transparent", "16 bits", "12 bits", "float"],
)
@pytest.mark.parametrize("resize", RESIZES)
def test_the_runner_reads_photos_as_the_library_does(tmp_path: Path, image, bits, resize):
    pytest.importorskip("onnxruntime", reason="pip install cutswap[export]")
    path = tmp_path / ("a.tiff" if image.mode == "F" else "a.png")
    turned = Image.Exif()
    turned[274] = 6
    image.save(path, exif=turned)
    wanted = framed_photo(read_photo(path, bits), 32, resize)
    assert wanted.std() > 0
    np.testing.assert_array_equal(runner_reads(path, 32, bits, resize), wanted)


# The command


EVALUATE = ["evaluate", "--weights", "random", "--coreset", "0.01", "--image-size", "64", "--quiet"]


@pytest.mark.journey
def test_export_and_score_with_what_left(tmp_path: Path, capsys, monkeypatch):
    pytest.importorskip("onnxscript", reason="pip install cutswap[export]")
    parts, scored, out = (tmp_path / name for name in ("bolt", "scored", "out"))
    build_category(parts, train=6)
    words = ["--data", parts, "--out", scored, "--false-alarms", 0.15]
    assert main([*EVALUATE, *map(str, words)]) == 0
    line = ["export", "detector", "--evaluation", str(scored), "--out", str(out)]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert "on 5 test photos its scores differ by" in said
    assert "from 6 good photos alone" in said
    for detector, place in ((scored, "a"), (out, "b")):
        asked = ["score", parts / "test", "--detector", detector, "--out", tmp_path / place]
        assert main([*map(str, asked), "--device", "cpu", "--quiet"]) == 0
    rows = [
        list(csv.DictReader((tmp_path / place / "scores.csv").open(newline=""))) for place in "ab"
    ]
    assert [r["verdict"] for r in rows[0]] == [r["verdict"] for r in rows[1]]
    for one, other in zip(*rows, strict=True):
        assert float(one["score"]) == pytest.approx(float(other["score"]), rel=1e-4)
    assert main([*line, "--threshold", "0", "--false-alarms", "0.15"]) == 2
    assert main([*line[:3], str(tmp_path), *line[4:]]) == 2
    assert "expected a detector" in capsys.readouterr().err
    # other thresholds and photos, without the minute that an export takes
    asked: list[tuple[OpenDetector, np.ndarray, str]] = []

    def instead(
        evaluated: EvaluatedDetector, _out: Path, photos: np.ndarray, source: str, **_: Any
    ) -> Any:
        asked.append((evaluated.opened, photos, source))
        return json.loads((out / "detector.json").read_text())

    monkeypatch.setattr(exporting, "export_detector", instead)
    maps = tmp_path / "a/heatmaps/good"
    for more in (["--threshold", "0"], ["--photos", str(maps)], ["--false-alarms", "0.19"]):
        assert main([*line[:-1], str(tmp_path / more[0]), *more]) == 0
    assert asked[0][0].threshold == 0
    assert [(len(photos), source) for _, photos, source in asked] == [
        (5, "test photos"), (2, "photos"), (5, "test photos"),
    ]  # fmt: skip
    decision = asked[2][0].decision
    assert decision is not None
    assert decision.promise.asked == 0.19
    shutil.rmtree(parts)  # the photos have gone: it is checked on made-up ones
    assert main([*line[:-1], str(tmp_path / "gone")]) == 0
    assert asked[3][2] == "made-up photos"


def test_made_up_photos_are_photos():
    photos = made_up_photos(48)
    assert photos.shape == (6, 48, 48, 3)
    assert photos.dtype == np.uint8
    assert photos.std(axis=(1, 2, 3)).min() > 10
    assert graphs.OUTPUTS[0] == "score"
