"""Exports opened by those they are for: tifffile, our reader, anomalib's Folder, ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cutswap.commands.parser import main
from cutswap.config import ClusterSettings, NegativeSettings, SaliencySettings
from cutswap.data.datasets import open_dataset
from cutswap.data.images import read_mask, read_photo
from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import read_scored
from cutswap.evaluation.tiff_maps import export_maps, write_map
from cutswap.negatives.export import export_negatives, share_out
from cutswap.networks import export as exporting
from cutswap.networks.export import FILES, export_model
from tests.helpers.scored import SIZE, build_parts, score_parts
from tests.helpers.tiny_networks import tiny_backbone


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    score_parts(build_parts(folder / "parts"), folder / "run")
    return folder


@pytest.fixture(scope="module")
def negatives(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("negatives")
    checked = check_category(build_parts(root / "parts"), None, skip_bad=False)
    export_negatives(
        checked,
        root / "out",
        ("cutpaste", "perlin-scar"),
        negatives=NegativeSettings(),
        clusters=ClusterSettings(),
        saliency=SaliencySettings(image_size=64),
        count=5,
    )
    return root / "out"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    pytest.importorskip("onnxscript", reason="the export extra: pip install cutswap[export]")
    pytest.importorskip("onnxruntime", reason="the export extra: pip install cutswap[export]")
    out = tmp_path_factory.mktemp("model")
    export_model(tiny_backbone(), out, layers=("layer1", "layer2"), image_size=32)
    return out


class TestMaps:
    def test_tifffile_reads_them_where_the_script_looks(self, scored, tmp_path):
        tifffile = pytest.importorskip("tifffile", reason="the dev extra brings tifffile")
        assert (
            main(
                [
                    "export",
                    "maps",
                    "--evaluation",
                    str(scored / "run"),
                    "--quiet",
                    "--out",
                    str(tmp_path / "x"),
                ]
            )
            == 0
        )
        found = read_scored(scored / "run")
        written = sorted((tmp_path / "x").rglob("*.tiff"))
        names = {f"anomaly_maps/bolt/{name}.tiff" for name in found.names}
        assert {p.relative_to(tmp_path / "x").as_posix() for p in written} == names
        for index, name in enumerate(found.names):
            read = tifffile.imread(tmp_path / f"x/anomaly_maps/bolt/{name}.tiff")
            assert read.dtype == np.float32
            assert (
                read == found.heatmaps[index]
            ).all()  # photos of the heatmaps' size: bit for bit

    def test_they_are_as_large_as_their_photos(self, scored, tmp_path):
        tifffile = pytest.importorskip("tifffile", reason="the dev extra brings tifffile")
        found = read_scored(scored / "run")
        photo = found.need_records()[0].image
        whole = photo.read_bytes()
        try:
            Image.fromarray(np.zeros((40, 90, 3), np.uint8)).save(photo)
            export_maps(found, tmp_path)
            export_maps(found, tmp_path / "raw", photo_sized=False)
        finally:
            photo.write_bytes(whole)
        path = f"anomaly_maps/bolt/{found.names[0]}.tiff"
        large = tifffile.imread(tmp_path / path)
        assert large.shape == (40, 90)
        assert large.max() <= found.heatmaps[0].max()
        assert tifffile.imread(tmp_path / "raw" / path).shape == (SIZE, SIZE)

    def test_only_maps_are_written(self, tmp_path):
        with pytest.raises(CutSwapError, match="float32"):
            write_map(tmp_path / "a.tiff", np.zeros((2, 2)))
        assert list(tmp_path.iterdir()) == []


class TestNegatives:
    def test_our_own_reader_opens_it(self, negatives):
        category = open_dataset(negatives).category("bolt")
        assert (len(category.train), len(category.test)) == (3, 3 + 2 * 5)
        assert category.defects == ("cutpaste", "perlin-scar")
        assert category.noticed == ()
        assert all(r.mask is not None for r in category.test if not r.is_good)

    def test_a_negative_differs_from_its_photo_in_the_mask_alone(self, negatives):
        about = json.loads((negatives / "bolt/negatives.json").read_text())
        for method, records in about["draws"].items():
            for number, record in enumerate(records):
                name = f"{method}/{number:04d}"
                negative = read_photo(negatives / f"bolt/test/{name}.png")
                mask = read_mask(negatives / f"bolt/ground_truth/{name}_mask.png")
                changed = (negative != read_photo(Path(record["photo"]))).any(axis=-1)
                assert changed.any()
                assert not (changed & ~mask).any()

    def test_nothing_tested_on_was_trained_on(self, negatives):
        def pictures(folder: str) -> set[bytes]:
            return {p.read_bytes() for p in (negatives / "bolt" / folder).iterdir()}

        about = json.loads((negatives / "bolt/negatives.json").read_text())
        sources = {r["photo"] for records in about["draws"].values() for r in records}
        assert len(sources) == 3
        assert len(pictures("train/good") | pictures("test/good")) <= 6
        assert (about["train_good"], about["test_good"]) == (3, 3)
        assert share_out(10, 0.2) == ([0, 1, 3, 4, 5, 6, 8, 9], [2, 7])
        assert share_out(2, 0.0) == ([0, 1], [0, 1])
        for count, share in ((1, 0.5), (4, 1.0), (4, -0.1), (4, 0.01)):
            with pytest.raises(CutSwapError, match="--hold-out"):
                share_out(count, share)

    def test_old_images_do_not_mix_with_new_ones(self, negatives, capsys):
        words = [
            "export",
            "negatives",
            "--quiet",
            "--data",
            str(negatives.parent / "parts"),
            "--image-size",
            "64",
        ]
        assert main([*words, "--method", "cutpaste", "--out", str(negatives)]) == 2
        assert "not there yet" in capsys.readouterr().err
        assert main([*words, "--method", "nsa,nsa", "--out", str(negatives / "x")]) == 2
        assert main([*words, "--method", "magic", "--out", str(negatives / "x")]) == 2

    def test_anomalibs_folder_opens_it(self, negatives):
        data = pytest.importorskip(
            "anomalib.data", reason="anomalib is an optional extra: pip install cutswap[anomalib]"
        )
        about = json.loads((negatives / "bolt/negatives.json").read_text())
        module = data.Folder(
            name="negatives",
            **about["anomalib"],
            train_batch_size=1,
            eval_batch_size=1,
            num_workers=0,
            val_split_mode="none",
            test_split_mode="from_dir",
        )
        module.setup()
        assert (len(module.train_data), len(module.test_data)) == (3, 13)
        masks = 0
        for item in module.test_data:
            name = Path(item.image_path)
            if name.parent.name == "good":
                assert not item.gt_label
                continue
            mask = read_mask(
                negatives / f"bolt/ground_truth/{name.parent.name}/{name.stem}_mask.png"
            )
            assert item.gt_label
            assert (np.asarray(item.gt_mask).squeeze().astype(bool) == mask).all()
            masks += 1
        assert masks == 10


class TestModel:
    def outputs(self) -> tuple[torch.Tensor, list[np.ndarray]]:
        """A new batch of another size, and what the network makes of it."""
        image = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(9))
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        normal = (image - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
        found = tiny_backbone().features(normal, ("layer1", "layer2"))
        return image, [found["layer1"].numpy(), found["layer2"].numpy()]

    def test_onnx_runtime_gets_the_same_features(self, model):
        onnxruntime = pytest.importorskip("onnxruntime")
        assert sorted(p.name for p in model.iterdir()) == ["model.json", "phi.onnx", "phi.pt"]
        session = onnxruntime.InferenceSession(
            str(model / FILES["onnx"]), providers=["CPUExecutionProvider"]
        )
        assert [o.name for o in session.get_outputs()] == ["layer1", "layer2"]
        image, wanted = self.outputs()
        for ours, theirs in zip(wanted, session.run(None, {"image": image.numpy()}), strict=True):
            assert np.abs(ours - theirs).max() < 1e-4

    @pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
    def test_torchscript_gets_the_same_features(self, model):
        loaded = torch.jit.load(str(model / FILES["torchscript"]))
        image, wanted = self.outputs()
        for ours, theirs in zip(wanted, loaded(image), strict=True):
            assert np.abs(ours - theirs.numpy()).max() < 1e-4

    def test_the_difference_is_stated(self, model):
        about = json.loads((model / "model.json").read_text())
        for name in ("torchscript", "onnx"):
            stated = about["files"][name]["max_abs_difference"]
            assert set(stated) == {"layer1", "layer2"}
            assert all(0 <= gap < 1e-4 for gap in stated.values())
        assert about["outputs"]["layer2"][0] == "N"

    @pytest.mark.parametrize("factor", [1.01, float("nan")])
    def test_a_copy_that_differs_is_not_left(self, tmp_path, monkeypatch, factor):
        forward = exporting.FeatureExtractor.forward
        monkeypatch.setattr(
            exporting.FeatureExtractor,
            "forward",
            lambda s, x: tuple(v * factor for v in forward(s, x)),
        )
        with pytest.raises(CutSwapError, match="the exported torchscript"):
            export_model(
                tiny_backbone(),
                tmp_path,
                layers=("layer1",),
                image_size=32,
                formats=("torchscript",),
            )
        assert list(tmp_path.iterdir()) == []

    def test_without_onnx_it_says_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda _name: None)
        with pytest.raises(CutSwapError, match=r"cutswap\[export\]"):
            export_model(tiny_backbone(), tmp_path, layers=("layer1",), image_size=32)
        with pytest.raises(CutSwapError, match="--formats"):
            export_model(tiny_backbone(), tmp_path, layers=("layer1",), formats=("pickle",))
