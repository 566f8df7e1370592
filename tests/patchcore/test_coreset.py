"""Greedy k-centre: the textbook's picks, ties and duplicates included, and how well they cover."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cutswap.errors import CutSwapError
from cutswap.patchcore import coreset
from cutswap.patchcore.coreset import coverage_radius, greedy_k_center
from cutswap.patchcore.coreset_space import ProjectedPoints

# Small enough that a few dozen points take many rounds, chunks and blocks.
TINY = {"ROWS": 4, "BLOCK": 3, "START": 2, "WIDEST": 8, "FEW": 2, "MANY": 4}


def plain_greedy(points: np.ndarray, count: int, first: int) -> list[int]:
    """The textbook loop: differences squared and summed in double, kept in single precision."""
    points = points.astype(np.float64)
    bound = np.full(len(points), np.inf, dtype=np.float32)
    picks = [first]
    while len(picks) < count:
        square = ((points - points[picks[-1]]) ** 2).sum(axis=1)
        bound = np.minimum(bound, square.astype(np.float32))
        bound[picks] = -1.0
        picks.append(int(bound.argmax()))
    return picks


def plain_radius(points: np.ndarray, picks: list[int]) -> float:
    gaps = points[:, None].astype(np.float64) - points[None, picks].astype(np.float64)
    return float(np.sqrt((gaps**2).sum(axis=2).min(axis=1).max()))


def greedy(points: np.ndarray | torch.Tensor, count: int, seed: int = 0, **options) -> list[int]:
    found = greedy_k_center(
        torch.as_tensor(points), count, **{"projection": None, "seed": seed, **options}
    )
    assert found.dtype == torch.int64
    assert found.shape == (count,)
    return found.tolist()


def space(points: np.ndarray, matrix: torch.Tensor | None = None) -> ProjectedPoints:
    largest = float(np.abs(points).max())
    return ProjectedPoints(torch.from_numpy(points), matrix, largest=largest, quick=True)


def seed_of(first: int, n: int) -> int:
    """A seed whose first pick among n points is `first`."""
    points = torch.zeros(n, 1)
    return next(s for s in range(1000) if greedy(points, 1, s) == [first])


@pytest.fixture
def tiny_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TINY.items():
        monkeypatch.setattr(coreset, name, value)


HAND_CASES = [
    # (name, points, first pick, the order)
    ("one point", [[7.0]], 0, [0]),
    ("a line from its end", [[0.0], [1.0], [2.0], [10.0]], 0, [0, 3, 2, 1]),
    ("a line from inside", [[0.0], [1.0], [2.0], [10.0]], 1, [1, 3, 0, 2]),
    ("corners of a square: a tie", [[0, 0], [0, 1], [1, 0], [1, 1.0]], 0, [0, 3, 1, 2]),
    ("the middle first: four tie", [[0, 1], [1, 0], [0, 0], [-1, 0], [0, -1.0]], 2,
     [2, 0, 1, 3, 4]),
    ("a double comes last", [[0.0], [5.0], [5.0], [1.0]], 0, [0, 1, 3, 2]),
    ("all are equal", [[2.0], [2.0], [2.0]], 1, [1, 0, 2]),
]  # fmt: skip


class TestPicks:
    @pytest.mark.parametrize(
        ("points", "first", "order"), [c[1:] for c in HAND_CASES], ids=[c[0] for c in HAND_CASES]
    )
    def test_by_hand(self, points, first, order):
        points = np.array(points, dtype=np.float32)
        assert greedy(points, len(points), seed_of(first, len(points))) == order

    @given(st.data())
    def test_agrees_with_the_textbook_on_ties_and_duplicates(self, data):
        """Few distinct whole numbers: distances are exact, and most of them tie."""
        n = data.draw(st.integers(1, 60))
        levels = data.draw(st.integers(1, 4))
        rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
        points = rng.integers(0, levels, (n, data.draw(st.integers(1, 3)))).astype(np.float32)
        count = data.draw(st.integers(1, n))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in TINY.items():
                patch.setattr(coreset, name, value)
            found = greedy(points, count, data.draw(st.integers(0, 50)))
        assert found == plain_greedy(points, count, found[0])

    @pytest.mark.parametrize("rounds", ["tiny", "as shipped"])
    @pytest.mark.parametrize(
        "kind", ["gaussian", "clusters", "sphere", "outliers", "far from 0", "features"]
    )
    def test_agrees_with_the_textbook_on_data(self, kind, rounds, request):
        rng = np.random.default_rng(1)
        n, d = (400, 8) if rounds == "tiny" else (4000, 24)
        points = rng.normal(size=(n, d))
        if kind == "clusters":
            points = rng.normal(size=(10, d))[rng.integers(0, 10, n)] + 0.1 * points
        if kind == "sphere":  # everybody is about as far from everybody: nothing can wait
            points /= np.linalg.norm(points, axis=1, keepdims=True)
        if kind == "outliers":  # norms over six orders of magnitude: single precision is of no use
            points *= 10.0 ** rng.uniform(-3, 3, (n, 1))
        if kind == "far from 0":  # ||a||^2 + ||b||^2 - 2ab without centring would be noise
            points += 3e6
        if kind == "features":  # as after a ReLU
            points = np.maximum(points, 0)
        points = points.astype(np.float32)
        if rounds == "tiny":
            request.getfixturevalue("tiny_rounds")
        found = greedy(points, n // 8, seed=3)
        assert found == plain_greedy(points, n // 8, found[0])

    @pytest.mark.usefixtures("tiny_rounds")
    def test_more_picks_than_distinct_points(self):
        rng = np.random.default_rng(0)
        points = np.repeat(rng.normal(size=(5, 6)), 20, axis=0).astype(np.float32)
        found = greedy(points, 60)
        assert len({i // 20 for i in found[:5]}) == 5
        assert len(set(found)) == 60
        assert found[5:] == sorted(found[5:])

    @pytest.mark.usefixtures("tiny_rounds")
    def test_all_points_are_picked_once(self):
        points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
        assert sorted(greedy(points, 50)) == list(range(50))

    def test_fewer_picks_are_the_beginning_of_more(self):
        points = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
        assert greedy(points, 100)[:30] == greedy(points, 30)

    @pytest.mark.parametrize("projection", [None, 16])
    def test_bounds_in_single_precision_are_never_too_low(self, projection):
        rng = np.random.default_rng(2)
        matrix = (
            None
            if projection is None
            else torch.randn(64, projection, generator=torch.Generator().manual_seed(2))
            / projection**0.5
        )
        points = rng.normal(size=(2000, 64)) * 10.0 ** rng.uniform(-3, 3, (2000, 1)) + 5.0
        measured, index = space(points.astype(np.float32), matrix), torch.arange(2000)
        for centre in range(50):  # one by one: the nearest of several would hide the others
            bounds = []
            for kind in (torch.float64, torch.float32):
                search = coreset._Search(measured, 1)
                search.add(torch.tensor([centre]))
                search.compare(index, 0.0, kind)
                bounds.append(search.bound)
            assert bool((bounds[1] >= bounds[0]).all())

    def test_most_comparisons_are_never_made(self, monkeypatch):
        """What makes it fast, counted: pairs compared, against the textbook's n x count."""
        pairs = {torch.float32: 0, torch.float64: 0}
        rounds = []
        nearest, one_round = coreset._nearest, coreset._Search.round

        def counted(rows, own, centres, squares):
            pairs[rows.dtype] += len(rows) * len(centres)
            return nearest(rows, own, centres, squares)

        monkeypatch.setattr(coreset, "_nearest", counted)
        monkeypatch.setattr(
            coreset._Search, "round", lambda search: (rounds.append(1), one_round(search))
        )
        monkeypatch.setattr(coreset, "START", 256)
        for seed in range(3):  # 0.16, 0.33 and 0.44 of them; in double 0.02, 0.04 and 0.08
            points = np.random.default_rng(seed).normal(size=(20_000, 32)).astype(np.float32)
            greedy(points, 400)
        assert pairs[torch.float32] < 0.5 * 3 * 20_000 * 400
        assert pairs[torch.float64] < 0.1 * 3 * 20_000 * 400
        assert len(rounds) < 3 * 20  # 21


