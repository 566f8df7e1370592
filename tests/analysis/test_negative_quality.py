"""Quality of negatives: each figure by hand, its laws, and the command and the page's section."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.negatives import quality as negative_quality_view
from cutswap.analysis.negative_quality import measure_quality
from cutswap.analysis.quality_distances import Distances, RealPhotos
from cutswap.analysis.quality_measures import (
    cell_shares,
    edit_shares,
    foreground,
    mean_change,
    photo_interval,
    similarity,
)
from cutswap.analysis.quality_settings import MEASURED, QualitySettings
from cutswap.analysis.quality_table import FIGURES, HEADS, figures_of, to_csv, to_text
from cutswap.commands.parser import main
from cutswap.config import ClusterSettings, NegativeSettings
from cutswap.data.images import save_png
from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.negatives.draw import draw_negative
from cutswap.negatives.record import Move, NegativeRecord
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.small_photos import disc, noise_photo, photo_of

SIDE = 64


# Edits


def record(*moves: Move) -> NegativeRecord:
    return NegativeRecord("cutpaste", (20, 20), (), moves, None, None, None, (0,), {}, ())


LEFT = np.repeat(np.arange(20) < 10, 20).reshape(20, 20).T  # foreground: columns 0 to 9
BACK, FRONT = (0, 12), (0, 2)


@pytest.mark.parametrize(
    ("source", "target", "shares"),
    [
        # background to itself, to the foreground; foreground anywhere
        (BACK, (10, 14), (1, 0, 0)),
        (BACK, FRONT, (0, 1, 0)),
        (FRONT, BACK, (0, 0, 1)),
        (FRONT, (10, 0), (0, 0, 1)),
        # half of a box on the foreground is foreground, less is not
        ((0, 8), BACK, (0, 0, 1)),
        ((0, 9), BACK, (1, 0, 0)),
    ],
)
def test_edits_are_named_by_where_they_come_from_and_go_to(source, target, shares):
    assert edit_shares(record(Move((*source, 4, 4), target)), LEFT) == shares


def test_both_moves_of_a_swap_count_by_half():
    swap = (Move((*BACK, 4, 4), FRONT), Move((*FRONT, 4, 4), BACK))
    assert edit_shares(record(*swap), LEFT) == (0, 0.5, 0.5)


def test_the_target_is_the_box_that_is_filled_not_the_one_that_was_cut():
    grown = Move((0, 16, 2, 2), (0, 6), size=(2, 12))  # columns 6 to 17: a third is foreground
    small = Move((0, 16, 2, 2), (0, 6))
    assert edit_shares(record(grown), LEFT) == (1, 0, 0)
    assert edit_shares(record(small), LEFT) == (0, 1, 0)


@given(seed=st.integers(0, 10**6), method=st.sampled_from(["cutpaste", "cutswap", "nsa-scar"]))
def test_shares_sum_to_one_and_turn_with_the_foreground(seed: int, method: str):
    photo = noise_photo(seed, (SIDE, SIDE))
    drawn = draw_negative(
        photo,
        photo.mean(axis=-1) / 255,
        NegativeSettings(method=method),
        ClusterSettings(),
        seed=(seed,),
    )
    front = disc((SIDE, SIDE), (30, 30), 20)
    assert sum(edit_shares(drawn.record, front)) == pytest.approx(1)
    assert edit_shares(drawn.record, np.ones_like(front)) == (0, 0, 1)
    assert edit_shares(drawn.record, np.zeros_like(front)) == (1, 0, 0)


def test_a_texture_comes_from_nowhere():
    drawn = draw_negative(
        photo_of(0, (32, 32)), None, NegativeSettings(method="perlin"), ClusterSettings(), seed=(0,)
    )
    assert np.isnan(edit_shares(drawn.record, np.ones((32, 32), bool))).all()


def test_foreground_is_the_upper_two_of_four_clusters():
    saliency = np.repeat([0.0, 0.3, 0.6, 1.0], 5).reshape(4, 5)
    assert foreground(saliency).tolist() == [[False] * 5] * 2 + [[True] * 5] * 2
    assert foreground(np.zeros((4, 5))) is None


# Visibility


def test_change_by_hand():
    positive = np.full((2, 2, 3), 100, np.uint8)
    negative = positive.copy()
    negative[0, 0] = (106, 97, 100)
    mask = (negative != positive).any(axis=-1)
    assert mean_change(positive, negative, mask) == pytest.approx(3)
    assert mean_change(positive, negative, np.ones((2, 2), bool)) == pytest.approx(0.75)


@pytest.mark.parametrize(("a", "b"), [(100, 100), (100, 110), (0, 255), (200, 50)])
def test_similarity_of_even_photos_by_hand(a: int, b: int):
    """No variance: only the means count."""
    one, two = (np.full((16, 16, 3), v, np.uint8) for v in (a, b))
    constant = (0.01 * 255) ** 2
    expected = (2 * a * b + constant) / (a * a + b * b + constant)
    np.testing.assert_allclose(similarity(one, two), expected, atol=1e-9)


def test_similarity_of_opposites_by_hand():
    """A checkerboard and its negative: covariance is minus the variance."""
    board = (np.indices((32, 32)).sum(axis=0) % 2 * 200 + 27).astype(np.uint8)
    one = np.repeat(board[..., None], 3, axis=-1)
    two = 254 - one
    variance, constant = 100.0**2, (0.03 * 255) ** 2
    middle = similarity(one, two)[12:20, 12:20]
    np.testing.assert_allclose(middle, (constant - 2 * variance) / (constant + 2 * variance), 0.01)


@given(seed=st.integers(0, 10**6))
def test_similarity_is_symmetric_at_most_one_and_one_of_itself(seed: int):
    one, two = noise_photo(seed, (24, 30)), photo_of(seed, (24, 30))
    found = similarity(one, two)
    np.testing.assert_allclose(found, similarity(two, one), atol=1e-12)
    assert found.max() <= 1
    np.testing.assert_allclose(similarity(one, one), 1)


# Feature cells and distances


def test_cells_by_hand():
    mask = np.zeros((4, 6), bool)
    mask[0, 0] = mask[1, 2] = mask[3, 5] = mask[3, 4] = True
    assert cell_shares(mask, (2, 2)).tolist() == [[0.5, 0.0], [0.0, 0.5]]


@given(
    size=st.tuples(st.integers(4, 40), st.integers(4, 40)),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_cell_shares_sum_to_one(size, grid):
    mask = np.random.default_rng(0).random(size) < 0.5
    mask[0, 0] = True
    shares = cell_shares(mask, grid)
    assert shares.shape == grid
    assert shares.sum() == pytest.approx(1)


def test_distances_by_hand():
    normal = np.zeros((1, 2, 2, 3), np.float32)
    defects = np.zeros((2, 2, 2, 3), np.float32)
    defects[0, 0, 0], defects[1, 1, 1] = (3, 4, 0), (0, 0, 12)
    masks = np.zeros((2, 8, 8), bool)
    masks[0, :4, :4], masks[1, 4:, 4:] = True, True
    good = np.full((1, 2, 2, 3), 1, np.float32)
    distances = Distances(normal, RealPhotos(defects, masks, good))
    features = np.zeros((2, 2, 3), np.float32)
    features[0, 1] = (0, 0, 10)
    mask = np.zeros((8, 8), bool)
    mask[0, 3:7] = True  # one pixel in the zero cell, three in the other
    to_normal, to_defects = distances.of(features, mask)
    assert to_normal == pytest.approx(0.75 * 10)
    # the zero cell is 5 from the nearer defect, the other 2 from (0, 0, 12)
    assert to_defects == pytest.approx(0.25 * 5 + 0.75 * 2)
    references = distances.references()
    assert references["real defects"] == [(5, 13), (12, 13)]  # each against the other one
    to_normal, to_defects = references["good test photos"][0]
    assert to_normal == pytest.approx(3**0.5)
    assert to_defects == pytest.approx((2**2 + 3**2 + 1) ** 0.5)


def test_without_real_defects_there_is_no_distance_to_them():
    distances = Distances(np.zeros((1, 2, 2, 3), np.float32), RealPhotos(None, None, None))
    found = distances.of(np.ones((2, 2, 3), np.float32), np.ones((8, 8), bool))
    assert found[0] == pytest.approx(3**0.5)
    assert np.isnan(found[1])
    assert distances.references() == {}


# Intervals


def test_intervals_are_over_photos_not_draws():
    """Ten draws of a photo that agree are one witness."""
    by_photo = np.array([0.0, 1.0, 0.0, 1.0])
    many = np.repeat(by_photo[None, :, None, None], 10, axis=2)
    table = np.full((1, 4, 10, len(FIGURES)), np.nan)
    table[..., 0] = many[..., 0]
    figure = figures_of(table, 2000)[FIGURES[0]]
    assert figure.mean == 0.5
    assert figure.interval == photo_interval(by_photo, 2000)
    assert figure.interval[1] - figure.interval[0] > 0.7
    assert figures_of(table, 2000)[FIGURES[1]] is None


def test_an_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        low, high = photo_interval(rng.normal(3, 1, 40), 500)
        hits += low <= 3 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_one_photo_has_no_interval():
    assert photo_interval(np.array([1.0]), 100) is None
    assert photo_interval(np.array([1.0, 1.0]), 100) == (1.0, 1.0)


def test_a_photo_without_a_foreground_is_left_out_of_its_figures():
    table = np.zeros((2, 3, 1, len(FIGURES)))
    table[:, 1, 0, 0] = np.nan
    table[1, :, 0, 0] += 1
    row = figures_of(table, 100)
    assert row[FIGURES[0]].photos == 2
    assert row[FIGURES[0]].by_seed == (0, 1)
    assert row[FIGURES[-1]].photos == 3


# The whole measurement


SMALL = {
    "image_size": 64,
    "per_photo": 1,
    "judge_weights": "random",
    "guide": "squeezenet1_0",
    "guide_weights": "random",
    "resamples": 100,
}


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "data" / "part"
    for index in range(6):
        save_png(root / "train/good" / f"{index:03d}.png", photo_of(index, (SIDE, SIDE)))
    for index in range(2):
        save_png(root / "test/good" / f"{index:03d}.png", photo_of(20 + index, (SIDE, SIDE)))
        save_png(root / "test/crack" / f"{index:03d}.png", photo_of(30 + index, (SIDE, SIDE)))
        mask = disc((SIDE, SIDE), (20 + 10 * index, 30), 8)
        save_png(root / "ground_truth/crack" / f"{index:03d}_mask.png", mask)
    return root


def test_every_method_is_measured_and_a_seed_repeats(part):
    settings = QualitySettings(**SMALL, seeds=(0, 1))
    checked = check_category(part, None, skip_bad=False)
    seen = []
    found = measure_quality(checked, settings, lambda *step: seen.append(step))
    assert list(found.rows) == [*MEASURED, "real defects", "good test photos"]
    assert (found.photos, found.draws) == (3, 6)
    assert 0 < found.foreground_share < 1
    assert ("judging negatives", 22, 22) in seen
    for method in MEASURED:
        row = found.rows[method]
        assert 0 < row["changed_area"].mean < 1
        assert row["to_normal"].mean > 0
        assert len(row["ssim"].by_seed) == 2
        low, high = row["mean_change"].interval
        assert low <= row["mean_change"].mean <= high
        if not method.startswith("perlin"):
            shares = [row[f].mean for f in FIGURES[:3]]
            assert sum(shares) == pytest.approx(1)
    again = measure_quality(checked, settings)
    assert again.to_dict() == found.to_dict()
    one = measure_quality(checked, settings.replace(methods=("nsa",)))
    assert one.rows["nsa"] == found.rows["nsa"]


def test_random_swap_is_cutswap_without_its_clusters(part):
    settings = QualitySettings(**SMALL, methods=("cutswap", "random-swap"))
    found = measure_quality(check_category(part, None, skip_bad=False), settings)
    assert found.rows["cutswap"]["ssim"] != found.rows["random-swap"]["ssim"]


def test_invisible_is_what_the_thresholds_say(part):
    checked = check_category(part, None, skip_bad=False)
    common = {**SMALL, "methods": ("nsa-scar", "perlin")}
    all_seen = measure_quality(checked, QualitySettings(**common, faint=1e-6))
    none_seen = measure_quality(checked, QualitySettings(**common, faint=300.0, similar=-1.0))
    for method in common["methods"]:
        assert all_seen.rows[method]["invisible"].mean == 0
        assert none_seen.rows[method]["invisible"].mean == 1


def test_too_few_photos_and_unknown_methods_are_refused(part):
    for index in range(3):
        (part / "train/good" / f"{index:03d}.png").unlink()
    with pytest.raises(CutSwapError, match="at least 4 good training photos"):
        measure_quality(check_category(part, None, skip_bad=False), QualitySettings(**SMALL))
    for wrong in ({"methods": ("cutmix",)}, {"methods": ()}, {"seeds": ()}):
        with pytest.raises(CutSwapError, match="methods and seeds"):
            QualitySettings(**wrong)


def test_the_command_writes_a_table_csv_and_json(part, tmp_path, capsys):
    out = tmp_path / "out"
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items()]
    code = main(
        [
            "quality",
            "--data",
            str(part),
            *flags,
            "--methods",
            "cutpaste,perlin-scar",
            "--seeds",
            "0,1",
            "--out",
            str(out),
            "--quiet",
        ]
    )
    assert code == 0
    said = capsys.readouterr().out
    assert "cutpaste" in said
    assert "6 negatives a method of 3 photos" in said
    stored = json.loads((out / "quality.json").read_text())
    assert stored["settings"]["seeds"] == [0, 1]
    assert stored["rows"]["perlin-scar"]["from_foreground"] is None
    with (out / "quality.csv").open() as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        figure = stored["rows"][line["method"]][line["figure"]]
        assert float(line["mean"]) == figure["mean"]
    assert {line["method"] for line in lines} == stored["rows"].keys()


def test_the_text_names_every_figure_once():
    table = np.zeros((1, 2, 1, len(FIGURES)))
    table[..., -1] = 12.345
    rows = {"cutpaste": figures_of(table, 100)}
    text = to_text(rows)
    assert all(head in text for head in HEADS.values())
    assert list(HEADS) == list(FIGURES)
    assert "12.3" in text
    assert to_csv(rows).count("cutpaste") == len(FIGURES)


# The page


def test_the_page_measures_when_asked_and_remembers(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("negatives", cat="part · mine", size="128")
    assert_alive(at)
    assert "How good are these negatives?" in [s.value for s in at.subheader]
    assert not at.dataframe
    button = next(b for b in at.button if b.label == "Measure")
    button.click().run()
    assert_alive(at)
    assert not at.error
    (table,) = [d.value for d in at.dataframe]
    names = table.iloc[:, 0].tolist()
    assert names[:2] == ["CutSwap", "CutSwap scar"]
    assert {"NSA", "Perlin scar", "Random swap", "Good test photos"} <= set(names)
    assert "python -m cutswap quality --data" in texts(at)
    monkeypatch.setattr(
        negative_quality_view, "measure_quality", lambda *_: pytest.fail("measured again")
    )
    again = open_page("negatives", cat="part · mine", size="128")
    next(b for b in again.button if b.label == "Measure").click().run()
    assert_alive(again)
    assert len(again.dataframe) == 1


def test_a_category_too_small_to_measure_is_a_sentence(tmp_path, monkeypatch):
    root = small_app(tmp_path, monkeypatch)
    (root / "part/train/good/000.png").unlink()
    at = open_page("negatives", cat="part · mine", size="128")
    next(b for b in at.button if b.label == "Measure").click().run()
    assert not at.exception
    assert "at least 4 good training photos" in at.error[0].value
