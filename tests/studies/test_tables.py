"""A study's figures by hand: means, spreads, differences, what is said of them, and the files."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from cutswap.data.published import PUBLISHED_COUNTS
from cutswap.results.paper_tables import METRICS
from cutswap.studies.estimate import duration, time_left
from cutswap.studies.export import HEADER, escape, to_csv, to_latex
from cutswap.studies.findings import average_checks, differing, settings_sentence, statements
from cutswap.studies.plan import PRESETS, StudySettings
from cutswap.studies.report import HEIGHT, chart, to_html, write_reports
from cutswap.studies.tables import Entry, entries, pairs
from tests.helpers.studies import LAPTOP, write_small_study

MVTEC = PUBLISHED_COUNTS["MVTec AD"]


def one(found: tuple[Entry, ...], category: str, row: str, coreset: float | None = None) -> Entry:
    (entry,) = [
        e for e in found if (e.category, e.row) == (category, row) and coreset in (None, e.coreset)
    ]
    return entry


def test_mean_and_spread_of_an_ablation_by_hand(tmp_path: Path):
    values = {"bolt": (0.90, 0.94, 0.92), "nut": (0.80, 0.70, 0.90)}
    study = write_small_study(
        tmp_path / "s", lambda c: values[c.category][c.seed], categories=("bolt", "nut")
    )
    found = entries(study, "V", "image_auroc")
    assert len(found) == 6 * 3
    bolt = one(found, "bolt", "K=4")
    assert bolt.ours is not None
    assert bolt.ours.mean == pytest.approx(0.92)
    assert bolt.ours.std == pytest.approx(0.02)
    assert bolt.ours.seeds == (0, 1, 2)
    assert bolt.paper is None  # the paper prints averages only
    # Seed by seed (0.85, 0.82, 0.91), not over the six values.
    average = one(found, "Average", "K=4")
    assert average.ours is not None
    assert average.ours.values == pytest.approx((0.85, 0.82, 0.91))
    assert average.ours.std == pytest.approx(0.0458258, abs=1e-6)
    assert average.paper == 0.955
    assert average.difference == pytest.approx(0.86 - 0.955)
    assert "ours is over bolt, nut" in average.reservations[0]
    pixel = one(entries(study, "V", "pixel_auroc"), "Average", "K=1")
    assert (pixel.paper, pixel.ours and round(pixel.ours.mean, 6)) == (0.952, 0.76)


def test_a_seed_that_a_category_lacks_does_not_count_in_the_average(tmp_path: Path):
    def value(cell):
        if cell.category == "nut" and cell.seed == 2:
            return None
        return "no space left" if cell.category == "bolt" and cell.seed == 1 else 0.9

    study = write_small_study(tmp_path / "s", value, categories=("bolt", "nut"))
    average = one(entries(study, "V", "image_auroc"), "Average", "K=2")
    assert average.ours is not None
    assert average.ours.seeds == (0,)
    assert (average.wanted, average.failed, average.ours.std) == (3, 1, None)
    assert average.text() == "0.900 (1 of 3 seeds)"
    assert average.is_beyond is None  # one seed knows no spread
    bolt = one(entries(study, "V", "image_auroc"), "bolt", "K=2")
    assert (bolt.wanted, bolt.failed) == (3, 1)
    assert (study.count("done"), study.count("failed"), study.count("missing")) == (24, 6, 6)


def test_categories_stand_beside_the_papers_and_other_methods_are_the_papers_alone(tmp_path):
    study = write_small_study(
        tmp_path / "s",
        lambda c: 0.98 + 0.005 * c.seed,
        tables=("II",),
        categories=("metal_nut", "screw"),
        counts={name: MVTEC[name] for name in ("metal_nut", "screw")},
    )
    found = entries(study, "II", "image_auroc")
    screw = one(found, "screw", "CutSwap + PC")
    assert (screw.paper, screw.reservations) == (0.871, ())
    assert screw.difference == pytest.approx(0.985 - 0.871)
    assert screw.is_beyond is True
    nut = one(found, "metal_nut", "ResNet18 + PC")
    assert nut.paper == 0.991
    assert nut.is_beyond is False  # 0.006 lies within 2 x 0.005
    intra = one(found, "screw", "InTra")
    assert (intra.ours, intra.paper, intra.wanted, intra.text()) == (None, 0.957, 0, "–")
    assert not [e for e in found if e.row == "STPM"]  # a dash in the paper
    # The paper's mean over the same two categories, not over its fifteen.
    average = one(found, "Average", "CutSwap + PC")
    assert average.paper == pytest.approx((0.998 + 0.871) / 2)


def test_rounding_alone_is_no_difference(tmp_path):
    study = write_small_study(
        tmp_path / "s",
        lambda _: 0.8714,
        tables=("II",),
        categories=("screw",),
        counts={"screw": MVTEC["screw"]},
    )
    entry = one(entries(study, "II", "image_auroc"), "screw", "CutSwap + PC")
    assert entry.ours is not None
    assert entry.ours.std == 0
    assert entry.is_beyond is False


def test_a_category_the_paper_lacks_or_has_in_other_data_stands_alone(tmp_path):
    study = write_small_study(
        tmp_path / "s", lambda _: 0.9, tables=("I", "III"), categories=("magnetic_tile", "screw")
    )
    first, third = (entries(study, n, "image_auroc") for n in ("I", "III"))
    assert one(first, "magnetic_tile", "CutSwap + PC").paper is None
    assert one(first, "screw", "CutSwap + PC").paper == 0.732
    assert one(third, "screw", "CutSwap + PC").paper is None  # no VisA
    assert one(first, "Average", "CutSwap + PC").paper is None  # one of two has a number
    assert (
        "4 training and 5 test images here" in one(first, "screw", "CutSwap + PC").reservations[0]
    )


# What is said


def test_what_does_not_reproduce_is_said_only_of_the_papers_own_data(tmp_path):
    def write(name, counts):
        return write_small_study(
            tmp_path / name,
            lambda c: 0.5 + 0.01 * c.seed,
            tables=("II",),
            categories=("screw",),
            counts={"screw": counts},
        )

    clean, other = write("a", MVTEC["screw"]), write("b", (4, 5))
    said = "\n".join(statements(clean))
    # three methods, two figures, their row and the average over this one category
    assert "12 of 12 figures differ" in said
    assert (
        "Table II, screw, CutSwap + PC, coreset 0.01, image AUROC: ours 0.510 ± 0.010 (n=3) lies"
        " 0.361 below the paper's 0.871: it does not reproduce."
    ) in said
    doubtful = "\n".join(statements(other))
    assert "it does not reproduce" not in doubtful
    assert "12 of 12 figures lie beyond 2 spreads" in doubtful
    assert len(differing(other)) == 12
    assert {e.verdict for e in differing(other)} == {"other data"}
    assert {e.verdict for e in differing(clean)} == {"does not reproduce"}


def test_the_ablations_winner_is_held_against_ours_by_paired_seeds(tmp_path):
    better = {"K=2": 0.05, "K=4": 0.01}

    def value(cell):
        return 0.6 + 0.05 * cell.seed + better.get(cell.variant.row, 0.0) * (1 + 2 * cell.seed)

    study = write_small_study(tmp_path / "s", value)
    (image,) = [t for t in statements(study) if t.startswith("Table V, image")]
    assert "the paper's best is K=4 (0.955), ours K=2" in image
    # 0.04, 0.12, 0.20: mean 0.12, standard deviation 0.08
    assert "by 0.120 ± 0.080 (paired seeds, n=3), within 2 spreads" in image
    assert "picked after the fact" in image


def test_no_winner_is_named_while_seeds_are_missing(tmp_path):
    def value(cell):
        return None if (cell.variant.row, cell.seed) == ("K=3", 2) else 0.9

    study = write_small_study(tmp_path / "s", value)
    assert not [t for t in statements(study) if t.startswith("Table V, image")]
    assert [t for t in statements(study) if t == "1 of 18 cells: not computed yet."]


def test_a_preset_says_its_length_and_what_was_changed(tmp_path):
    def said(training, preset="laptop"):
        settings = StudySettings(preset, training, LAPTOP.saliency)
        study = write_small_study(
            tmp_path / f"s{len(list(tmp_path.iterdir()))}", lambda _: None, settings=settings
        )
        return settings_sentence(study)

    laptop, paper = PRESETS["laptop"].training, PRESETS["paper"].training
    assert "60 updates of 8 images" in said(laptop)
    assert "changed by flags" not in said(laptop.replace(weights="x.pth", device="cpu"))
    assert "50 updates" in said(laptop.replace(steps_per_epoch=50))
    assert "changed by flags" in said(laptop.replace(steps_per_epoch=50))
    assert "for want of training" in said(laptop)
    assert "256 epochs of 32 images" in said(paper, "paper")
    assert "for want of training" not in said(paper, "paper")
    assert "for want of training" in said(paper.replace(steps_per_epoch=9), "paper")


def test_the_papers_averages_are_recomputed_and_one_is_wrong():
    checks = average_checks()
    assert len(checks) == 2 * (3 + 5 + 3 + 5)
    (wrong,) = [c for c in checks if c.is_mismatch]
    assert (wrong.table, wrong.method, wrong.metric) == ("IV", "Draem", "pixel_auroc")
    assert (wrong.printed, round(wrong.recomputed or 0, 4)) == (0.888, 0.9357)
    (dash,) = [c for c in checks if c.recomputed is None]
    assert (dash.table, dash.method, dash.metric) == ("II", "STPM", "image_auroc")
    others = [c for c in checks if c.recomputed is not None and not c.is_mismatch]
    assert max(abs(c.printed - (c.recomputed or 0)) for c in others) <= 0.001


# Files


@pytest.fixture
def partly(tmp_path):
    """Tables IV and V of a category with a hostile name, some done, one failed."""

    def value(cell):
        if cell.variant.row == "K=6":
            return "<b>it & broke</b>"
        return None if cell.variant.row == "K=5" else 0.9 + 0.01 * cell.seed

    return write_small_study(
        tmp_path / "s", value, tables=("IV", "V"), categories=("=<i>a_b&c</i>", "candle")
    )


def test_the_csv_has_every_entry(partly):
    lines = list(csv.DictReader(io.StringIO(to_csv(partly))))
    assert tuple(lines[0]) == HEADER
    wanted = sum(len(entries(partly, n, m)) for n in partly.tables for m in METRICS)
    assert len(lines) == wanted
    assert {line["category"][:2] for line in lines} == {"'=", "ca", "Av"}
    (four,) = [
        x
        for x in lines
        if (x["category"], x["row"], x["metric"]) == ("Average", "K=4", "image_auroc")
    ]
    assert (four["mean"], four["std"], four["n"]) == ("0.910000", "0.010000", "3")
    assert (four["paper"], four["difference"]) == ("0.955", "-0.045000")
    assert (four["seeds"], four["beyond_2_spreads"]) == ("0 1 2", "true")
    (six,) = [
        x
        for x in lines
        if (x["category"], x["row"], x["metric"]) == ("candle", "K=6", "image_auroc")
    ]
    assert (six["mean"], six["n"], six["seeds_failed"]) == ("", "0", "3")


def test_latex_is_escaped_and_whole(partly):
    text = to_latex(partly)
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert r"=<i>a\_b\&c</i>" in text
    assert escape("50%_#{}") == r"50\%\_\#\{\}"
    assert r"0.910 $\pm$ 0.010 (n=3) [0.955, -0.045]" in text
    assert "Draem, pixel_auroc, is printed as 0.888; its rows give 0.936" in text
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert not re.search(r"(?<!\\)[%#_]", "\n".join(body))
    assert all(
        line.count(" & ") == 2
        for line in body
        if line.endswith(r"\\") and "multicolumn" not in line
    )


def test_methods_whose_image_figure_the_paper_lacks_stand_in_the_reports(tmp_path):
    study = write_small_study(
        tmp_path / "s", lambda _: 0.9, tables=("II",), categories=("leather", "screw"), seeds=2
    )
    assert "STPM" in {e.row for e in entries(study, "II", "pixel_auroc") if e.category == "leather"}
    image, pixel = (
        {(e.category, e.row) for e in entries(study, "II", metric)} for metric in METRICS
    )
    assert ("leather", "STPM") in pixel - image
    lines = pairs(study, "II")
    assert [(i.category, i.row) for i, _ in lines] == [(p.category, p.row) for _, p in lines]
    assert {(i.category, i.row) for i, _ in lines} == image | pixel
    (odd,) = [line for line in lines if (line[0].category, line[0].row) == ("leather", "STPM")]
    assert (odd[0].text(), odd[0].paper) == ("–", None)
    assert odd[1].paper is not None
    assert [i.category for i, _ in lines] == sorted(
        (i.category for i, _ in lines), key=["leather", "screw", "Average"].index
    )
    assert rf"STPM, coreset 0.01 & -- & -- [{odd[1].paper:.3f}]" in to_latex(study)
    assert "STPM" in to_html(study)


def test_the_report_is_one_file_that_runs_nothing(partly):
    path = write_reports(partly)
    text = path.read_text()
    assert "<script" not in text
    assert not re.search(r'(src|href)="', text)
    assert "<b>it & broke" not in text
    assert "&lt;b&gt;it &amp; broke" in text
    assert "&lt;i&gt;a_b&amp;c" in text
    assert text.count("<svg") == 2
    assert "does not follow from its rows" in text
    assert "not yet run" in text
    assert "python -m cutswap reproduce --table 4,5" in text
    assert len(text) < 200_000
    assert to_html(partly) == text
    for name in ("study.csv", "study.tex"):
        assert (partly.path / name).is_file()


def test_the_chart_puts_higher_figures_higher(tmp_path):
    study = write_small_study(tmp_path / "s", lambda c: 0.8 + 0.02 * c.seed + c.coreset)
    averages = [e for e in entries(study, "V", "image_auroc") if e.is_average]
    drawn = chart(averages)
    assert drawn is not None
    four = drawn.columns[3]
    assert four.mean is not None
    assert four.paper is not None
    assert four.low is not None
    assert four.high is not None
    assert four.paper < four.high < four.mean < four.low  # y grows downwards
    assert four.seeds == tuple(sorted(four.seeds, reverse=True))
    assert all(0 < y < HEIGHT for c in drawn.columns for y in (*c.seeds, c.paper, c.low, c.high))
    labels = [float(label) for _, label in drawn.ticks]
    assert labels == sorted(labels)
    assert [y for y, _ in drawn.ticks] == sorted((y for y, _ in drawn.ticks), reverse=True)
    empty = [e for e in averages if e.category == "nobody"]
    assert chart(empty) is None


# Time


def test_the_time_left_is_that_of_the_studys_own_cells(tmp_path):
    # 10 s a network and 2 s a cell; 4 of 18 are done
    study = write_small_study(
        tmp_path / "s", lambda c: 0.9 if c.seed == 0 and c.variant.clusters.k < 5 else None
    )
    left = time_left(study)
    assert (left.cells, left.networks) == (14, 14)
    assert left.seconds == pytest.approx(14 * 12)
    assert left.is_measured
    fresh = time_left(write_small_study(tmp_path / "t", lambda _: None))
    assert not fresh.is_measured
    assert "rough" in fresh.text()
    assert fresh.seconds > 0
    some = [c.id for c in study.cells if c.seed == 1]
    assert time_left(study, some).cells == 6


def test_durations_are_words():
    said = [duration(s) for s in (40, 600, 7200, 400_000)]
    assert said == ["40 s", "10 min", "2.0 h", "4.6 days"]