class TestProjection:
    def test_picks_are_those_of_the_projected_points(self):
        points = torch.randn(500, 40, generator=torch.Generator().manual_seed(0))
        found = greedy(points, 60, seed=7, projection=6)
        generator = torch.Generator().manual_seed(7)
        first = int(torch.randint(500, (1,), generator=generator))
        projected = points @ (torch.randn(40, 6, generator=generator) / 6**0.5)
        assert found == plain_greedy(projected.numpy(), 60, first)

    @pytest.mark.parametrize("kind", ["features", "clusters", "outliers", "far from 0"])
    @pytest.mark.usefixtures("tiny_rounds")
    def test_the_copy_in_half_precision_leaves_no_trace_in_the_picks(self, kind, monkeypatch):
        rng = np.random.default_rng(1)
        points = rng.normal(size=(600, 40))
        if kind == "features":
            points = np.maximum(points, 0)
        if kind == "clusters":  # closer together than half precision can tell
            points = rng.normal(size=(10, 40))[rng.integers(0, 10, 600)] + 1e-5 * points
        if kind == "outliers":
            points *= 10.0 ** rng.uniform(-6, 6, (600, 1))
        if kind == "far from 0":
            points += 3e3
        points = points.astype(np.float32)
        found = greedy(points, 150, projection=8)
        monkeypatch.setattr(coreset, "_full_single_precision", lambda device: False)  # noqa: ARG005
        assert found == greedy(points, 150, projection=8)  # all in double, no copy

    def test_the_copy_takes_half_the_memory_of_the_projected_points(self):
        points = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
        projected = space(points, torch.randn(64, 16, generator=torch.Generator().manual_seed(0)))
        kept = [v for v in vars(projected).values() if isinstance(v, torch.Tensor)]
        large = [v for v in kept if len(v) == 500 and v.data_ptr() != projected._points.data_ptr()]
        assert sum(v.nbytes for v in large) == 500 * 16 * 2 + 500 * 4  # and one number a row

    @pytest.mark.parametrize("dimensions", [1, 16])
    @pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e15])
    def test_rows_of_the_copy_are_as_near_as_is_said(self, size, dimensions):
        """In one dimension long rows land near 0, where the rounding of their product shows."""
        rng = np.random.default_rng(3)
        points = size * rng.normal(size=(40_000, 64))
        points[::2] *= 10.0 ** rng.uniform(-9, 0, (20_000, 1))
        matrix = torch.randn(64, dimensions, generator=torch.Generator().manual_seed(0))
        projected = space(points.astype(np.float32), matrix)
        near, true = (
            projected.rows(torch.arange(40_000), k).double() for k in (torch.float32, torch.float64)
        )
        assert bool(near.isfinite().all())
        assert bool(((near - true).norm(dim=1) <= projected.off).all())

    def test_off_when_it_would_not_reduce(self):
        points = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
        plain = greedy(points, 40)
        assert greedy(points, 40, projection=8) == plain
        assert greedy(points, 40, projection=100) == plain
        assert greedy(points, 40, projection=7) != plain

    def test_seeds(self):
        points = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
        state = torch.random.get_rng_state()
        runs = [greedy(points, 20, seed, projection=4) for seed in (0, 0, 1)]
        assert runs[0] == runs[1]
        assert runs[0] != runs[2]
        assert torch.equal(torch.random.get_rng_state(), state)


