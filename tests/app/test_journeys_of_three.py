"""A lecturer, a researcher and an engineer in a real browser, on the demo data, from end to end."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cutswap.runs.queue import JobQueue
from cutswap.runs.states import DONE, read_run, training_curve
from tests.app.test_journeys import browser  # noqa: F401 - a fixture
from tests.helpers.visitor import WIDE, Visitor
from tests.screenshots import running_app, settle

pytestmark = pytest.mark.journey  # a browser, a server, and trainings as processes of their own
HEX_NUT = "cat=hex_nut+%C2%B7+Demo"
IMAGE = "[data-testid=stImage] img"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on the demo alone; whatever is still at work there at the end is ended."""
    root = tmp_path_factory.mktemp("three")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUTSWAP_DATA", "")
        patch.setenv("CUTSWAP_CACHE", str(root / "cache"))
        patch.setenv("CUTSWAP_RUNS", str(root / "runs"))
        try:
            with running_app() as found:
                yield found
        finally:
            queue = JobQueue(root / "runs")
            for job in reversed(queue.active()):
                queue.stop(job.run, by_force=True)


@pytest.fixture
def runs(address: str) -> Path:  # noqa: ARG001 - it sets the variable
    return Path(os.environ["CUTSWAP_RUNS"])


def shown(visitor: Visitor, which: int = 0, layer: str = "base") -> str:
    """The data URL of a viewer's picture."""
    return str(visitor.page.locator(f".stage img.{layer}").nth(which).get_attribute("src"))


def told(file: Path) -> dict[str, Any]:
    """Settings in the text of a PNG of one column."""
    image = Image.open(file)
    image.load()
    assert image.width == 1004  # 85 mm at 300 dpi
    assert image.text["Command"]  # type: ignore[attr-defined]
    return dict(json.loads(image.text["Settings"]))  # type: ignore[attr-defined]


def test_a_lecturer_prepares_and_shows_a_lesson(address: str, browser: Any):  # noqa: F811
    her = Visitor(browser, address, "lecturer")
    her.open("")
    her.stop("start", picture=IMAGE)
    her.open(f"saliency?{HEX_NUT}&size=192")
    her.page.get_by_role("slider", name="Clusters K").press("ArrowRight")
    settle(her.page)
    her.page.get_by_role("slider", name="Clusters K").press("ArrowRight")
    settle(her.page)
    her.choose(re.compile("^23 "))
    her.stop("saliency")

    her.go("Negatives")  # and she keeps what she has set
    assert {n: her.query().get(n) for n in ("k", "layer", "size")} == {
        "k": "6", "layer": "23", "size": "192",
    }  # fmt: skip
    assert her.page.get_by_role("slider", name="Clusters K").input_value() == "6"
    her.says("training never sees it")
    her.stop("defective")
    her.press("Show a good photo")
    her.page.get_by_text("training never sees it").wait_for(state="detached")
    her.stop("negatives")
    link = her.page.url
    her.press("Copy link")
    her.says("Copied")
    assert her.page.evaluate("navigator.clipboard.readText()") == link

    her.press(re.compile("^Download figures"))
    settings = told(her.download("PNG, one column"))
    assert (settings["cluster_settings"]["k"], settings["levels"]) == (6, ["23"])
    assert (settings["image"], settings["image_size"]) == ("train/good/000", 192)
    her.page.keyboard.press("Escape")

    # The same for the class: two controls, one sentence, then nothing but the picture.
    path = link.removeprefix(address)
    her.open(f"{path}&show=k,layer&caption=Raise+K+and+watch+the+patches.")
    her.says("Raise K and watch the patches.")
    assert her.page.get_by_role("radiogroup").count() == 1  # the layer
    assert her.page.get_by_role("slider", name="Epoch").count() == 0
    before = shown(her, 1)
    her.page.get_by_role("slider", name="Clusters K").press("ArrowLeft")
    settle(her.page)
    assert shown(her, 1) != before
    her.stop("lesson")
    her.open(f"{path}&show=k&caption=K+is+6.&present=1")
    assert not her.page.locator("[data-testid=stSidebar]").first.is_visible()
    type_size = "getComputedStyle(document.documentElement).fontSize"
    assert her.page.evaluate(type_size) == "20px"
    her.stop("presented")
    her.press("Leave the presenter view")
    her.press("Show the whole page")
    assert her.page.url == link
    her.leave()


