"""One page that is a whole detector: its squares are Pillow's, its verdicts the library's."""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cutswap.commands.parser import main
from cutswap.data.reading import RESIZES
from cutswap.data.regions.frame import framed_photo
from cutswap.decision.formats import web_page
from cutswap.decision.formats.web_runtime import fetch_web_runtime
from cutswap.errors import CutSwapError
from tests.helpers.chromium import CHROMIUM, launched, need_chromium
from tests.helpers.datasets import build_category, noise_photo, write_image

need_chromium()
pytestmark = pytest.mark.journey
SQUARE = """
([text, data, width, height, card]) => {
  const squareOf = new Function(`${text}; return squareOf;`)();
  const bytes = Uint8ClampedArray.from(atob(data), (c) => c.charCodeAt(0));
  const found = squareOf(new ImageData(bytes, width, height), card);
  return btoa(Array.from(found, (x) => String.fromCharCode(x)).join(""));
}
"""
EVALUATE = ["evaluate", "--weights", "random", "--coreset", "0.01", "--image-size", "64", "--quiet"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from launched()


def test_squares_are_pillows_bit_for_bit(browser: Any):
    page = browser.new_page()
    text = Path(web_page.__file__).with_name("square.js").read_text(encoding="utf-8")
    rng = np.random.default_rng(0)
    # wider, higher, smaller, larger; columns first where they shrink by twice as much
    shapes = [(64, 64), (64, 90), (200, 64), (40, 300), (300, 40), (1, 7), (130, 97), (132, 97)]
    shapes += [(int(h), int(w)) for h, w in rng.integers(1, 300, (30, 2))]
    for height, width in shapes:
        photo = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        opaque = np.dstack([photo, np.full((height, width), 255, np.uint8)])
        data = base64.b64encode(opaque.tobytes()).decode()
        for resize in RESIZES:
            card = {"image_size": 64, "resize": resize}
            told = page.evaluate(SQUARE, [text, data, width, height, card])
            found = np.frombuffer(base64.b64decode(told), np.uint8).reshape(64, 64, 3)
            np.testing.assert_array_equal(found, framed_photo(photo, 64, resize))


@pytest.fixture(scope="module")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `parts`, the photos, and `out`, the exported detector with its page."""
    pytest.importorskip("onnxscript", reason="pip install cutswap[export]")
    try:
        runtime = fetch_web_runtime(wait=0.1)
    except CutSwapError as error:
        pytest.skip(f"needs ONNX Runtime Web of npm: {error}")
    root = tmp_path_factory.mktemp("page")
    build_category(root / "parts/bolt", train=8)
    test = root / "parts/bolt/test"
    for number, shape in enumerate([(90, 200), (200, 90), (30, 40)]):
        write_image(test / f"good/shape{number}.png", noise_photo(number, shape))
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(noise_photo(5, (120, 80))).save(test / "good/turned.jpg", exif=turned)
    deep = np.add.outer(np.arange(70) * 500, np.arange(110) * 250).astype(np.uint16)
    Image.fromarray(deep).save(test / "dent/deep.png")
    words = ["--data", root / "parts", "--category", "bolt", "--skip-bad"]
    scored = ["--out", root / "scored", "--false-alarms", 0.15]
    assert main([*EVALUATE, *map(str, [*words, *scored])]) == 0
    line = ["export", "detector", "--evaluation", root / "scored", "--out", root / "out"]
    assert main([*map(str, [*line, "--html", "--web-runtime", runtime])]) == 0
    asked = ["score", test, "--detector", root / "scored", "--out", root / "told", "--quiet"]
    assert main([*map(str, asked)]) == 0
    return root


def opened(browser: Any, leaves: Path, width: int = 1280, **context: Any) -> tuple[Any, list[str]]:
    page = browser.new_context(viewport={"width": width, "height": 900}, **context).new_page()
    page.set_default_timeout(120_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((leaves / "out/detector.html").as_uri())
    page.get_by_text("Ready: no photo yet.").wait_for()
    return page, asked


def test_its_verdicts_are_the_librarys(browser: Any, leaves: Path):
    page, asked = opened(browser, leaves)
    with (leaves / "told/scores.csv").open(newline="") as file:
        wanted = list(csv.DictReader(file))
    files = [leaves / "parts/bolt/test" / row["photo"] for row in wanted]
    page.locator("#files").set_input_files([str(file) for file in files])
    page.get_by_text(f"{len(files)} scored:").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as CSV").click()
    with Path(waiting.value.path()).open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["photo"] for row in found] == [file.name for file in files]
    assert {row["verdict"] for row in found} == {"good", "defective"}
    for one, other in zip(found, wanted, strict=True):
        assert one["verdict"] == other["verdict"]
        assert float(one["score"]) == pytest.approx(float(other["score"]), rel=1e-4)
        assert float(one["p_value"]) == pytest.approx(float(other["p_value"]), rel=1e-4)
    # from the file itself, and from nowhere else
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1
    assert page.get_by_text("from 8 good photos alone").is_visible()
    page.get_by_text("About this detector").click()
    assert page.get_by_text("layer2+layer3").is_visible()


def test_wrong_input_and_no_webcam_are_told_in_a_line(browser: Any, leaves: Path, tmp_path: Path):
    page, _ = opened(browser, leaves, width=390)
    (tmp_path / "notes.txt").write_text("no picture")
    page.locator("#files").set_input_files(str(tmp_path / "notes.txt"))
    page.get_by_text("notes.txt: no picture that this browser can read").wait_for()
    page.get_by_role("button", name="Use the webcam").click()
    page.get_by_text("choose photos instead.").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_by_keys_and_with_the_webcam(browser: Any, leaves: Path):
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with_webcam = browser.browser_type.launch(executable_path=str(CHROMIUM), args=flags)
    page, _ = opened(with_webcam, leaves)
    for _ in range(2):  # past the photos, to the webcam
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("The webcam is on").wait_for()
    page.keyboard.press("Enter")  # its button has the focus
    page.get_by_text("1 scored:").wait_for()
    assert page.locator("#verdict").inner_text().split()[1] in ("good", "defective")
    page.get_by_role("button", name="Stop the webcam").press("Enter")
    page.get_by_text("The webcam is off.").wait_for()
    with_webcam.close()


def test_axe_finds_nothing_serious(browser: Any, leaves: Path):
    from tests.helpers.visitor import AXE

    package = pytest.importorskip("axe_playwright_python")
    page, _ = opened(browser, leaves)
    page.locator("#files").set_input_files(str(leaves / "parts/bolt/test/good/000.png"))
    page.get_by_text("1 scored:").wait_for()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        # the page's own policy keeps scripts of others out, so axe comes in from outside
        page.evaluate(Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8"))
        assert page.evaluate(AXE) == [], scheme
