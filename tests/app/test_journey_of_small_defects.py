"""How small a defect, in a browser: measured on Inspect, shown as curve and map, in the report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cutswap.data.images import save_png
from tests.helpers.chromium import launched, need_chromium
from tests.helpers.small_photos import disc, photo_of

need_chromium()

from tests.helpers.visitor import Visitor  # noqa: E402
from tests.screenshots import running_app  # noqa: E402

pytestmark = pytest.mark.journey
PLACE = "inspect?cat=part+%C2%B7+mine&podplaces=5&podkinds=spot~scratch"


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("small")
    for index in range(6):
        save_png(root / f"mine/part/train/good/{index:03d}.png", photo_of(0, (96, 96)))
    for index in range(2):
        save_png(root / f"mine/part/test/good/{index:03d}.png", photo_of(0, (96, 96)))
        spot = disc((96, 96), (40 + 10 * index, 40), 12)
        save_png(
            root / f"mine/part/test/spot/{index:03d}.png",
            np.where(spot[..., None], np.uint8(255), photo_of(0, (96, 96))),
        )
        save_png(root / f"mine/part/ground_truth/spot/{index:03d}_mask.png", spot)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CUTSWAP_PUBLIC", raising=False)
        patch.setenv("CUTSWAP_CACHE", str(root / "cache"))
        patch.setenv("CUTSWAP_DATA", str(root / "mine"))
        patch.setenv("CUTSWAP_RUNS", str(root / "runs"))
        with running_app() as found:
            yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from launched()


def test_measured_shown_and_in_the_report(address: str, browser: Any):
    visitor = Visitor(browser, address, "small_defects")
    visitor.open(PLACE)
    visitor.says("How small a defect?")
    visitor.press(re.compile(r"Measure \(about"))
    visitor.says(re.compile(r"120 defects on 2 photos, seed 0"))
    visitor.says(re.compile(r"Unpainted, \d of 2 good photos are called defective"))
    page = visitor.page
    chart = page.get_by_test_id("stPlotlyChart").filter(has_text="probability of detection")
    chart.locator(".scatterlayer .trace").first.wait_for()
    drawn = chart.locator(".scatterlayer .trace").count()
    assert drawn >= 2  # two kinds, and bounds where a curve exists
    page.get_by_text("none found", exact=True).wait_for()  # the map's legend
    visitor.choose("Place marked")
    assert visitor.query()["podsense"] == "place"
    visitor.stop("measured")
    report = visitor.download(re.compile("Report"))
    text = report.read_text(encoding="utf-8")
    assert "How small a defect?" in text
    assert text.count("<svg") == 2
    assert "Map of blind spots" in text
    # measured again it can be stopped, and what was measured before stays
    visitor.press(re.compile(r"Measure again"))
    page.get_by_role("button", name="Stop", exact=True).click()
    visitor.says(re.compile(r"120 defects on 2 photos, seed 0"))
    visitor.leave()
