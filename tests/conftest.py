"""Fixtures of all tests: small photos, small untrained networks, the shared data folder."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from cutswap.data.images import to_image
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.utils import devices
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import slim_backbone

# The same examples in every run, and no clock: the machine may be busy.
settings.register_profile(
    "steady",
    deadline=None,
    max_examples=40,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# Other examples in every run, and more of them: pytest --hypothesis-profile=hunt.
settings.register_profile(
    "hunt", settings.get_profile("steady"), max_examples=400, derandomize=False
)
settings.load_profile("steady")


def pytest_collection_finish() -> None:
    """Do once what Streamlit does for every page: with all that is loaded here it costs much.

    Garbage is collected after every rerun, and `test_hostile` does so before every file: what the
    libraries and the collected tests hold is set apart, 0.6 s of processor time each. A new AppTest
    asks every installed package whether it has components: 0.3 s each.
    """
    gc.collect()
    gc.freeze()
    if "streamlit" in sys.modules:
        from streamlit.components.v2 import manifest_scanner

        found = manifest_scanner.scan_component_manifests()
        manifest_scanner.scan_component_manifests = lambda *_: found


@pytest.hookimpl(trylast=True)  # after the fixtures of the file have ended
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The same after every file, for what it has loaded."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


# One thread: the same sums in the same order, and room for pytest-xdist beside it.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and weights beside the project; tests skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not there")
    return folder


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Precision `auto` means float32 here, whatever the processor: the test compares numbers."""
    monkeypatch.setattr(devices, "fast_bfloat16", lambda device: False)  # noqa: ARG005


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """(64, 64, 3) uint8 with structure."""
    return photo_of(0, (64, 64))


@pytest.fixture(scope="session")
def large_photo() -> np.ndarray:
    """(96, 96, 3) uint8 with structure."""
    return photo_of(1, (96, 96))


@pytest.fixture(scope="session")
def image() -> torch.Tensor:
    """(3, 3, 64, 64) normalised image of three different photos."""
    return to_image(np.stack([photo_of(seed, (64, 64)) for seed in range(3)]))


@pytest.fixture(scope="session")
def resnet() -> Backbone:
    """An untrained seeded ResNet18."""
    return load_backbone("resnet18", "random", seed=0)


@pytest.fixture(scope="session")
def squeezenet() -> Backbone:
    """An untrained seeded SqueezeNet 1.0."""
    return load_backbone("squeezenet1_0", "random", seed=0)


@pytest.fixture(scope="session")
def slim() -> Backbone:
    """An untrained seeded VGG16 of a few channels a stage."""
    return slim_backbone()


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Put `__main__` back: AppTest leaves the page there, and a spawned worker would run it.

    Without this the test of data-loader workers hung for ever after a page test.
    """
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
