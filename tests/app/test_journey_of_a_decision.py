"""From scores to a decision in a browser: a threshold, feedback, a region painted, tiles opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cutswap.commands.parser import main
from cutswap.evaluation.scored_set import read_scored
from tests.helpers.chromium import launched, need_chromium
from tests.helpers.datasets import build_category, write_image
from tests.helpers.small_photos import disc, photo_of

need_chromium()

from tests.helpers.visitor import Visitor  # noqa: E402
from tests.screenshots import running_app, settle  # noqa: E402

pytestmark = pytest.mark.journey
BOLT, NUT = "?cat=bolt+%C2%B7+mine", "?cat=nut+%C2%B7+mine"
SHAPE = (96, 128)
EVALUATE = ["evaluate", "--weights", "random", "--coreset", "0.02", "--image-size", "64", "--quiet"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two categories, and of one an evaluation by squares and one by tiles."""
    root = tmp_path_factory.mktemp("decision")
    for name in ("bolt", "nut"):
        build_category(root / f"mine/{name}", train=6, test={"good": 4, "crack": 3})
    for number, path in enumerate(sorted((root / "mine").rglob("*.png"))):
        is_mask = "ground_truth" in path.parts
        write_image(path, disc(SHAPE, (40, 60), 10) if is_mask else photo_of(number, SHAPE))
    words = [*EVALUATE, "--data", str(root / "mine"), "--category", "bolt"]
    assert main([*words, "--out", str(root / "runs/line")]) == 0
    assert main([*words, "--tile-overlap", "32", "--out", str(root / "runs/tiles")]) == 0
    return root


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CUTSWAP_PUBLIC", "CUTSWAP_LESSON"):
            patch.delenv(name, raising=False)
        patch.setenv("CUTSWAP_CACHE", str(root / "cache"))
        patch.setenv("CUTSWAP_DATA", str(root / "mine"))
        patch.setenv("CUTSWAP_RUNS", str(root / "runs"))
        with running_app() as found:
            yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from launched()


def test_a_threshold_is_asked_for_by_its_false_alarms(address: str, browser: Any):
    visitor = Visitor(browser, address, "threshold")
    visitor.open(f"inspect{BOLT}&eval=line")
    page = visitor.page
    page.get_by_role("button", name="From good photos").click(delay=100)
    page.get_by_text("13 good photos too few for 5%: add them, or ask for 20%.").wait_for()
    page.get_by_role("combobox", name="False alarms at most").click()
    page.get_by_role("option", name="20%").click()
    settle(page)
    page.get_by_text("Needs 4 good photos; there are 6.").wait_for()
    page.get_by_role("button", name="Score the good photos").click(delay=100)
    page.get_by_text(re.compile("gives 14% on average, 95% interval")).wait_for()
    settle(page)
    assert page.get_by_text(re.compile("of 4 good called defective, . of 3 defects missed"))
    page.get_by_role("button", name="Use this threshold").click(delay=100)
    page.wait_for_url(re.compile(r"thr="))
    assert visitor.query()["rate"] == "0.2"
    page.keyboard.press("Escape")
    visitor.stop("used")
    visitor.leave()


def test_a_false_alarm_is_fine_accepted_and_taken_back(address: str, browser: Any, root: Path):
    visitor = Visitor(browser, address, "feedback")
    visitor.open(f"inspect{BOLT}&eval=line&img=test/good/001")
    visitor.press("This is fine")
    visitor.says("Said: fine: test/good/001.")
    visitor.press("Show what changes")
    visitor.page.get_by_role("button", name="Accept").wait_for()
    visitor.says("good, called defective")
    visitor.stop("shown")
    assert not (root / "runs/bolt-feedback-1").exists()
    visitor.press("Accept")
    visitor.says("Written as bolt-feedback-1.")
    visitor.press("Open the new evaluation")
    assert visitor.query()["eval"] == "bolt-feedback-1"
    visitor.page.get_by_text("History: 1 accepted").click()
    visitor.says("fine: test/good/001")
    visitor.page.wait_for_timeout(500)  # it slides open, and a click on what moves is lost
    visitor.press("Take the last back")
    visitor.press("Show what changes")
    visitor.page.get_by_role("button", name="Accept").wait_for()
    visitor.press("Accept")
    visitor.says("Written as bolt-feedback-2.")
    first, back = (read_scored(root / "runs" / name) for name in ("line", "bolt-feedback-2"))
    assert back.names == first.names
    np.testing.assert_allclose(back.scores, first.scores, rtol=1e-5)
    visitor.leave()


def test_a_region_is_painted_and_where_is_looked_follows(address: str, browser: Any, root: Path):
    visitor = Visitor(browser, address, "region")
    visitor.open(f"data{NUT}")
    page = visitor.page
    page.get_by_role("radio", name="paint it").click(delay=100)
    settle(page)
    stage = page.locator(".stage").last
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    for x, y in ((0.02, 0.02), (0.5, 0.98)):  # the left half
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        settle(page)
    page.get_by_role("button", name="Use this region").click(delay=100)
    page.get_by_text(re.compile("Written: ")).wait_for()
    painted = np.asarray(Image.open(root / "mine/nut/region.png").convert("L")) > 0
    assert 0.4 < painted.mean() < 0.55
    half = painted.shape[1] // 2
    assert painted[:, :half].mean() > 0.85
    assert painted[:, half + 2 :].mean() == 0
    visitor.stop("painted", picture=None)
    visitor.leave()


def test_an_evaluation_by_tiles_is_opened(address: str, browser: Any):
    visitor = Visitor(browser, address, "tiles")
    visitor.open(f"inspect{BOLT}&eval=tiles&img=test/crack/000")
    visitor.says(re.compile("tiles of 64 pixels"))
    page = visitor.page
    page.locator(".stage img.heat").first.wait_for()
    assert page.get_by_role("button", name="This is fine").count() == 0  # tiles learn nothing yet
    page.get_by_role("button", name="From good photos").click(delay=100)
    page.get_by_text(re.compile("Photos are cut into tiles here")).wait_for()
    page.keyboard.press("Escape")
    visitor.stop("opened")
    visitor.leave()


def test_a_photo_of_ones_own_is_scored_and_the_detector_leaves(
    address: str, browser: Any, root: Path
):
    pytest.importorskip("onnxruntime", reason="pip install cutswap[export]")
    visitor = Visitor(browser, address, "own")
    visitor.open(f"inspect{BOLT}&eval=line")
    page = visitor.page
    scored = read_scored(root / "runs/line")
    index = int(scored.scores.argmax())
    own = root / "mine/bolt" / f"{scored.names[index]}.png"
    page.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(own)
    visitor.says(re.compile(f"{own.name}: defective. Score {scored.scores[index]:.4g}"))
    page.get_by_role("heading", name="A photo of your own").scroll_into_view_if_needed()
    visitor.stop("scored", picture=None)
    visitor.press("Write the detector")
    visitor.says(re.compile("Written: .*bolt-detector-1"))
    assert (root / "runs/bolt-detector-1/detector.onnx").is_file()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Detector (ZIP)").click(delay=100)
    assert waiting.value.suggested_filename == "bolt-detector-1.zip"
    visitor.stop("left", picture=None)
    visitor.leave()