class TestSurroundings:
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
    def test_other_precisions(self, dtype):
        points = torch.randn(300, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
        found = greedy(points, 50)
        assert found == plain_greedy(points.double().numpy(), 50, found[0])

    def test_strided_points_are_read_and_left_alone(self):
        points = torch.randn(6, 300, generator=torch.Generator().manual_seed(0)).T
        before = points.clone()
        assert greedy(points, 40) == greedy(points.contiguous(), 40)
        assert torch.equal(points, before)

    def test_autocast_around_it_changes_nothing(self):
        points = torch.randn(300, 20, generator=torch.Generator().manual_seed(0))
        plain = greedy(points, 50, projection=10)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert greedy(points, 50, projection=10) == plain

    def test_a_lower_product_precision_around_it_is_noticed(self):
        """Where float32 products may be bfloat16 inside, their bounds would be wrong."""
        assert coreset._full_single_precision(torch.device("cpu"))
        assert not coreset._full_single_precision(torch.device("cuda"))
        torch.set_float32_matmul_precision("medium")
        try:
            assert not coreset._full_single_precision(torch.device("cpu"))
            points = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
            found = greedy(points, 50)
        finally:
            torch.set_float32_matmul_precision("highest")
        assert found == plain_greedy(points, 50, found[0])

    @pytest.mark.usefixtures("tiny_rounds")
    def test_progress_rises_to_the_count(self):
        seen: list[tuple[int, int]] = []
        points = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
        greedy(points, 40, progress=lambda done, total: seen.append((done, total)))
        assert seen == sorted(seen)
        assert len(seen) > 5
        assert seen[-1] == (40, 40)
        assert {total for _, total in seen} == {40}

    @pytest.mark.parametrize(
        ("points", "count", "word"),
        [
            (torch.zeros(3, 2), 0, "1 to 3"),
            (torch.zeros(3, 2), 4, "1 to 3"),
            (torch.zeros(3, 2), -1, "1 to 3"),
            (torch.zeros(0, 2), 1, "not empty"),
            (torch.zeros(3, 0), 1, "not empty"),
            (torch.zeros(3), 1, "matrix"),
            (torch.zeros(3, 2, 2), 1, "matrix"),
            (torch.zeros(3, 2, dtype=torch.int64), 1, "float"),
            (torch.tensor([[0.0], [torch.nan]]), 1, "finite"),
            (torch.tensor([[0.0], [-torch.inf]]), 1, "finite"),
            (torch.tensor([[0.0], [1e20]]), 1, "finite numbers up to"),
        ],
    )
    def test_refusals(self, points, count, word):
        with pytest.raises(CutSwapError, match=word):
            greedy(points, count)


class TestCoverage:
    def test_by_hand(self):
        points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0], [6.0, 7.0]])
        assert coverage_radius(points, torch.tensor([0])) == pytest.approx(10.0)
        assert coverage_radius(points, torch.tensor([0, 2])) == pytest.approx(5.0)
        assert coverage_radius(points, torch.tensor([3, 0, 2, 1])) == 0.0

    @pytest.mark.usefixtures("tiny_rounds")
    @pytest.mark.parametrize("picks", [[0], [5, 17], list(range(0, 200, 10))])
    def test_agrees_with_brute_force(self, picks):
        points = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32) + 10.0
        found = coverage_radius(torch.from_numpy(points), torch.tensor(picks))
        assert found == pytest.approx(plain_radius(points, picks), rel=1e-6)

    def test_no_picks_are_refused(self):
        with pytest.raises(CutSwapError, match="coreset size"):
            coverage_radius(torch.zeros(3, 2), torch.tensor([], dtype=torch.int64))

    @given(st.integers(0, 10_000), st.integers(2, 8), st.integers(1, 4))
    def test_at_most_twice_the_best_possible(self, seed, n, count):
        """Gonzalez 1985."""
        points = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)
        count = min(count, n)
        best = min(plain_radius(points, list(c)) for c in itertools.combinations(range(n), count))
        found = coverage_radius(torch.from_numpy(points), torch.tensor(greedy(points, count)))
        assert found <= 2 * best + 1e-5

    def test_more_picks_cover_no_worse(self):
        points = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
        picks = torch.tensor(greedy(points, 100))
        radii = [coverage_radius(points, picks[:k]) for k in (1, 10, 50, 100)]
        assert radii == sorted(radii, reverse=True)
        assert radii[-1] < radii[0] / 2