def test_a_researcher_tunes_trains_and_compares(address: str, runs: Path, browser: Any):  # noqa: F811
    his = Visitor(browser, address, "researcher")
    his.open(f"saliency?{HEX_NUT}&img=train%2Fgood%2F000&grid=1")
    his.page.locator("button.cell.chosen").wait_for()
    his.press(re.compile("^K = 5, layer 23:"))
    his.page.wait_for_url(re.compile("k=5"))
    assert his.query()["layer"] == "23"
    his.press(re.compile("^Download figures"))
    his.page.keyboard.press("Escape")
    grid = his.page.get_by_test_id("stMain").get_by_role("button", name=re.compile("^Download fig"))
    grid.nth(1).click(delay=100)
    settle(his.page)
    settings = told(his.download("PNG, one column"))
    assert settings["rows"]["knob"] == "k"
    assert (5 in settings["rows"]["values"], settings["k"]) == (True, 5)
    his.page.keyboard.press("Escape")
    his.stop("grid")

    his.go("Negatives")
    pictures = set()
    for seed in ("3", "4"):
        his.fill("Seed", seed)
        pictures.add(shown(his, 1))
    assert len(pictures) == 2
    his.stop("seeds")
    his.press("Train with these settings")
    his.page.wait_for_url(re.compile("/train"))
    settle(his.page)
    assert his.page.get_by_role("spinbutton", name="Seed").first.input_value() == "4"
    his.fill("Updates per epoch", "3")
    his.fill("Batch", "2")
    his.stop("form", picture=None)
    his.press(re.compile("Start$"))
    his.go("Saliency")  # the job is told wherever he goes, and told when it ends
    badge = his.page.get_by_test_id("stSidebar").get_by_text("hex_nut-cutswap-1")
    badge.wait_for()
    his.page.get_by_test_id("stToast").get_by_text("done").wait_for(timeout=300_000)
    settings = read_run(runs / "hex_nut-cutswap-1").settings
    assert (settings["seed"], settings["clusters"]["k"]) == (4, 5)
    assert settings["training"]["levels"] == ["23"]
    assert len(training_curve(runs / "hex_nut-cutswap-1")) == 3

    his.go("Train")
    his.press("Open in Inspect")
    his.page.locator(".stage img.heat").first.wait_for()
    his.page.wait_for_url(re.compile("run=hex_nut-cutswap-1"))
    his.stop("tuned")
    his.press("Worst mistake", exact=True)  # a test photo: those are what evaluations score
    his.open(his.page.url.removeprefix(address) + "&beside=embedded")
    his.says("The same colours are the same distance")
    his.stop("compared")
    assert his.page.locator(".stage img.heat").count() == 2
    his.go("Results")
    his.page.locator(".legendtext").nth(1).wait_for()
    named = his.page.locator(".legendtext").all_text_contents()
    assert len(named) == 2
    assert "embedded weights" in named  # and his run beside them
    his.stop("results", picture="[data-testid=stDataFrame]")
    his.leave()


