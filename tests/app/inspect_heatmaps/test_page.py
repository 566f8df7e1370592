"""The Inspect page: no data, a fresh category, saved and broken evaluations, unsorted photos.

The demo set and the network are replaced by tiny ones, so that a page costs milliseconds.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps.caches import BankKey
from app.inspect_heatmaps.picture import Heat, alt_text, boxed, picture
from app.inspect_heatmaps.thresholds import first_value
from app.shared import workspace
from app.shared.caches import PhotoKey
from app.shared.evaluations import Wanted, Workshop, estimate, workshop
from cutswap.commands.parser import parse
from cutswap.config import PLAIN, PatchCoreSettings
from cutswap.data.datasets import open_dataset
from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import f1_max
from cutswap.evaluation.scored_set import read_scored
from cutswap.evaluation.thresholds import ThresholdCounts
from cutswap.flags import settings_from
from cutswap.reports.repeat import evaluate_again, settings_flags, weights_flags
from tests.helpers.datasets import write_image
from tests.helpers.inspect_page import (
    PAGE,
    ROOT,
    SMALL_SETTINGS,
    button,
    no_trace,
    open_page,
    settled,
    words,
)
from tests.helpers.runs import write_run
from tests.helpers.scored import SETTINGS, SIZE, build_parts, score_parts
from tests.helpers.small_photos import photo_of


def confusions(at: AppTest) -> list[list[int]]:
    """Found, missed, alarms, passed of every table on the page."""
    pattern = r"✔ ([\d,]+) found \| ✖ ([\d,]+) missed .*\n.*✖ ([\d,]+) false alarms \| ✔ ([\d,]+)"
    tables = (re.search(pattern, m.value) for m in at.markdown)
    return [[int(n.replace(",", "")) for n in t.groups()] for t in tables if t]


class TestStates:
    @pytest.mark.usefixtures("world")
    def test_no_data(self, monkeypatch):
        def none(**_):
            raise CutSwapError("demo", expected="room", found="a full disk", fix="free some")

        monkeypatch.setattr(workspace, "demo_root", none)
        at = AppTest.from_file(str(ROOT / "app/main.py"), default_timeout=60).run()
        at.session_state["pages"] = {}
        at = at.switch_page(PAGE).run()
        assert "No data" in words(at)

    def test_a_fresh_small_category_is_evaluated_without_asking(self, world):
        at = settled(open_page(**SMALL_SETTINGS))
        no_trace(at)
        assert "score" in words(at)
        assert len(confusions(at)) == 2
        (folder,) = (world / "cache/evaluations").iterdir()
        assert read_scored(folder).settings.image_size == SIZE

    def test_a_large_one_asks_first_and_says_how_long(self, world, monkeypatch):
        monkeypatch.setattr("app.inspect_heatmaps.resolve.SMALL", 3)
        at = open_page(**SMALL_SETTINGS)
        no_trace(at)
        assert not (world / "cache/evaluations").exists()
        assert "has 12 photos" in words(at)
        at = settled(button(at, "Evaluate (about").click().run())
        no_trace(at)
        assert len(confusions(at)) == 2

    def test_one_saved_run(self, saved):
        at = open_page(eval="first")
        no_trace(at)
        assert len(confusions(at)) == 2
        assert not (saved.parent / "cache/evaluations").exists()

    def test_which_defects_are_missed_follows_the_threshold(self, saved):
        found = read_scored(saved / "first")
        spots = np.sort(found.scores[found.labels])
        for threshold, missed in ((spots[0] - 1, 0), (spots[1], 1)):
            at = open_page(eval="first", thr=str(threshold))
            no_trace(at)
            (table,) = [d.value for d in at.dataframe if "type of defect" in d.value.columns]
            assert table[["type of defect", "images", "missed"]].values.tolist() == [
                ["spot", 3, missed]
            ]
            assert any("marked area" in d.value.columns for d in at.dataframe)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda folder: (folder / "heatmaps.npy").write_bytes(b"nonsense"),
            lambda folder: (folder / "result.json").unlink(),
            lambda folder: (folder / "result.json").write_text("{}"),
            lambda folder: (folder / "scores.csv").write_text("image\n"),
        ],
        ids=["heatmaps", "no result", "empty result", "scores"],
    )
    def test_a_broken_run_says_so_and_offers_a_way_out(self, saved, damage: Callable):
        damage(saved / "first")
        at = open_page(eval="first", **SMALL_SETTINGS)
        no_trace(at)
        assert "To fix it" in words(at)
        assert any("How this works" in e.label for e in at.expander)
        at = settled(button(at, "Show this page's own").click().run())
        no_trace(at)
        assert len(confusions(at)) == 2
        assert [e.value for e in at.error] == []

    def test_a_bank_that_is_gone_costs_only_the_comparison(self, saved):
        (saved / "first/bank.safetensors").unlink()
        at = open_page(eval="first")
        no_trace(at)
        assert "bank" in at.error[0].value
        assert len(confusions(at)) == 2

    def test_a_run_deleted_while_it_is_shown(self, saved):
        at = open_page(eval="first", **SMALL_SETTINGS)
        shutil.rmtree(saved / "first")
        at = at.run()
        no_trace(at)
        st.cache_resource.clear()  # the runs folder is looked at again after five seconds
        at = settled(at)
        no_trace(at)
        assert len(confusions(at)) == 2

    @pytest.mark.usefixtures("saved")
    def test_photos_that_vanished_leave_the_numbers(self, world):
        at = open_page(eval="first")
        before = confusions(at)
        for path in (world / "demo/bolt/test/spot").iterdir():
            path.unlink()
        st.cache_resource.clear()
        at = at.run()
        no_trace(at)
        assert "gone or changed" in words(at)
        assert confusions(at) == before[:1]  # without photos no masks, without masks no pixels

    def test_no_masks(self, world, monkeypatch):
        demo = build_parts(world / "unmarked", masks=False)
        monkeypatch.setattr(workspace, "demo_root", lambda **_: demo)
        at = settled(open_page(**SMALL_SETTINGS))
        no_trace(at)
        assert len(confusions(at)) == 1
        assert "does not mark its defects" in words(at)

    @pytest.mark.parametrize("kind", ["unsorted", "only good", "photos"])
    def test_nobody_sorted_the_photos(self, world, monkeypatch, kind):
        root = world / "own"
        if kind == "photos":
            for index in range(4):
                write_image(root / f"{index}.png", photo_of(index, (SIZE, SIZE)))
        else:
            build_parts(root, defects=0, good=2)
            if kind == "unsorted":
                (root / "bolt/test/good").rename(root / "bolt/test/unlabelled")
        monkeypatch.setattr(workspace, "demo_root", lambda **_: root)
        at = settled(open_page(**SMALL_SETTINGS))
        no_trace(at)
        assert "No figures or curves" in words(at)
        assert "higher than" in words(at)
        assert confusions(at) == []

    @pytest.mark.usefixtures("world")
    def test_weights_that_are_not_there(self):
        at = open_page(run="ImageNet, not fine-tuned", **SMALL_SETTINGS)
        no_trace(at)
        assert "choose others" in words(at)

    @pytest.mark.usefixtures("saved")
    def test_nonsense_in_the_link(self):
        at = open_page(
            eval="../../etc",
            thr="nan",
            pthr="much",
            coreset="2",
            nn="-1",
            range="pink",
            beside="saved:none",
            missprice="-5",
        )
        at = settled(at)
        no_trace(at)

    @pytest.mark.usefixtures("saved")
    def test_a_training_photo(self):
        at = open_page(eval="first", img="train/good/001")
        no_trace(at)
        assert "A training photo" in words(at)

    @pytest.mark.usefixtures("world")
    def test_a_failed_evaluation_is_told_and_not_tried_for_ever(self, monkeypatch):
        calls = []

        def fail(*_args, **_kwargs):
            calls.append(1)
            raise RuntimeError("boom")

        monkeypatch.setattr("app.shared.evaluations._compute", fail)
        at = settled(open_page(**SMALL_SETTINGS))
        no_trace(at)
        assert "RuntimeError" in words(at)
        assert len(calls) == 1


class TestThresholds:
    def test_counts_are_those_of_the_metrics(self, saved):
        at = open_page(eval="first")
        found = read_scored(saved / "first")
        best, threshold = f1_max(found.scores, found.labels)
        called = found.scores >= threshold
        expected = [
            (called & found.labels).sum(),
            (~called & found.labels).sum(),
            (called & ~found.labels).sum(),
            (~called & ~found.labels).sum(),
        ]
        assert confusions(at)[0] == [int(n) for n in expected]
        assert f"F1 **{best:.3f}**" in words(at)
        pixels = ThresholdCounts.of_pixels(found.heatmaps, found.masks())
        counts = pixels.at(found.summary["pixel_threshold"])
        assert confusions(at)[1] == [counts.hits, counts.missed, counts.alarms, counts.passed]

    @pytest.mark.parametrize("share", [0.0, 0.37, 1.0])
    def test_moving_the_sliders_moves_the_counts(self, saved, share):
        at = open_page(eval="first")
        found = read_scored(saved / "first")
        masks = found.masks()
        low, high = found.scores.min(), found.scores.max()
        threshold = float(low + share * (high - low))
        pixel = float(found.range[0] + share * (found.range[1] - found.range[0]))
        image_slider, pixel_slider = (s for s in at.slider if "threshold" in s.label)
        at = image_slider.set_value(threshold).run()
        pixel_slider = [s for s in at.slider if "threshold" in s.label][1]
        at = pixel_slider.set_value(pixel).run()
        called = found.scores >= threshold
        hits, alarms = (called & found.labels).sum(), (called & ~found.labels).sum()
        assert confusions(at)[0][0::2] == [hits, alarms]
        acting = ThresholdCounts.of_pixels(found.heatmaps, masks).acting(pixel)
        hot = found.heatmaps.astype(float) >= acting
        assert confusions(at)[1][0::2] == [(hot & masks).sum(), (hot & ~masks).sum()]

    def test_buttons(self, saved):
        at = open_page(eval="first", missprice="0", alarmprice="5")
        found = read_scored(saved / "first")
        tally = ThresholdCounts.of_images(found.scores, found.labels)
        assert at.slider(key="knob.thr").value == found.summary["threshold"]
        at = at.button(key="thr.Cheapest").click().run()
        assert at.slider(key="knob.thr").value == tally.beyond  # missing is free
        assert confusions(at)[0][0] == 0
        at = at.button(key="thr.Best F1").click().run()
        assert at.slider(key="knob.thr").value == tally.best_f1()
        at = at.button(key="pthr.Cheapest").click().run()
        at = at.button(key="pthr.As in the run").click().run()
        assert at.slider(key="knob.pthr").value == found.summary["pixel_threshold"]

    @pytest.mark.usefixtures("saved")
    def test_cost_at_two_prices(self):
        at = open_page(eval="first", missprice="7", alarmprice="3")
        found, missed, alarms, _ = confusions(at)[0]
        assert f"cost **{7 * missed + 3 * alarms}**" in words(at)

    def test_a_link_s_threshold_is_kept_and_other_numbers_bring_their_own(self, saved, world):
        found = read_scored(saved / "first")
        middle = float(np.median(found.scores))
        at = open_page(eval="first", thr=str(middle), **SMALL_SETTINGS)
        assert at.slider(key="knob.thr").value == middle
        at = settled(at.selectbox(key="knob.eval").set_value("this page").run())
        (folder,) = (world / "cache/evaluations").iterdir()
        own = read_scored(folder).summary["threshold"]
        assert at.slider(key="knob.thr").value == own

    @pytest.mark.parametrize(
        ("event", "value"),
        [
            ({"selection": {"points": [{"customdata": 1.5}]}}, 1.5),
            ({"selection": {"points": [{"customdata": [2.5]}]}}, 2.5),
            ({"selection": {"points": [{}]}}, None),
            ({"selection": {"points": []}}, None),
            ({"selection": {"points": [{"customdata": []}]}}, None),
            (None, None),
        ],
    )
    def test_what_a_click_on_a_curve_carries(self, event, value):
        assert first_value(event) == value


class TestSettings:
    def test_a_change_marks_the_numbers_as_outdated_until_they_are_computed_again(self, world):
        at = settled(open_page(**SMALL_SETTINGS))
        before = confusions(at)
        at = at.selectbox(key="knob.coreset").set_value(0.25).run()
        no_trace(at)
        assert "outdated: coreset 0.05, now 0.25" in words(at)
        assert confusions(at) == before
        at = settled(button(at, "Recompute (about").click().run())
        no_trace(at)
        assert "outdated" not in words(at)
        assert len(list((world / "cache/evaluations").iterdir())) == 2
        at = at.selectbox(key="knob.coreset").set_value(0.05).run()  # it was kept
        assert "outdated" not in words(at)
        assert confusions(at) == before

    def test_smoothing_shows_at_once_on_this_image(self, world):
        at = settled(open_page(**SMALL_SETTINGS))
        at = at.slider(key="knob.nn").set_value(3).run()
        no_trace(at)
        assert "outdated: neighbours 1, now 3" in words(at)
        before = re.search(r"score \*\*([\d.]+)\*\*", words(at)).group(1)
        (folder,) = (world / "cache/evaluations").iterdir()
        name = at.sidebar.selectbox(key="img").value
        stored = dict(zip(read_scored(folder).names, read_scored(folder).scores, strict=True))
        assert float(before) > stored[name]  # the mean of three is farther than the nearest

    def test_the_highest_patches_change_the_score_at_once_and_whitening_when_computed(self, world):
        at = settled(open_page(**SMALL_SETTINGS, highest="1"))
        at = at.slider(key="knob.highest").set_value(40).run()
        no_trace(at)
        assert "outdated: image patches 1, now 40" in words(at)
        (folder,) = (world / "cache/evaluations").iterdir()
        name = at.sidebar.selectbox(key="img").value
        stored = dict(zip(read_scored(folder).names, read_scored(folder).scores, strict=True))
        now = float(re.search(r"score \*\*([\d.]+)\*\*", words(at)).group(1))
        assert 0 < now < stored[name]  # the mean of forty is below the highest
        at = at.selectbox(key="knob.whiten").set_value("pca").run()
        assert "whiten none, now pca" in words(at)
        at = settled(button(at, "Recompute (about").click().run())
        no_trace(at)
        assert "whitened (pca), score of the 40 highest patches" in words(at)
        command = "\n".join(code.value for code in at.code)
        assert "--image-patches=40" in command
        assert "--whiten=pca" in command

    @pytest.mark.usefixtures("world")
    def test_of_two_banks_it_is_told_whose_patch_and_what_distance_is_shown(self):
        at = settled(open_page(**SMALL_SETTINGS))
        assert "mean of the plain bank's distance" not in words(at)
        at = settled(open_page(**SMALL_SETTINGS, whiten="both"))
        no_trace(at)
        assert "and as many whitened beside them" in words(at)
        assert "mean of the plain bank's distance and the whitened one's" in words(at)

    @pytest.mark.usefixtures("world")
    def test_two_weights_side_by_side(self):
        at = settled(open_page(**SMALL_SETTINGS))
        at = at.selectbox(key="knob.beside").set_value("random").run()
        no_trace(at)
        at = settled(at)
        no_trace(at)
        assert "| | embedded | random |" in words(at)
        assert "The same colours are the same distance" in words(at)

    @pytest.mark.usefixtures("world")
    def test_a_comparison_that_is_not_computed_yet_leaves_the_picture_as_it_is(self, monkeypatch):
        at = settled(open_page(**SMALL_SETTINGS))
        before = [round(c.weight, 2) for c in at.columns]
        asked = []
        monkeypatch.setattr(Workshop, "start", lambda _, wanted: asked.append(wanted.weights))
        at = at.selectbox(key="knob.beside").set_value("random").run()
        no_trace(at)
        assert asked == ["random"]  # a small category: without being asked to
        assert [round(c.weight, 2) for c in at.columns] == before

    @pytest.mark.usefixtures("world")
    def test_a_training_photo_has_nothing_beside_it_and_stays_as_it_is(self):
        at = settled(open_page(**SMALL_SETTINGS, img="train/good/000"))
        before = [round(c.weight, 2) for c in at.columns]
        at = settled(at.selectbox(key="knob.beside").set_value("random").run())
        no_trace(at)
        assert "choose one of those to compare" in words(at)
        assert [round(c.weight, 2) for c in at.columns] == before

    @pytest.mark.usefixtures("world")
    def test_a_changed_setting_is_told_with_the_box_closed_and_taken_back(self):
        at = settled(open_page(**SMALL_SETTINGS, whiten="pca"))
        no_trace(at)
        told = next(c.value for c in at.caption if "Changed:" in c.value).replace("\\", "")
        assert "Whitening **pca**" in told
        assert f"Image side, pixels **{SIZE}**" in told
        assert "Coreset (share of patches kept) **5%**" in told
        assert "Seed" not in told
        at = button(at, "Reset").click().run()
        assert list(at.exception) == []
        assert "Changed:" not in words(at)
        assert at.selectbox(key="knob.whiten").value == "auto"
        assert not {"whiten", "pcsize", "coreset", "pclayers"} & set(at.query_params)

    def test_a_run_of_another_category_is_told(self, world):
        write_run(world / "runs" / "nut-1", name="nut")
        at = open_page(**SMALL_SETTINGS, run="nut-1")
        assert list(at.exception) == []
        assert "nut-1 was fine-tuned on nut, not on bolt" in words(at).replace("\\", "")

    def test_a_damaged_one_of_its_own_is_made_anew(self, world):
        at = settled(open_page(**SMALL_SETTINGS))
        (folder,) = (world / "cache/evaluations").iterdir()
        (folder / "scores.csv").write_text("")
        st.cache_resource.clear()
        at = at.run()
        no_trace(at)
        at = settled(button(at, "Compute it again").click().run())
        no_trace(at)
        assert len(confusions(at)) == 2


class TestWorkshop:
    @pytest.fixture
    def wanted(self, world) -> Wanted:
        category = open_dataset(world / "demo").category("bolt")
        return Wanted(category, "resnet18", "embedded", SETTINGS)

    def test_many_at_once_compute_once(self, wanted, monkeypatch):
        calls = []
        import app.shared.evaluations as inspection

        real = inspection._compute

        def counted(*args):
            calls.append(1)
            real(*args)

        monkeypatch.setattr(inspection, "_compute", counted)
        shop = Workshop()
        for _ in range(5):
            shop.start(wanted)
        shop.of(wanted.key).thread.join()
        shop.start(wanted)
        shop.of(wanted.key).thread.join()
        assert (len(calls), wanted.is_done) == (1, True)
        assert [p.name for p in wanted.folder.parent.iterdir()] == [wanted.key]

    def test_what_it_writes_is_what_the_command_writes(self, wanted, world):
        shop = Workshop()
        shop.start(wanted)
        shop.of(wanted.key).thread.join()
        made = score_parts(world / "demo", world / "by-command")
        ours, theirs = read_scored(wanted.folder), read_scored(made.folder)
        assert np.array_equal(ours.heatmaps, theirs.heatmaps)
        assert np.array_equal(ours.scores, theirs.scores)

    def test_a_failure_leaves_nothing_behind(self, wanted, monkeypatch):
        def fail(_wanted, _backbone, out, _notify):
            (out / "half").write_text("")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("app.shared.evaluations._compute", fail)
        shop = Workshop()
        shop.start(wanted)
        shop.of(wanted.key).thread.join()
        assert "No space left" in str(shop.of(wanted.key).error)
        assert list(wanted.folder.parent.iterdir()) == []

    def test_the_oldest_are_removed_beyond_a_dozen(self, wanted, monkeypatch):
        import os

        monkeypatch.setattr("app.shared.evaluations.KEPT", 3)
        for age in range(5):
            folder = wanted.folder.parent / f"old{age}"
            folder.mkdir(parents=True)
            os.utime(folder, (1000 - age, 1000 - age))
        shop = Workshop()
        shop.start(wanted)
        shop.of(wanted.key).thread.join()
        left = {p.name for p in wanted.folder.parent.iterdir()}
        assert left == {wanted.key, "old0", "old1"}

    def test_more_work_takes_longer(self, wanted):
        base = estimate(wanted)
        assert (
            estimate(
                Wanted(
                    wanted.category, "resnet18", "embedded", SETTINGS.replace(image_size=2 * SIZE)
                )
            )
            > base
        )
        assert (
            estimate(Wanted(wanted.category, "resnet18", "embedded", SETTINGS.replace(coreset=1.0)))
            > base
        )
        assert workshop() is workshop()


class TestPieces:
    @pytest.fixture
    def heat(self, tmp_path) -> Heat:
        from cutswap.data.records import Record

        file = write_image(tmp_path / "a/000.png", photo_of(0, (SIZE, SIZE)))
        values = np.zeros((SIZE, SIZE), np.float32)
        values[5, 60] = 2.0
        mask = np.zeros((SIZE, SIZE), bool)
        mask[4:8, 58:63] = True
        return Heat(Record(file, "test", "a"), values, 2.5, mask, (0.0, 4.0), "distance")

    def test_alt_text_is_made_of_facts(self, heat):
        text = alt_text(heat, "✔ found")
        for fact in ("test/a/000", "peak 2 ", "upper right", "inside the marked", "2.5", "found"):
            assert fact in text

    def test_the_picture_is_scaled_and_its_threshold_marked(self, heat):
        st.cache_resource.clear()
        shown = picture(heat, pixel_threshold=1.0, contour=True, cell_box=(4, 56, 4, 4))
        assert shown.base.shape == (512, 512, 3)
        assert shown.mask.sum() == heat.mask.sum() * 64
        assert shown.boxes[0].place == (32, 448, 32, 32)
        assert (shown.legend.low, shown.legend.high) == ("0", "4")
        assert shown.legend.marks[0][0] == 0.25
        cyan = (shown.heat == (0, 255, 255)).all(axis=-1)
        assert cyan[40:48, 480:488].any()
        assert not cyan[100:].any()

    def test_heat_is_clear_where_good_photos_usually_are(self, heat):
        usual = dataclasses.replace(heat, usual=1.0)
        alpha = picture(usual).heat_alpha
        low, high = usual.span
        assert (alpha[usual.values <= 1.0] == 0).all()
        assert (alpha[usual.values >= 1.0 + 0.3 * (high - 1.0)] == 255).all()
        order = np.argsort(usual.values, axis=None)
        assert (np.diff(alpha.ravel()[order].astype(int)) >= 0).all()
        # What is called defective is seen, though good photos reach it too; its outline always.
        called = picture(usual, pixel_threshold=0.5, contour=True)
        assert called.heat_alpha.shape == called.heat.shape[:2]
        outline = (called.heat == (0, 255, 255)).all(axis=-1)
        assert (called.heat_alpha[outline] == 255).all()
        ramp = picture(usual).legend.to_dict()["colours"]
        assert ramp[0].endswith("00")
        assert ramp[-1].endswith("ff")
        assert picture(heat).heat_alpha is None

    def test_the_frame_lies_on_the_patch(self):
        large = boxed(np.full((9, 9, 3), 128, np.uint8), (3, 4, 2, 1), 10)
        white = np.argwhere((large == 255).all(axis=-1))
        assert large.shape == (90, 90, 3)
        assert np.abs(white.min(axis=0) - (30, 40)).max() <= 1
        assert np.abs(white.max(axis=0) - (50, 50)).max() <= 1

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"layers": ("layer1", "layer3"), "coreset": 0.1},
            {"projection": None, "sigma": 0.0},
            {"search": "ivf"},
            PLAIN,
            {"image_patches": 3, "whiten": "pca", "shrinkage": 0.2},
        ],
    )
    def test_the_command_s_settings_are_the_page_s(self, changes):
        settings = PatchCoreSettings().replace(**changes)
        flags = [str(f) for f in settings_flags(settings, 3)]
        line = ["evaluate", "--data", "d", "--out", "o", *flags]
        options = parse(line)
        assert settings_from(options, PatchCoreSettings) == settings
        assert options.seed == 3

    def test_weights_in_commands(self):
        assert weights_flags("embedded") == []
        assert weights_flags("random") == ["--weights", "random"]
        assert weights_flags("/runs/a") == ["--run", "/runs/a"]

    def test_the_command_of_a_saved_one(self, saved):
        summary = read_scored(saved / "first").summary
        line = [str(part) for part in evaluate_again(summary)]
        options = parse(line)
        assert settings_from(options, PatchCoreSettings).layers == SETTINGS.layers
        assert str(options.data) == summary["data"]["root"]
        assert evaluate_again({}) is None
        old = {n: v for n, v in summary["patchcore"].items() if n not in {*PLAIN, "shrinkage"}}
        line = [str(part) for part in evaluate_again({**summary, "patchcore": old})]
        again = settings_from(parse(line), PatchCoreSettings)
        assert PLAIN.items() <= again.to_dict().items()  # what it was scored with

    def test_a_live_image_equals_the_evaluated_one(self, saved):
        found = read_scored(saved / "first")
        record = found.records[-1]
        live = inspect_caches.prediction(
            BankKey.of(found.bank_file), PhotoKey.of(record.image, SIZE)
        )
        assert np.allclose(live.heatmaps[0], found.heatmaps[-1], atol=1e-5)
