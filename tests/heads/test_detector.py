"""Bank and head as one detector: what is joined, what is kept, what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cutswap.config import HEADS, HeadSettings, PatchCoreSettings
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.heads import detector as detectors
from cutswap.heads.detector import HeadDetector
from cutswap.heads.feature_cache import HeadFeatures
from cutswap.heads.joining import PROVEN, TIED, Join, ValidationScores
from cutswap.heads.patch_head import HeadOrigin, PatchHead
from cutswap.heads.training import HeadTrainer
from cutswap.heads.validation import ValidationSet, make_validation_set
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.tensor_files import read_tensors, write_tensors
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import tiny_backbone

SIDE = 64
PHOTOS = np.stack([photo_of(seed, (SIDE, SIDE)) for seed in range(4)])


@pytest.fixture(scope="module")
def bank() -> MemoryBank:
    settings = PatchCoreSettings(image_size=SIDE, coreset=0.1)
    return MemoryBank.fit(tiny_backbone(), [to_image(PHOTOS)], settings)


def head_for(bank: MemoryBank, kind: str = "projector", **changes: object) -> PatchHead:
    origin = HeadOrigin("resnet18", bank.backbone.fingerprint, SIDE, "cutpaste", "bolt", 0, (0,))
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(4, 8, 8, 32)).astype(np.float16)
    features = HeadFeatures(clean, clean[:, None] + 1, np.ones((4, 1, 8, 8), dtype=np.float16))
    settings = HeadSettings(train=kind, grid=8, width=8, blocks=1, kernel=3, updates=2, photos=4)
    validation = ValidationScores(np.ones(1, np.float32), np.full(6, 2, np.float32), 0.5)
    trainer = HeadTrainer(features, settings, 0)
    list(trainer.run())
    return trainer.head(dataclasses.replace(origin, **changes), validation)


@pytest.fixture(scope="module", params=HEADS)
def head(request: pytest.FixtureRequest, bank: MemoryBank) -> PatchHead:
    return head_for(bank, request.param)


@pytest.fixture(scope="module")
def image() -> Tensor:
    return to_image(np.stack([photo_of(seed, (SIDE, SIDE)) for seed in (7, 8, 9)]))


def same(one: object, other: object) -> bool:
    return all(
        getattr(one, f).tobytes() == getattr(other, f).tobytes()
        for f in ("scores", "heatmaps", "distances", "nearest")
    )


def test_the_bank_in_it_says_what_it_says_alone(bank, head, image):
    for weight in (0.0, 0.5, 1.0):
        found = HeadDetector(bank, head, Join(weight, 2.0, 3.0)).score(image)
        assert same(found.bank, bank.score(image))
        assert found.by("bank") is found.bank


def test_at_weight_0_both_is_the_bank_bit_for_bit(bank, head, image):
    found = HeadDetector(bank, head, Join(0.0, 2.0, 3.0)).score(image)
    assert same(found.both, found.bank)


def test_at_weight_1_both_is_the_head_in_the_banks_unit(bank, head, image):
    found = HeadDetector(bank, head, Join(1.0, 2.0, 3.0)).score(image)
    np.testing.assert_allclose(found.both.scores, 2 * found.head.scores, rtol=1e-6)
    np.testing.assert_allclose(found.both.distances, 3 * found.head.distances, rtol=1e-6)


def test_shapes(bank, head, image):
    found = HeadDetector(bank, head, Join(0.5, 1.0, 1.0)).score(image)
    for one in (found.bank, found.head, found.both):
        assert one.scores.shape == (3,)
        assert one.heatmaps.shape == (3, SIDE, SIDE)
        assert one.distances.shape == found.bank.distances.shape
        assert one.scores.dtype == one.heatmaps.dtype == one.distances.dtype == np.float32


def test_the_bank_is_asked_without_the_held_out_photos(bank):
    kept = bank.without_photos((0, 2))
    assert set(kept.origin[:, 0]) == set(bank.origin[:, 0]) - {0, 2}
    assert {v.tobytes() for v in kept.items} < {v.tobytes() for v in bank.items}
    assert bank.without_photos(()).size == bank.size
    assert bank.without_photos((0, 1, 2, 3)).size == bank.size  # an empty bank could say nothing


def test_fit_weighs_by_the_validation_set(bank, head):
    validation_set = make_validation_set(PHOTOS[:1], "cutpaste")
    detector, told = HeadDetector.fit(bank, head, validation_set)
    assert told[detector.join.weight] >= told[0.0]
    with pytest.raises(CutSwapError, match="1 good photos and 6 defects"):
        HeadDetector.fit(
            bank, head, ValidationSet(PHOTOS[:2], validation_set.made_up, validation_set.families)
        )


@pytest.mark.parametrize(("coreset", "margin"), [(0.002, TIED), (0.003, PROVEN), (0.01, PROVEN)])
def test_a_larger_bank_is_overruled_by_what_is_proven_alone(coreset, margin, monkeypatch):
    asked = []
    monkeypatch.setattr(
        detectors, "fit_join", lambda *own: (asked.append(own[2]), (Join(0.0, 1.0, 1.0), {}))[1]
    )
    settings = PatchCoreSettings(image_size=SIDE, coreset=coreset)
    bank = MemoryBank.fit(tiny_backbone(), [to_image(PHOTOS)], settings)
    HeadDetector.fit(bank, head_for(bank), make_validation_set(PHOTOS[:1], "cutpaste"))
    assert asked == [margin]


def test_a_head_on_trial_makes_no_detector(bank, head):
    trial = PatchHead(
        head.settings,
        head.origin,
        head.mean,
        head.deviation,
        head.grid,
        head.network,
        head.residuals,
    )
    with pytest.raises(CutSwapError, match="with its scores of the validation set"):
        HeadDetector.fit(bank, trial, make_validation_set(PHOTOS[:1], "cutpaste"))


def test_saved_and_loaded_it_says_the_same(bank, head, image, tmp_path: Path):
    detector = HeadDetector(bank, head, Join(0.25, 2.0, 3.0))
    detector.save(tmp_path / "d.safetensors")
    back = HeadDetector.load(tmp_path / "d.safetensors", tiny_backbone())
    assert back.join == detector.join
    for name in ("bank", "head", "both"):
        assert same(back.score(image).by(name), detector.score(image).by(name))


@pytest.fixture(scope="module")
def file(bank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("detector") / "d.safetensors"
    HeadDetector(bank, head_for(bank), Join(0.25, 2.0, 3.0)).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bank", "the bank that was saved"),
        ("head.enter.weight", "the head that was saved"),
        ("head_deviation", "the head that was saved"),
        ("head_residual_mean", "the head that was saved"),
        ("head_validation_good", "the head that was saved"),
    ],
)
def test_numbers_that_changed_are_refused(file: Path, tmp_path: Path, name: str, said: str):
    tensors, about = read_tensors(file, fix="")
    tensors[name] = tensors[name] + 1
    write_tensors(tmp_path / "d.safetensors", tensors, about)
    with pytest.raises(CutSwapError, match=said) as refused:
        HeadDetector.load(tmp_path / "d.safetensors", tiny_backbone())
    assert refused.value.subject == str(tmp_path / "d.safetensors")


@pytest.mark.parametrize("part", ["bank", "head", "join", "format"])
def test_a_header_without_a_part_is_refused(file: Path, tmp_path: Path, part: str):
    tensors, about = read_tensors(file, fix="")
    write_tensors(
        tmp_path / "d.safetensors", tensors, {k: v for k, v in about.items() if k != part}
    )
    with pytest.raises(CutSwapError, match="a file of the format"):
        HeadDetector.load(tmp_path / "d.safetensors")


@pytest.mark.parametrize("name", ["bank", "head_mean", "head_residual_deviation"])
def test_a_file_without_a_tensor_is_refused(file: Path, tmp_path: Path, name: str):
    tensors, about = read_tensors(file, fix="")
    del tensors[name]
    write_tensors(tmp_path / "d.safetensors", tensors, about)
    with pytest.raises(CutSwapError):
        HeadDetector.load(tmp_path / "d.safetensors", tiny_backbone())


def test_another_network_is_refused(file: Path):
    with pytest.raises(CutSwapError, match="fingerprint"):
        HeadDetector.load(file, tiny_backbone(1))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fingerprint": "0" * 64}, "network of head and bank"),
        ({"backbone": "wide_resnet50_2"}, "network of head and bank"),
        ({"image_size": 96}, "image size of head and bank"),
    ],
)
def test_a_head_for_another_bank_is_refused(bank, changes: dict[str, object], said: str):
    with pytest.raises(CutSwapError, match=said):
        HeadDetector(bank, head_for(bank, **changes), Join(0.5, 1.0, 1.0))


def test_a_damaged_file_is_refused(tmp_path: Path):
    (tmp_path / "d.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CutSwapError, match="a whole safetensors file"):
        HeadDetector.load(tmp_path / "d.safetensors")
    write_tensors(tmp_path / "e.safetensors", {"x": torch.zeros(1)}, {})
    with pytest.raises(CutSwapError, match="a file of the format"):
        HeadDetector.load(tmp_path / "e.safetensors")
