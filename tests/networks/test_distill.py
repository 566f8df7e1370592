"""Distilling: the student comes to equal its teacher, a resumed run is the same run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from cutswap.commands.parser import main
from cutswap.errors import CutSwapError
from cutswap.networks import weights as weights_module
from cutswap.networks.activation_matching import count_trained_relus, relu_inputs
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.networks.distill import Distiller, off_the_figure
from cutswap.networks.distill_crops import PhotoCrops, recolour
from cutswap.networks.distill_settings import DistillSettings
from cutswap.networks.slim_vgg import fold_batch_norm, slim_vgg16, unfold_batch_norm
from cutswap.utils.files import sha256_of
from tests.helpers.small_photos import disc
from tests.helpers.tiny_networks import tiny_backbone

SHORT = DistillSettings(
    forced_steps=40, own_steps=20, class_steps=20, crop=32, class_crop=32, teacher_crop=32,
    views=2, forced_batch=8, batch_size=8, checkpoint_every=10, device="cpu", forced_rate=1e-2,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for index in range(5):
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        path = tmp_path / f"photos/deep/{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small.resize((64, 48), Image.Resampling.BICUBIC).save(path)
    return tmp_path / "photos"


def distiller(folder: Path, checkpoint: Path, teacher: Backbone, **changes: object) -> Distiller:
    return Distiller(
        tiny_backbone(seed=1).module.requires_grad_(True),
        PhotoCrops.read(folder),
        teacher=teacher,
        class_teacher=tiny_backbone(seed=7),
        settings=SHORT.replace(**changes),
        checkpoint=checkpoint,
    )


def state_of(made: Distiller) -> dict[str, torch.Tensor]:
    return {n: v.clone() for n, v in made.student.state_dict().items()}


class TestDistiller:
    def test_every_stage_lowers_its_loss(self, folder, tmp_path):
        made = distiller(folder, tmp_path / "c.safetensors", tiny_backbone(seed=3))
        losses: dict[str, list[float]] = {}
        for progress in made.run():
            losses.setdefault(progress.stage, []).append(progress.loss)
        assert [len(losses[s]) for s in ("forced", "own", "classes")] == [40, 20, 20]
        assert np.mean(losses["forced"][-5:]) < 0.3 * np.mean(losses["forced"][:5])
        assert np.mean(losses["own"][-5:]) < np.mean(losses["own"][:5])
        assert np.mean(losses["classes"][-5:]) < np.mean(losses["classes"][:5])

    def test_resumed_equals_unbroken(self, folder, tmp_path):
        whole = distiller(folder, tmp_path / "a.safetensors", tiny_backbone(seed=3))
        expected = [p.loss for p in whole.run()]
        for stop in (10, 50, 70):  # one in each stage, at a checkpoint
            file = tmp_path / f"b{stop}.safetensors"
            seen = []
            for progress in distiller(folder, file, tiny_backbone(seed=3)).run():
                seen.append(progress.loss)
                if len(seen) == stop:
                    break
            rest = distiller(folder, file, tiny_backbone(seed=3))
            seen += [p.loss for p in rest.run()]
            assert seen == pytest.approx(expected, rel=1e-4)
            ours, theirs = state_of(rest), state_of(whole)
            assert all(torch.allclose(ours[n], theirs[n], atol=1e-4) for n in ours)

    def test_classes_leaves_matched_layers_alone(self, folder, tmp_path):
        made = distiller(folder, tmp_path / "c.safetensors", tiny_backbone(seed=3))
        before = None
        for progress in made.run():
            if (progress.stage, progress.step) == ("own", 20):
                before = state_of(made)
        after = state_of(made)
        moved = {n.split(".")[0] for n in after if not torch.equal(after[n], before[n])}
        assert moved == {"fc"}


class TestMatching:
    def test_forcing_with_the_own_values_changes_nothing(self):
        network = tiny_backbone().module
        image = torch.randn(2, 3, 32, 32)
        free = relu_inputs(network, image)
        forced = relu_inputs(network, image, forced=[f.clone() for f in free])
        assert len(free) == 5
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(free, forced, strict=True))

    def test_hooks_are_gone_afterwards(self):
        network = tiny_backbone().module
        relu_inputs(network, torch.randn(1, 3, 32, 32), 2)
        assert all(not m._forward_pre_hooks for m in network.modules())

    def test_only_trained_rectifiers_count(self):
        network = tiny_backbone().module
        image = torch.randn(1, 3, 32, 32)
        assert count_trained_relus(network, (), image) == 5
        assert count_trained_relus(network, ("layer4.0.weight", "fc.bias"), image) == 4


class TestSlimVGG:
    def test_unfolded_is_equal_in_training_and_folds_back(self):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = slim_vgg16((4, 4, 8, 8, 8), classes=5).eval()
            image = torch.randn(8, 3, 64, 64)
        expected = network(image)
        unfolded = unfold_batch_norm(network, image)
        assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in unfolded.modules()) == 13
        torch.testing.assert_close(unfolded.train()(image), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(fold_batch_norm(unfolded)(image), expected, atol=1e-5, rtol=1e-4)

    def test_indices_mean_what_torchvision_s_mean(self):
        import torchvision

        full = torchvision.models.vgg16(weights=None).features
        slim = slim_vgg16((4, 8, 8, 16, 16)).features
        assert [type(m) for m in slim] == [type(m) for m in full]
        assert [i for i, m in enumerate(slim) if isinstance(m, torch.nn.MaxPool2d)] == [
            4, 9, 16, 23, 30,
        ]  # fmt: skip

    def test_folding_batch_norm_changes_nothing(self):
        torch.manual_seed(0)
        network = slim_vgg16((4, 8, 8, 16, 16), 10, batch_norm=True)
        network(torch.randn(8, 3, 64, 64))  # moves the running statistics off their start
        network.eval()
        image = torch.randn(2, 3, 64, 64)
        folded = fold_batch_norm(network)
        assert len(folded.features) == 31
        assert torch.allclose(folded(image), network(image), atol=1e-5)


class TestCommand:
    def test_a_student_with_its_card_loads_as_embedded(self, folder, tmp_path, monkeypatch):
        teacher = tmp_path / "teacher.pth"
        torch.save(load_backbone("squeezenet1_0", "random", seed=2).module.state_dict(), teacher)
        out = tmp_path / "own/vgg16.safetensors"
        flags = ["--class-steps", "2", "--views", "1", "--class-crop", "32", "--teacher-crop", "64",
                 "--batch-size", "2"]  # fmt: skip
        assert main(["distill", "--photos", str(folder), "--student", "vgg16", "--class-teacher",
                     str(teacher), "--out", str(out), "--quiet", *flags]) == 0  # fmt: skip
        card = json.loads(out.with_suffix(".json").read_text())
        assert card["sha256"] == sha256_of(out)
        assert card["photos"]["count"] == 5
        assert card["class_teacher"]["source"] == str(teacher)
        assert all(v.dtype == torch.float16 for v in load_file(out).values())
        monkeypatch.setattr(weights_module, "EMBEDDED_FOLDER", out.parent)
        backbone = load_backbone("vgg16", "embedded")
        assert backbone.report.not_loaded == ()
        data = bytearray(out.read_bytes())
        data[-1] ^= 1
        out.write_bytes(bytes(data))
        with pytest.raises(CutSwapError, match="damaged or swapped"):
            load_backbone("vgg16", "embedded")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--student", "vgg16"], "neither"),
            (["--student", "alexnet", "--teacher", "x"], "resnet18 or vgg16"),
            (["--student", "vgg16", "--teacher", "nowhere.pth"], "no such file"),
        ],
    )
    def test_refusals(self, folder, tmp_path, capsys, arguments, words):
        out = tmp_path / "o.safetensors"
        assert main(["distill", "--photos", str(folder), "--out", str(out), *arguments]) == 2
        assert words in capsys.readouterr().err

    def test_a_folder_without_photos_is_refused(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(CutSwapError, match="no image"):
            PhotoCrops.read(tmp_path / "empty")


def test_recolour_is_seeded_and_normalised():
    crops = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    a = recolour(crops, np.random.default_rng(0))
    assert torch.equal(a, recolour(crops, np.random.default_rng(0)))
    assert a.shape == crops.shape
    assert a.min() >= -2.2
    assert a.max() <= 2.7


def hinted(folder: Path, checkpoint: Path, **changes: object) -> Distiller:
    sizes = {
        "class_steps": 8, "large_steps": 8, "class_crop": 64, "large_crop": 96,
        "large_teacher_crop": 64, "teacher_crop": 64, "large_views": 1, "large_batch": 4,
        "checkpoint_every": 2, "figure_sides": (64, 80), "figure_batch": 4,
    }  # fmt: skip
    settings = SHORT.replace(**(sizes | changes))
    torch.manual_seed(0)
    return Distiller(
        slim_vgg16((4, 4, 8, 8, 8), batch_norm=True),
        PhotoCrops.read(folder),
        teacher=None,
        class_teacher=load_backbone("squeezenet1_0", "random"),
        hint_teacher=load_backbone("resnet18", "random"),
        settings=settings,
        checkpoint=checkpoint,
    )


class TestHints:
    def test_hints_lower_the_loss_and_the_teacher_stays(self, folder, tmp_path):
        made = hinted(folder, tmp_path / "c.safetensors", class_steps=40)
        assert made.hints is not None
        teacher = made.hints.teacher[0]
        before = teacher.fingerprint
        losses: dict[str, list[float]] = {}
        for progress in made.run():
            losses.setdefault(progress.stage, []).append(progress.loss)
        assert {stage: len(values) for stage, values in losses.items()} == {
            "classes": 40,
            "large": 8,
        }
        assert np.mean(losses["classes"][-5:]) < 0.8 * np.mean(losses["classes"][:5])
        del teacher.__dict__["fingerprint"]
        assert teacher.fingerprint == before
        assert not any(n.startswith("hints") for n in made.student.state_dict())

    def test_resumed_equals_unbroken(self, folder, tmp_path):
        whole = hinted(folder, tmp_path / "whole.safetensors")
        for _ in whole.run():
            pass
        for _ in zip(range(11), hinted(folder, tmp_path / "cut.safetensors").run(), strict=False):
            pass
        again = hinted(folder, tmp_path / "cut.safetensors")
        assert {progress.stage for progress in again.run()} == {"large"}
        left, right = whole.student.state_dict(), again.student.state_dict()
        assert all(torch.equal(left[n], right[n]) for n in left)


def with_objects(folder: Path) -> Path:
    """A folder of photos with one bright disc each, which GrabCut finds."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        photo = rng.normal(40, 3, (96, 96, 3))
        photo[disc((96, 96), (48, 48), 22)] = rng.uniform(120, 250, 3)
        Image.fromarray(photo.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
    return folder


class TestFigures:
    def test_saliency_moves_onto_the_figures_of_a_batch(self, tmp_path):
        made = hinted(
            with_objects(tmp_path / "discs"), tmp_path / "c.safetensors", class_steps=0,
            large_steps=0, figure_steps=100, saliency_weight=1e4, figure_batch=8,
        )  # fmt: skip
        made._prepare_figures()
        optimizer = torch.optim.AdamW(made.student.parameters(), lr=3e-3)
        losses = []
        for _ in range(60):
            loss = made._figure_loss(0)  # the same pictures every time
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        # A network of eight channels cannot do much; with the sign turned it gets worse.
        assert np.mean(losses[-5:]) < 0.95 * np.mean(losses[:5])

    def test_a_blank_map_does_no_harm(self):
        saliency = torch.zeros(1, 1, 4, 4, requires_grad=True)
        off_the_figure(saliency, torch.ones(1, 1, 8, 8)).sum().backward()
        assert torch.isfinite(saliency.grad).all()

    def test_resumed_equals_unbroken(self, tmp_path):
        photos = with_objects(tmp_path / "discs")
        steps = {"class_steps": 0, "large_steps": 0, "figure_steps": 6}
        whole = hinted(photos, tmp_path / "whole.safetensors", **steps)
        for _ in whole.run():
            pass
        part = hinted(photos, tmp_path / "cut.safetensors", **steps)
        for _ in zip(range(3), part.run(), strict=False):
            pass
        again = hinted(photos, tmp_path / "cut.safetensors", **steps)
        assert [p.step for p in again.run()] == [3, 4, 5, 6]
        left, right = whole.student.state_dict(), again.student.state_dict()
        assert all(torch.equal(left[n], right[n]) for n in left)

    def test_photos_without_an_object_are_refused(self, folder, tmp_path):
        for file in folder.rglob("*.jpg"):
            Image.new("RGB", (64, 48), "gray").save(file)
        made = hinted(folder, tmp_path / "c.safetensors", class_steps=0, large_steps=0,
                      figure_steps=1)  # fmt: skip
        with pytest.raises(CutSwapError, match="an object that stands out"):
            next(iter(made.run()))
