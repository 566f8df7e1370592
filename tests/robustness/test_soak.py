"""Three sessions on the real app over real sockets for twenty seconds; long form: `make soak`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.robustness.soak import growth_an_hour, soak, standard_error, verdicts
from tests.robustness.soak_attacker import attack

needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory from /proc")


@pytest.mark.journey
@needs_proc
def test_three_sessions_get_their_own_pictures(tmp_path: Path):
    found = soak(tmp_path, sessions=3, seconds=2, think=0.5, least=4, CUTSWAP_SOAK_DEMO="0")
    held = verdicts(found)  # times and growth are for a machine of one's own
    assert held["no errors"], found
    assert held["no mixed up pictures"], found
    assert found["answers"] >= 12


@pytest.mark.journey
@needs_proc
def test_a_class_of_three_gets_its_own_pictures_in_a_public_lesson(tmp_path: Path):
    found = soak(tmp_path, sessions=3, seconds=2, think=0.5, least=4, pages="lesson")
    held = verdicts(found)
    assert held["no errors"], found
    assert held["no mixed up pictures"], found
    assert found["answers"] >= 12


@needs_proc
@pytest.mark.journey
def test_the_soak_sees_mixed_up_pictures_when_keys_forget_the_photo(tmp_path: Path):
    found = soak(
        tmp_path,
        sessions=3,
        seconds=2,
        think=0.5,
        least=4,
        CUTSWAP_SOAK_BREAK="photo-key",
        CUTSWAP_SOAK_DEMO="0",
    )
    assert found["mixed_up_count"] > 0
    assert not verdicts(found)["no mixed up pictures"]


def test_growth_is_the_slope_after_the_warm_up():
    times = np.arange(0, 600, 1.0)
    filling = np.minimum(times, 100) * 1e6 + 5e8
    assert growth_an_hour(list(zip(times, filling, strict=True)))[0] == pytest.approx(0)
    leaking = 6e8 + times * 1e4  # 36 MB an hour
    growth, mean = growth_an_hour(list(zip(times, leaking, strict=True)))
    assert growth == pytest.approx(36e6 / mean)
    assert np.isnan(growth_an_hour([])[0])


def test_the_error_of_the_growth_covers_what_noise_makes_of_it():
    rng, times = np.random.default_rng(0), np.arange(0, 600, 1.0)
    found = []
    for _ in range(200):
        sizes = 1.5e9 + rng.normal(0, 4e7, 40).repeat(15)
        memory = list(zip(times, sizes, strict=True))
        found.append((growth_an_hour(memory)[0], standard_error(memory)))
    growth, error = np.array(found).T
    assert np.isfinite(error).all()
    assert 0.7 < error.mean() / growth.std() < 1.3


@pytest.mark.parametrize(
    "address", ["http://192.0.2.1:8501/", "http://[2001:db8::1]/", "http://localhost.example/", ""]
)
def test_the_attacker_attacks_this_machine_alone(address: str):
    with pytest.raises(ValueError, match=r"only this machine|does not appear to be"):
        asyncio.run(attack(address, "part", 1))


def test_beside_an_attacker_other_figures_count():
    found = {
        "attacker": {},
        "error_count": 0,
        "tracebacks": 0,
        "mixed_up_count": 0,
        "p95_s": 2.9,
        "memory_peak_mb": 2900,
    }
    assert all(verdicts(found).values())
    for worse in ({"p95_s": 3.1}, {"memory_peak_mb": 3100}, {"error_count": 1}):
        assert list(verdicts(found | worse).values()).count(False) == 1
