"""Evaluation folders: read back what was written, refuse what is damaged, outlive the data."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import summarise
from cutswap.evaluation.scored_set import evaluation_key, read_scored
from cutswap.patchcore.memory_bank import MemoryBank
from tests.helpers.scored import SETTINGS, Scored, build_parts, score_parts


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Scored:
    base = tmp_path_factory.mktemp("scored")
    return score_parts(build_parts(base / "parts"), base / "runs/first")


@pytest.fixture
def copy(written, tmp_path) -> Path:
    """An evaluation folder to damage; its data set stays where it is."""
    return shutil.copytree(written.folder, tmp_path / "copy")


class TestReading:
    def test_everything_comes_back_exactly(self, written):
        found, made = read_scored(written.folder), written.evaluation
        assert found.names == tuple(r.name for r in made.records)
        assert found.records == made.records
        assert found.defects == ("good",) * 3 + ("spot",) * 3
        assert found.labels.tolist() == [False] * 3 + [True] * 3
        assert np.array_equal(found.scores.astype(np.float32), made.scores)
        assert np.array_equal(found.heatmaps, made.heatmaps)
        assert np.array_equal(found.masks(), made.masks)
        assert found.range == (made.heatmaps.min(), made.heatmaps.max())
        assert (found.settings, found.size) == (SETTINGS, 64)
        assert found.summary["seed"] == 0

    def test_metrics_of_what_was_read_are_those_of_the_summary(self, written):
        found = read_scored(written.folder)
        again = summarise(found.scores, found.labels, found.heatmaps, found.masks()).to_dict()
        assert again == {name: found.summary[name] for name in again}

    def test_the_bank_is_there(self, written):
        found = read_scored(written.folder)
        bank = MemoryBank.load(found.bank_file, written.backbone)
        assert np.array_equal(bank.items, written.evaluation.bank.items)

    def test_heatmaps_cannot_be_written_to(self, written):
        with pytest.raises(ValueError, match="read-only"):
            read_scored(written.folder).heatmaps[0, 0, 0] = 1

    def test_a_category_at_hand_is_used(self, written):
        category = written.checked.category
        found = read_scored(written.folder, category).records
        assert all(a is b for a, b in zip(found, category.test, strict=True))
        other = replace(category, root=Path("/elsewhere"), test=())
        assert read_scored(written.folder, other).records == category.test

    def test_without_masks_there_are_none(self, tmp_path):
        made = score_parts(build_parts(tmp_path / "parts", masks=False), tmp_path / "out")
        assert read_scored(made.folder).masks() is None


class TestVanishedData:
    @pytest.fixture
    def own(self, tmp_path) -> Scored:
        return score_parts(build_parts(tmp_path / "parts"), tmp_path / "out")

    def test_numbers_stay_and_photos_are_refused(self, own):
        shutil.rmtree(own.data)
        found = read_scored(own.folder)
        assert found.records is None
        assert found.masks() is None
        assert np.array_equal(found.heatmaps, own.evaluation.heatmaps)
        with pytest.raises(CutSwapError, match="put the data back"):
            found.need_records()

    def test_one_photo_gone(self, own):
        own.evaluation.records[4].image.unlink()
        with pytest.raises(CutSwapError, match="test/spot/001"):
            read_scored(own.folder).need_records()

    def test_a_category_listed_before_a_photo_went_away(self, own):
        own.evaluation.records[4].image.unlink()
        assert read_scored(own.folder, own.checked.category).records is None

    def test_more_photos_than_were_scored_do_no_harm(self, own):
        extra = own.evaluation.records[0].image
        shutil.copy(extra, extra.with_name("100.png"))
        assert read_scored(own.folder).records == own.evaluation.records


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def set_result(folder: Path, **changes) -> None:
    path = folder / "result.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in values.items() if v != "away"}))


class TestDamage:
    @pytest.mark.parametrize("name", ["result.json", "scores.csv", "heatmaps.npy"])
    def test_a_file_missing_empty_cut_short_or_foreign(self, copy, name):
        path = copy / name
        data = path.read_bytes()
        for broken in (b"", data[: len(data) // 2], b"\x00" * 64, b"nonsense", b"\xff\xfe"):
            path.write_bytes(broken)
            with pytest.raises(CutSwapError, match=name):
                read_scored(copy)
        path.unlink()
        with pytest.raises(CutSwapError, match=name):
            read_scored(copy)

    def test_a_pickle_is_not_opened(self, copy):
        with (copy / "heatmaps.npy").open("wb") as file:
            np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        with pytest.raises(CutSwapError, match="whole array"):
            read_scored(copy)

    @pytest.mark.parametrize(
        "changes",
        [
            {"n_test": 7},
            {"n_test": "6"},
            {"patchcore": "away"},
            {"patchcore": {"colour": 1}},
            {"patchcore": {**SETTINGS.to_dict(), "coreset": 7}},
            {"patchcore": {**SETTINGS.to_dict(), "image_size": 128}},
            {"threshold": None},
            {"threshold": float("nan")},
            {"data": "away"},
            {"data": []},
            {"fingerprint": "away"},
        ],
        ids=str,
    )
    def test_a_result_that_does_not_fit(self, copy, changes):
        set_result(copy, **changes)
        with pytest.raises(CutSwapError):
            read_scored(copy)

    def test_a_result_that_is_a_list(self, copy):
        (copy / "result.json").write_text("[]")
        with pytest.raises(CutSwapError, match="the result of evaluate"):
            read_scored(copy)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("image,defect", "picture,defect"),
            ("good/000,good,0", "good/000,good,1"),  # good, but defective
            ("good/000,good,0", "good/000,good,maybe"),
            ("good/000,good,0,", "good/000,good,0,nan,"),
            ("good/000,good,0,", "good/000,good,0,much,"),
            ("good/000,", "good/001,"),  # one image twice
            ("test/good/000,", ","),
        ],
    )
    def test_a_table_that_does_not_fit(self, copy, old, new):
        edit(copy / "scores.csv", old, new)
        with pytest.raises(CutSwapError, match="evaluate again"):
            read_scored(copy)

    def test_a_line_missing(self, copy):
        path = copy / "scores.csv"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
        with pytest.raises(CutSwapError, match="6 test images"):
            read_scored(copy)

    @pytest.mark.parametrize(
        "change",
        [
            lambda maps: maps[:-1],
            lambda maps: maps[:, :32],
            lambda maps: maps.astype(np.float64),
            lambda maps: np.where(np.arange(64) == 5, np.nan, maps).astype(np.float32),
            lambda maps: np.where(maps == maps[3, 3, 3], np.inf, maps).astype(np.float32),
        ],
        ids=["fewer", "smaller", "float64", "nan", "inf"],
    )
    def test_heatmaps_that_do_not_fit(self, copy, written, change):
        np.save(copy / "heatmaps.npy", change(written.evaluation.heatmaps))
        with pytest.raises(CutSwapError, match=r"heatmaps\.npy"):
            read_scored(copy)

    def test_no_folder_and_a_file(self, tmp_path):
        (tmp_path / "file").write_text("")
        for name in ("none", "file"):
            with pytest.raises(CutSwapError, match="folder of an evaluation"):
                read_scored(tmp_path / name)


class TestKey:
    def key(self, written, **changes):
        inputs = {
            "category": written.checked.category,
            "fingerprint": "abc",
            "settings": SETTINGS,
            "seed": 0,
        } | changes
        return evaluation_key(**inputs)

    def test_the_same_inputs_give_the_same_hex_digits(self, written):
        key = self.key(written)
        assert key == self.key(written, settings=SETTINGS.replace())
        assert len(key) == 40
        int(key, 16)

    def test_each_input_counts(self, written):
        category = written.checked.category
        keys = [
            self.key(written),
            self.key(written, fingerprint="abd"),
            self.key(written, settings=SETTINGS.replace(coreset=0.06)),
            self.key(written, seed=1),
            self.key(written, category=replace(category, train=category.train[1:])),
            self.key(written, category=replace(category, test=category.test[1:])),
            self.key(written, category=replace(category, root=Path("/elsewhere"))),
        ]
        assert len(set(keys)) == len(keys)

    def test_a_changed_photo_or_mask_counts_and_a_vanished_one_is_no_error(self, tmp_path):
        made = score_parts(build_parts(tmp_path / "parts"), tmp_path / "out")
        keys = [self.key(made)]
        record = made.checked.category.test[-1]
        for path in (record.image, record.mask):
            os.utime(path, ns=(1, 1))
            keys.append(self.key(made))
            path.unlink()
            keys.append(self.key(made))
        assert len(set(keys)) == 5
