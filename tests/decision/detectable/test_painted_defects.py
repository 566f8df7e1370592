"""The plan, and defects on their photos: exact, inside, even over places, equal by seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from cutswap.config import DEFECT_KINDS, SWAP, DetectableSettings
from cutswap.data.reading import CROP, FIT, SQUASH
from cutswap.data.regions.frame import Frame
from cutswap.decision.detectable.painted_defect import paint_defect
from cutswap.decision.detectable.plan import GRID, PlannedDefect, cell_of, plan, usual_sizes
from cutswap.errors import CutSwapError
from tests.helpers.small_photos import photo_of

SETTINGS = DetectableSettings(sizes=(2, 5, 11), contrasts=(0, 40), places=24)
PHOTOS = ((64, 64), (64, 64), (64, 64))


def planned(
    settings=SETTINGS, photos=PHOTOS, region=None, resize=SQUASH, seed=0, side=32
) -> tuple[PlannedDefect, ...]:
    return plan(settings, photos, region, side, resize, seed)


def test_everything_asked_for_is_planned_once_and_equal_by_seed():
    found = planned()
    counts = Counter((one.kind, one.size, one.contrast) for one in found)
    assert set(counts) == {(k, s, c) for k in DEFECT_KINDS for s in (2, 5, 11) for c in (0, 40)}
    assert set(counts.values()) == {24}
    assert found == planned()
    assert found != planned(seed=1)
    assert [one.photo for one in found] == sorted(one.photo for one in found)
    each = Counter(one.photo for one in found)
    assert max(each.values()) - min(each.values()) <= 1
    assert all((one.source is not None) == (one.kind == SWAP) for one in found)


def test_places_are_even_over_the_grid():
    found = planned(SETTINGS.replace(places=36, sizes=(2, 5)), ((60, 60),), side=30)
    for size in (2, 5):
        cells = Counter(
            (cell_of(one.at[0] / 60), cell_of(one.at[1] / 60))
            for one in found
            if one.size == size and one.contrast == 40
        )
        assert len(cells) == GRID**2
        # the margin of the photo's border moves none into another cell: they are 10 pixels wide
        assert set(cells.values()) == {3}


@pytest.mark.parametrize(
    ("photo", "resize"), [((60, 90), FIT), ((60, 90), CROP), ((90, 60), FIT), ((61, 47), SQUASH)]
)
def test_defects_lie_in_what_is_seen(photo, resize):
    frame = Frame(photo, 32, resize)
    top, left, height, width = frame.source
    region = frame.inside.copy()
    region[:, :14] = False  # only the right part is looked at
    for one in planned(photos=(photo,), region=region, resize=resize):
        y, x = one.at
        assert top + one.size / 2 <= y <= top + height - one.size / 2
        assert left + one.size / 2 <= x <= left + width - one.size / 2
        row = frame.target[0] + int((y - top + 0.5) * frame.target[2] / height)
        column = frame.target[1] + int((x - left + 0.5) * frame.target[3] / width)
        assert region[row, column]


@pytest.mark.parametrize("kind", DEFECT_KINDS)
def test_pixels_outside_the_defect_stay(kind):
    photo = photo_of(3, (64, 64))
    for one in planned():
        if one.kind != kind:
            continue
        painted = paint_defect(photo, one)
        changed = (painted.photo != photo).any(axis=2)
        if not one.contrast:
            assert not changed.any()
            assert (painted.share, painted.change) == (0, 0)
            assert (painted.rows.tolist(), painted.columns.tolist()) == ([one.at[0]], [one.at[1]])
            continue
        far = np.full((64, 64), np.inf)
        rows, columns = np.mgrid[:64, :64]
        for middle in filter(None, (one.at, one.source)):
            steps = np.abs(rows - middle[0]), np.abs(columns - middle[1])
            far = np.minimum(far, np.maximum(*steps))
        reach = one.size if kind == SWAP else one.size / 2 + 2
        assert (far[changed] <= reach).all()
        assert painted.share == changed.mean()
        steps = np.abs(painted.photo.astype(int) - photo)[changed]
        assert painted.change == pytest.approx(steps.mean(), rel=1e-6)
        assert changed[painted.rows, painted.columns].all()


def test_a_spot_by_hand():
    """A grey photo, 5 pixels wide, 40% of the way to white: 100 + 0.4 * 155 = 162."""
    photo = np.full((32, 32, 3), 100, np.uint8)
    spot = PlannedDefect("spot", 5, 40, 0, (10, 20), None, 0.0, 0)
    painted = paint_defect(photo, spot).photo
    assert painted[10, 20].tolist() == [162] * 3
    assert painted[10, 22].tolist() == [162] * 3  # 2 pixels from the middle: inside
    assert painted[10, 24].tolist() == [100] * 3
    # of a bright photo the way to black is the longer one
    bright = paint_defect(np.full((32, 32, 3), 200, np.uint8), spot).photo
    assert bright[10, 20].tolist() == [120] * 3
    whole = paint_defect(photo, PlannedDefect("spot", 5, 100, 0, (10, 20), None, 0.0, 0)).photo
    assert whole[10, 20].tolist() == [255] * 3


def test_a_swap_by_hand():
    photo = photo_of(5, (40, 40))
    whole = PlannedDefect("swap", 6, 100, 0, (10, 10), (30, 20), 0.0, 0)
    painted = paint_defect(photo, whole)
    assert (painted.photo[7:13, 7:13] == photo[27:33, 17:23]).all()
    assert (painted.photo[27:33, 17:23] == photo[7:13, 7:13]).all()
    # its place is where it was planned, not the other patch
    assert painted.rows.max() < 13
    half = paint_defect(photo, PlannedDefect("swap", 6, 50, 0, (10, 10), (30, 20), 0.0, 0)).photo
    mean = (photo[7:13, 7:13].astype(int) + photo[27:33, 17:23]) / 2
    assert np.abs(half[7:13, 7:13] - mean).max() <= 1


def test_a_photo_larger_than_a_canvas_is_painted_too():
    photo = np.full((60, 5000, 3), 90, np.uint8)
    for kind, source in (("spot", None), ("scratch", None), ("swap", (20, 100))):
        one = PlannedDefect(kind, 16, 80, 0, (30, 4900), source, 0.3, 4)
        changed = (paint_defect(photo, one).photo != photo).any(axis=2)
        assert changed.any() == (kind != "swap")  # two patches of an even photo are alike


def test_sizes_rise_by_one_factor():
    assert usual_sizes(256) == (2, 4, 8, 16, 32, 64)
    assert usual_sizes(1200) == (6, 11, 20, 38, 69, 128)
    assert usual_sizes(12) == (2, 3)


@pytest.mark.parametrize(
    ("changes", "photos", "says"),
    [
        ({}, (), "at least one to paint defects on"),
        ({"sizes": (40,)}, PHOTOS, "at most 32 pixels, half the photos' shorter side"),
        ({"places": 1000, "sizes": tuple(range(2, 12))}, PHOTOS, "found 60,000"),
        ({"kinds": ()}, PHOTOS, "painted defects: expected 1 to 20,000"),
    ],
)
def test_plans_that_cannot_be(changes, photos, says):
    with pytest.raises(CutSwapError, match=says):
        planned(SETTINGS.replace(**changes), photos)


def test_a_region_that_hides_everything():
    with pytest.raises(CutSwapError, match="found one that hides everything"):
        planned(region=np.zeros((32, 32), bool))


def test_settings_that_cannot_be():
    for changes in ({"kinds": ("dent",)}, {"sizes": (129,)}, {"contrasts": (101,)}, {"places": 0}):
        with pytest.raises(CutSwapError):
            DetectableSettings(**changes)
