"""A gaussian at every place: by hand, by numpy, scipy and scikit-learn; its laws; its memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import EmpiricalCovariance

from cutswap.errors import CutSwapError
from cutswap.padim.gaussians import PlaceGaussians, memory_of


def drawn(photos: int, places: int, channels: int, seed: int = 0) -> np.ndarray:
    """(N, P, d) float32, correlated, with a mean of its own at every place."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(places, channels, channels))
    values = np.einsum("npi,pij->npj", rng.normal(size=(photos, places, channels)), mix)
    return (values + rng.normal(size=(places, channels)) * 5).astype(np.float32)


def fitted(values: np.ndarray, regularisation: float = 0.01) -> PlaceGaussians:
    return PlaceGaussians.fit(torch.from_numpy(values), regularisation)


def asked(gaussians: PlaceGaussians, values: np.ndarray) -> np.ndarray:
    return gaussians.distances(torch.from_numpy(values)).numpy()


def test_one_gaussian_of_two_channels_by_hand():
    # Three points of a line: mean (0, 0), covariance [[1, 1], [1, 1]], and r = 1 gives
    # [[2, 1], [1, 2]], whose inverse is [[2, -1], [-1, 2]] / 3.
    points = np.array([[[-1.0, -1]], [[0, 0]], [[1, 1]]], dtype=np.float32)
    gaussians = fitted(points, 1.0)
    assert gaussians.mean.tolist() == [[0, 0]]
    there = np.array([[[1.0, 1]], [[1, -1]], [[3, 0]]], dtype=np.float32)
    assert asked(gaussians, there)[:, 0] == pytest.approx(np.sqrt([2 / 3, 2, 6]), rel=1e-6)


def test_it_agrees_with_numpy_and_scipy_at_every_place():
    values, test = drawn(30, 70, 6), drawn(4, 70, 6, seed=1)  # more places than are fitted at once
    found = asked(fitted(values), test)
    for place in range(70):
        covariance = np.cov(values[:, place].astype(np.float64), rowvar=False) + 0.01 * np.eye(6)
        inverse, mean = np.linalg.inv(covariance), values[:, place].mean(axis=0)
        wanted = [mahalanobis(vector, mean, inverse) for vector in test[:, place]]
        assert found[:, place] == pytest.approx(wanted, rel=2e-4)


def test_without_regularisation_it_agrees_with_scikit_learn():
    values, test = drawn(40, 3, 5), drawn(6, 3, 5, seed=1)
    found = asked(fitted(values, 0.0), test)
    for place in range(3):
        model = EmpiricalCovariance().fit(values[:, place].astype(np.float64))
        # it divides by N, and tells squares
        wanted = np.sqrt(model.mahalanobis(test[:, place].astype(np.float64)) * 39 / 40)
        assert found[:, place] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_channels_and_of_places_does_not_matter(seed: int):
    values, test = drawn(12, 5, 7), drawn(3, 5, 7, seed=1)
    plain = asked(fitted(values), test)
    rng = np.random.default_rng(seed)
    channels, places = rng.permutation(7), rng.permutation(5)
    moved = asked(fitted(values[:, :, channels]), test[:, :, channels])
    assert moved == pytest.approx(plain, rel=2e-4)
    moved = asked(fitted(values[:, places]), test[:, places])
    assert moved == pytest.approx(plain[:, places], rel=2e-4)


def test_without_regularisation_no_linear_map_of_the_channels_matters():
    values, test = drawn(40, 2, 4), drawn(3, 2, 4, seed=1)
    mix = np.random.default_rng(5).normal(size=(4, 4)).astype(np.float32)
    plain = asked(fitted(values, 0.0), test)
    assert asked(fitted(values @ mix, 0.0), test @ mix) == pytest.approx(plain, rel=2e-3)


def test_the_mean_is_nothing_away_and_photos_fewer_than_channels_will_do():
    values = drawn(3, 4, 9)
    gaussians = fitted(values)
    assert asked(gaussians, values.mean(axis=0, keepdims=True)) == pytest.approx(0, abs=1e-4)
    assert np.isfinite(asked(gaussians, values)).all()


@pytest.mark.parametrize(
    ("photos", "regularisation", "message"), [(1, 0.01, "two or more"), (3, 0.0, "an inverse")]
)
def test_what_has_no_covariance_is_refused(photos: int, regularisation: float, message: str):
    with pytest.raises(CutSwapError, match=message):
        fitted(drawn(photos, 2, 9), regularisation)


def test_triangles_are_packed_into_half_and_unpacked_the_same():
    gaussians = fitted(drawn(12, 5, 7))
    packed = gaussians.packed()
    assert packed.shape == (5, 28)
    again = PlaceGaussians.unpacked(gaussians.mean, packed)
    assert torch.equal(again.whiten, gaussians.whiten)


def test_the_memory_it_says_is_that_of_its_tensors():
    values = drawn(12, 5, 7)
    gaussians = fitted(values)
    kept = gaussians.mean.nbytes + gaussians.whiten.nbytes
    assert memory_of(12, 5, 7) == (kept + values.nbytes, kept)