def test_an_engineer_decides_and_reports(
    address: str, runs: Path, browser: Any, tmp_path: Path  # noqa: F811
):  # fmt: skip
    her = Visitor(browser, address, "engineer")
    her.open(f"data?{HEX_NUT}")
    her.stop("data", picture=None)
    demo = next(Path(os.environ["CUTSWAP_CACHE"]).glob("demo*/hex_nut"))
    fields = her.page.locator('input[type="file"]')
    look, learn = [], []
    for kind, number, names in (("burr", 0, look), ("good", 1, look), ("good", None, learn)):
        split = "test" if number is not None else "train"
        for index in range(2 if number is not None else 12):
            source = demo / split / kind / f"{index:03d}.png"
            copy = tmp_path / f"line7 {split} {kind} {index}.png"
            copy.write_bytes(source.read_bytes())
            names.append(copy)
    fields.nth(0).set_input_files(look)
    settle(her.page)
    fields.nth(1).set_input_files(learn)
    settle(her.page)
    her.press("Use these pictures")
    her.stop("uploaded", picture=None)
    her.press("Score them")
    her.says("no threshold yet")
    images = her.page.get_by_role("combobox").nth(1)
    assert "line7-test" in images.input_value()  # her own names
    her.press("The 5% highest")
    her.says(re.compile("called defective, "))
    her.stop("unlabelled")
    verdicts = her.page.locator("[data-testid=stMain] button").filter(has_text="called ")
    assert verdicts.filter(has_text="called defective").count() >= 1
    assert verdicts.filter(has_text="called good").count() >= 1

    her.open(f"train?{HEX_NUT}")
    her.choose("Gaussian")
    her.press(re.compile("Start$"))
    her.page.get_by_role("button", name="Open in Inspect").wait_for(timeout=300_000)
    assert read_run(runs / "hex_nut-gaussian-1").state == DONE
    her.press("Open in Inspect")
    slider = her.page.get_by_role("slider", name="Image threshold")
    slider.wait_for(timeout=300_000)
    settle(her.page)
    her.stop("decide")
    picture = her.page.locator(".stage").first.bounding_box()
    matrix = her.page.get_by_role("table").filter(has_text="false alarms").first.bounding_box()
    for box in (slider.bounding_box(), matrix):  # beside the picture, on its screen
        assert box["x"] > picture["x"] + picture["width"]
        assert box["y"] + box["height"] < WIDE["height"]
    her.press("Worst mistake", exact=True)
    her.page.get_by_text("Keep this photo", exact=True).first.click(delay=100)
    settle(her.page)
    her.fill("Comment", "polish the edge", "textbox")
    her.says("Kept photos and report")
    report = her.download(re.compile("Report")).read_text(encoding="utf-8")
    assert "polish the edge" in report
    said = her.page.get_by_text(re.compile(r", threshold [0-9.]+ ")).first.inner_text()
    threshold = float(re.search(r"threshold ([0-9.]+)", said)[1])  # three digits; it has six
    assert any(abs(float(v) - threshold) < 6e-4 for v in re.findall(r"\d+\.\d{3,}", report))
    her.leave()


def test_the_keyboard_alone_leads_from_saliency_to_a_report(address: str, browser: Any):  # noqa: F811
    keys = Visitor(browser, address, "keyboard")
    keys.open(f"saliency?{HEX_NUT}")
    keys.reach("Clusters K")
    keys.type("ArrowRight")
    keys.reach("4 · 128x128 · shallow")  # one stop of Tab; arrow keys walk through the row
    for _ in range(3):
        keys.page.keyboard.press("ArrowRight")
    keys.type("Enter")
    assert (keys.query()["k"], keys.query()["layer"]) == ("5", "23")
    keys.reach("Negatives")
    keys.type("Enter")
    keys.page.wait_for_url(re.compile("/negatives"))
    settle(keys.page)
    assert (keys.query()["k"], keys.query()["layer"]) == ("5", "23")
    keys.reach("Show a good photo")
    keys.type("Enter")
    keys.page.get_by_text("training never sees it").wait_for(state="detached")
    keys.reach("Method")
    keys.page.keyboard.type("Perlin scar")
    keys.type("Enter")
    assert keys.query()["method"] == "Perlin scar"
    before = shown(keys, 1)
    keys.reach("Roll")
    keys.type("Enter")
    assert "seed" in keys.query()
    assert shown(keys, 1) != before
    keys.reach("Inspect")
    keys.type("Enter")
    keys.page.get_by_role("slider", name="Image threshold").wait_for()
    settle(keys.page)
    keys.reach("Worst mistake")
    keys.type("Enter")
    keys.reach("Keep this photo")
    keys.type("Space")
    keys.page.get_by_label("Comment").wait_for()
    keys.reach("Comment")
    keys.page.keyboard.type("seen by keys")
    keys.type("Enter")
    keys.reach("Report (HTML, to print)")
    with keys.page.expect_download() as waiting:
        keys.page.keyboard.press("Enter")
    assert "seen by keys" in Path(waiting.value.path()).read_text(encoding="utf-8")
    keys.leave()
