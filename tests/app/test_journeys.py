"""Journeys of a visitor in a real browser; skipped where Chromium or Playwright is missing."""

from __future__ import annotations

import base64
import csv
import functools
import importlib.util
import io
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from cutswap.data.images import resize_photo, save_png
from cutswap.evaluation.thresholds import ThresholdCounts
from tests.helpers.chromium import launched, need_chromium
from tests.helpers.small_photos import photo_of
from tests.helpers.visitor import AXE

need_chromium()

from tests.screenshots import PAGES, running_app, settle  # noqa: E402

pytestmark = pytest.mark.journey  # a browser and a server: over a minute of processor time


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The app on a small category of its own; the demo renders beside."""
    root = tmp_path_factory.mktemp("journey")
    for index in range(4):
        save_png(root / "mine/part/train/good" / f"{index:03d}.png", photo_of(index, (96, 96)))
    save_png(root / "mine/part/test/good/000.png", photo_of(10, (96, 96)))
    save_png(root / "mine/part/test/crack/000.png", photo_of(11, (96, 96)))
    kept = {k: os.environ.get(k) for k in ("CUTSWAP_CACHE", "CUTSWAP_DATA", "CUTSWAP_RUNS")}
    os.environ["CUTSWAP_CACHE"] = str(root / "cache")
    os.environ["CUTSWAP_DATA"] = str(root / "mine")
    os.environ["CUTSWAP_RUNS"] = str(root / "runs")
    try:
        with running_app() as found:
            yield found
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from launched()


def opened(browser: Any, url: str, scheme: str = "light") -> Any:
    size = {"width": 1280, "height": 900}
    page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
    page.set_default_timeout(60_000)
    page.goto(url)
    settle(page)
    return page


def shown(page: Any, which: int = 0, layer: str = "heat") -> str:
    """The data URL of a viewer's picture."""
    return str(page.locator(f".stage img.{layer}").nth(which).get_attribute("src"))


def test_k_and_layer_change_the_picture_and_a_link_shows_the_same(address, browser):
    page = opened(browser, address + "saliency?cat=part+%C2%B7+mine")
    assert page.get_by_role("combobox").first.input_value() == "part · mine"
    saliency, clusters = shown(page), shown(page, 1)
    page.get_by_role("slider", name="Clusters K").press("ArrowRight")
    settle(page)
    assert shown(page) == saliency
    assert shown(page, 1) != clusters
    page.get_by_role("radio", name="23").or_(page.get_by_role("button", name="23")).first.click()
    settle(page)
    assert shown(page) != saliency
    assert "k=5" in page.url
    assert "layer=23" in page.url
    other = opened(browser, page.url)
    assert (shown(other), shown(other, 1)) == (shown(page), shown(page, 1))
    other.context.close()
    page.context.close()


def test_from_the_first_start_to_a_downloaded_negative(address, browser):
    page = opened(browser, address + "?cat=part+%C2%B7+mine")
    page.get_by_role("link", name="Make a defect").click(delay=100)
    page.get_by_text("Twelve epochs").wait_for()
    settle(page)
    assert page.get_by_role("combobox").first.input_value() == "part · mine"
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the twelve").click()
    data = Path(waiting.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as store:
        names = store.namelist()
    assert names.count("record.json") == 1
    assert sum(n.startswith("mask_") for n in names) == 12
    page.context.close()


def test_back_and_forward_keep_the_selection(address, browser):
    page = opened(browser, address + "saliency?cat=part+%C2%B7+mine")
    image = page.get_by_role("combobox").nth(1)
    first = image.input_value()
    page.get_by_role("button", name="Next").click(delay=100)
    settle(page)
    second = image.input_value()
    assert second != first
    page.get_by_role("slider", name="Clusters K").press("ArrowRight")
    settle(page)
    page.get_by_role("link", name="Negatives").first.click(delay=100)
    settle(page)
    assert page.get_by_role("combobox").nth(1).input_value() == second
    assert "k=5" in page.url  # a value goes along to the next page
    page.go_back()
    settle(page)
    assert "saliency" in page.url
    assert page.get_by_role("combobox").first.input_value() == "part · mine"
    assert page.get_by_role("combobox").nth(1).input_value() == second
    page.go_forward()
    settle(page)
    assert page.get_by_role("combobox").nth(1).input_value() == second
    page.go_back()
    settle(page)
    assert page.get_by_role("heading", name="Saliency and clusters").count() == 1
    assert page.get_by_role("slider", name="Clusters K").input_value() == "5"
    for layer in ("23", "9"):
        page.get_by_role("radio", name=re.compile(f"^{layer} ")).click()
        settle(page)
    for layer in ("23", None):  # Back undoes one change after the other
        page.go_back()
        settle(page)
        assert ("layer" in page.url) == (layer is not None)
        chosen = page.get_by_role("radio", name=re.compile(f"^{layer or 16} "))
        assert chosen.get_attribute("aria-checked") == "true"
        assert page.get_by_role("combobox").first.input_value() == "part · mine"
        assert page.get_by_role("combobox").nth(1).input_value() == second
    page.get_by_role("link", name="Train").first.click(delay=100)
    settle(page)
    page.get_by_role("link", name="Features").click(delay=100)  # the place's second view
    settle(page)
    assert urlsplit(page.url).path == "/features"
    assert page.get_by_role("combobox").first.input_value() == "part · mine"
    for name, is_marked in (("Train", True), ("Inspect", False)):
        entry = page.locator("[data-testid=stTopNavLink]").filter(has_text=name)
        ground = entry.evaluate("e => getComputedStyle(e).backgroundColor")
        assert (ground != "rgba(0, 0, 0, 0)") == is_marked, name
    page.go_back()
    settle(page)
    assert page.get_by_role("heading", name="Train").count() == 1
    page.context.close()


def test_wheel_and_arrow_keys_do_what_they_do_elsewhere(address, browser):
    page = opened(browser, address + "saliency?cat=part+%C2%B7+mine")
    stage = page.locator(".stage").first
    stage.click(position={"x": 120, "y": 100})
    page.get_by_text("from its centroid").wait_for()
    settle(page)
    told, picture = page.get_by_text("from its centroid").bounding_box(), stage.bounding_box()
    assert told["y"] + told["height"] <= picture["y"] < 600  # above the picture, so on the screen
    main = page.locator("[data-testid=stMain]")
    page.mouse.move(picture["x"] + 100, picture["y"] + 100)
    page.mouse.wheel(0, 200)
    page.wait_for_timeout(500)
    assert main.evaluate("e => e.scrollTop") > 100  # the page, though the picture has the focus
    assert "scale(1)" in page.locator(".pan").first.get_attribute("style")
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_timeout(500)
    assert "scale(1)" not in page.locator(".pan").first.get_attribute("style")
    image = page.get_by_role("combobox").nth(1)
    before = image.input_value()
    page.get_by_role("radio", name=re.compile("^16 ")).focus()
    for key in ("ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        settle(page)
        assert image.input_value() == before
    page.locator("h1").click()
    page.keyboard.press("n")
    settle(page)
    assert image.input_value() != before
    page.context.close()


def test_a_phone_photo_is_uploaded_upright(address, browser, tmp_path):
    photo = photo_of(3, (60, 90))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees, as phones write portraits
    Image.fromarray(photo).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    page = opened(browser, address + "data?cat=part+%C2%B7+mine")
    page.locator('input[type="file"]').first.set_input_files(tmp_path / "phone.jpg")
    settle(page)
    page.get_by_role("button", name="Use these pictures").click(delay=100)
    settle(page)
    page.get_by_role("button", name="See their saliency").click(delay=100)
    settle(page)
    assert "uploads" in page.get_by_role("combobox").first.input_value().lower()
    data = base64.b64decode(shown(page, 0, "base").split(",", 1)[1])
    seen = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float)
    upright = resize_photo(np.rot90(photo, -1).copy(), seen.shape[:2])
    lying = resize_photo(photo, seen.shape[:2])
    assert np.abs(seen - upright).mean() < 6 < np.abs(seen - lying).mean()
    name, picture = page.get_by_role("combobox").nth(1).input_value(), shown(page, 0, "base")
    assert "phone" in name
    page.reload()
    settle(page)
    page.locator(".stage img.base").first.wait_for()
    settle(page)
    assert "uploads" in page.get_by_role("combobox").first.input_value().lower()
    assert page.get_by_role("combobox").nth(1).input_value() == name
    assert shown(page, 0, "base") == picture
    stranger = browser.new_context().new_page()  # the link alone gives nobody the pictures
    stranger.goto(page.url)
    stranger.get_by_text("Uploads are for the tab that made them").wait_for(timeout=60_000)
    settle(stranger)
    assert "uploads" not in stranger.get_by_role("combobox").first.input_value().lower()
    stranger.context.close()
    page.context.close()


def test_the_worst_mistake_and_a_threshold_that_moves(address, browser):
    # Scored by the highest patch alone the small category has a mistake to go to.
    page = opened(browser, address + "inspect?cat=part+%C2%B7+mine&highest=1")
    slider = page.get_by_role("slider", name="Image threshold")
    slider.wait_for()
    settle(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.locator(".stage img.heat").first.wait_for()
    places = {
        "picture": page.locator(".stage").first.bounding_box(),
        "threshold": slider.bounding_box(),
        "confusion": page.get_by_role("table").filter(has_text="false alarms").first.bounding_box(),
    }
    for name in ("threshold", "confusion"):  # whole, on one screen with the picture, beside it
        assert places[name]["y"] + places[name]["height"] < 800, places
        assert places[name]["x"] > places["picture"]["x"] + places["picture"]["width"], places
    assert places["picture"]["y"] < 450, places  # and so nearly half of it
    page.get_by_role("button", name="Worst mistake", exact=True).click(delay=100)
    settle(page)
    folder = next(Path(os.environ["CUTSWAP_CACHE"]).glob("evaluations/*/scores.csv"))
    rows = list(csv.DictReader(folder.read_text().splitlines()))
    scores = np.array([np.float32(r["score"]) for r in rows])
    labels = np.array([r["is_defective"] == "1" for r in rows])
    seen = set()
    for key in ("Home", "End"):
        slider.press(key)
        settle(page)
        threshold = float(slider.input_value())
        # The browser tells 15 digits: rounded up, a score would lie below its own threshold.
        threshold = next((float(v) for v in scores if abs(v - threshold) < 1e-9), threshold)
        called = ThresholdCounts.of_images(scores, labels).at(threshold)
        words = page.locator('[data-testid="stMain"]').inner_text()
        assert f"{called.hits} found" in words
        assert f"{called.missed} missed" in words
        assert f"{called.alarms} false alarm" in words
        seen.add((called.hits, called.alarms))
    assert seen == {(1, 1), (0, 0)}
    # By keyboard alone: a threshold, the mark, and another photo of the contact sheet.
    tab_to(page, "Best F1")
    page.keyboard.press("Enter")
    settle(page)
    tab_to(page, "Keep this photo")
    page.keyboard.press("Space")
    page.get_by_label("Comment").wait_for()
    settle(page)
    before = page.get_by_role("combobox").nth(1).input_value()
    tab_to(page, "000 ·")
    page.keyboard.press("Enter")
    settle(page)
    assert page.get_by_role("combobox").nth(1).input_value() != before
    page.context.close()


def tab_to(page: Any, text: str) -> None:
    """Press Tab until what has the focus is labelled so."""
    for _ in range(60):
        page.keyboard.press("Tab")
        label = "document.activeElement.closest('button, label')?.innerText ?? ''"
        if text in page.evaluate(label):
            return
    raise AssertionError(f"{text} cannot be reached")


def test_two_visitors_never_see_each_other_s_pictures(address, browser):
    first = opened(browser, address + "negatives?cat=part+%C2%B7+mine&seed=1")
    second = opened(browser, address + "negatives?cat=part+%C2%B7+mine&seed=2")
    mine, theirs = shown(first, 1, "base"), shown(second, 1, "base")
    assert mine != theirs
    first.reload()
    settle(first)
    assert shown(first, 1, "base") == mine
    first.context.close()
    second.context.close()


CONTRAST = """
() => {
  const parse = (text) => {
    const m = text.match(/[\\d.]+/g).map(Number);
    return { rgb: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 };
  };
  const over = (top, rgb) => top.rgb.map((v, i) => v * top.a + rgb[i] * (1 - top.a));
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const own = parse(getComputedStyle(element).backgroundColor);
    return own.a === 1 ? own.rgb : over(own, ground(element.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const kinds = {
    button: "[data-testid^=stBaseButton]:not(:disabled)",
    caption: "[data-testid=stCaptionContainer] p",
    alert: "[data-testid=stAlert] p",
    link: "[data-testid=stTopNavLink] span",
    tag: "[data-testid=stMultiSelect] [data-tag] span",
    chart: "[data-testid=stPlotlyChart] text",
  };
  const found = [];
  for (const [kind, selector] of Object.entries(kinds)) {
    for (const element of document.querySelectorAll(selector)) {
      const text = element.textContent.trim();
      if (!text || !element.getBoundingClientRect().width) continue;
      const style = getComputedStyle(element);
      const ink = parse(kind === "chart" ? style.fill : style.color);
      let alpha = kind === "chart" ? Number(style.fillOpacity) : 1;
      for (let e = element; e; e = e.parentElement) alpha *= Number(getComputedStyle(e).opacity);
      ink.a *= alpha;
      const below = ground(element);
      const [high, low] = [light(over(ink, below)), light(below)].sort((a, b) => b - a);
      const wanted = /^[a-z]+(_[a-z]+)+$/.test(text) ? 3 : 4.5; // WCAG: of an icon, of a text
      found.push([kind, text.slice(0, 40), (high + 0.05) / (low + 0.05), wanted]);
    }
  }
  return found;
}
"""


@dataclass
class Walk:
    """What a walk over all pages in one look has shown.

    Attributes:
        texts: (page, kind, text, contrast, contrast wanted).
        tops: where each page's title begins, pixels.
        titles: of the tabs.
        urls: everything that was asked for.
        barriers: (page, rule, an element) of what axe calls serious or critical; None without axe.
    """

    texts: list[tuple[Any, ...]] = field(default_factory=list)
    tops: dict[str, float] = field(default_factory=dict)
    titles: set[str] = field(default_factory=set)
    urls: list[str] = field(default_factory=list)
    barriers: list[tuple[str, str, str]] | None = None


def walked(address: str, browser: Any, scheme: str) -> Walk:
    found = Walk()
    package = importlib.util.find_spec("axe_playwright_python")
    # Contrast is measured in both looks anyway; the other rules do not ask for colours.
    script = None if package is None or scheme == "dark" else Path(package.origin)
    page = opened(browser, address, scheme)
    page.on("request", lambda request: found.urls.append(request.url))
    for name in PAGES:
        page.goto(f"{address}{name}?cat=part+%C2%B7+mine")
        settle(page)
        found.texts += [(name, *text) for text in page.evaluate(CONTRAST)]
        found.tops[name] = page.locator("h1").bounding_box()["y"]
        found.titles.add(page.title())
        if script is not None:
            page.evaluate(script.with_name("axe.min.js").read_text(encoding="utf-8"))
            told = [(name, rule, element) for rule, element in page.evaluate(AXE)]
            found.barriers = [*(found.barriers or []), *told]
    page.context.close()
    return found


@pytest.fixture(scope="module")
def walk(address, browser) -> Any:
    """A look to what a walk in it has shown; each is walked once."""
    return functools.cache(lambda scheme: walked(address, browser, scheme))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_offline_readable_and_begins_at_the_top(address, walk, scheme):
    found = walk(scheme)
    kinds = {kind for _, kind, *_ in found.texts}
    assert kinds >= {"button", "caption", "alert", "chart", "tag"}
    faint = [
        (name, kind, text, round(ratio, 2))
        for name, kind, text, ratio, wanted in found.texts
        if ratio < wanted
    ]
    assert not faint
    assert set(found.tops.values()) == {40}
    assert len(found.titles) == len(PAGES)  # tabs are told apart
    assert all(title.endswith("CutSwap Explorer") for title in found.titles)
    own = urlsplit(address).netloc
    away = {url for url in found.urls if url.startswith("http") and urlsplit(url).netloc != own}
    assert not away
    # The page's icon is ours.
    assert any("/media/" in url and url.endswith(".png") for url in found.urls)


def test_axe_finds_nothing_serious_on_any_page(walk):
    pytest.importorskip("axe_playwright_python")
    assert walk("light").barriers == []


def test_a_cell_of_the_grid_is_taken_by_the_keyboard_and_its_link_copied(address, browser):
    page = opened(browser, address + "saliency?cat=part+%C2%B7+mine&grid=1")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("button.cell.chosen").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.wait_for_function("location.search.includes('k=6')")
    page.wait_for_selector("button.cell.chosen[data-row='5'][data-column='3']")
    assert "layer=23" in page.url
    page.get_by_role("button", name="Copy link").first.click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.context.close()


def test_patches_are_placed_by_keys_and_mouse_and_a_wipe_is_dragged(address, browser):
    """What only a browser knows: the box under the mouse, the keys on the picture, the drag."""
    page = opened(browser, address + "negatives?cat=part+%C2%B7+mine&pair=wipe&hand=1&size=128")
    stage, handle = page.locator(".stage").first, page.locator(".handle").first
    assert not handle.is_visible()
    stage.focus()
    for key in ("ArrowRight", "Shift+ArrowRight", "Shift+ArrowLeft"):  # the first shows the box
        page.keyboard.press(key)
    assert page.locator("rect.ghost").count() == 2
    told = page.locator(".told").first.text_content()
    page.keyboard.press("Enter")
    page.wait_for_function("location.search.includes('&at=')")
    y, x = parse_qs(urlsplit(page.url).query)["at"][0].split(".")
    assert told == f"Row {y}, column {x}: Enter places it here"
    page.get_by_text("2 of 2.").wait_for()
    settle(page)
    # The last place that is lit, and beside it one that is not: the box snaps back.
    last = stage.evaluate(
        """stage => {
          const { allowed, width } = stage.closest("figure").parts;
          let index = allowed.length * 8 - 1;
          while (!((allowed[index >> 3] >> (7 - (index & 7))) & 1)) index -= 1;
          return { x: index % width, y: Math.floor(index / width) };
        }"""
    )
    box = stage.bounding_box()
    at = [box[side] + (last[side] + 2.5) * box["width"] / 128 for side in ("x", "y")]
    page.mouse.move(*at)
    ghost = page.locator("rect.ghost").first
    shown_at = int(ghost.get_attribute("x")), int(ghost.get_attribute("y"))
    assert abs(shown_at[0] - last["x"]) <= 6
    assert abs(shown_at[1] - last["y"]) <= 6
    page.mouse.click(*at)
    page.get_by_text("Swapped.").wait_for()
    assert parse_qs(urlsplit(page.url).query)["at"] == [f"{y}.{x}~{shown_at[1]}.{shown_at[0]}"]
    settle(page)
    link = page.url
    # The wipe: dragged on the picture, then by keys; nothing is placed and nothing asked for.
    box, middle = stage.bounding_box(), stage.bounding_box()["y"] + 60
    page.mouse.move(box["x"] + 0.5 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=4)
    page.mouse.up()
    assert handle.get_attribute("aria-valuenow") == "80"
    clip = "e => parseFloat(getComputedStyle(e).clipPath.split(' ').at(-1))"
    assert page.locator(".stage img.after").first.evaluate(clip) == pytest.approx(80, abs=1)
    handle.focus()
    for key, value in (("ArrowLeft", "78"), ("PageDown", "68"), ("Home", "0"), ("End", "100")):
        page.keyboard.press(key)
        assert handle.get_attribute("aria-valuenow") == value
    assert page.url == link
    package = importlib.util.find_spec("axe_playwright_python")
    if package is not None:
        script = Path(package.origin).with_name("axe.min.js")
        page.evaluate(script.read_text(encoding="utf-8"))
        assert page.evaluate(AXE) == []
    stage.focus()
    page.keyboard.press("Escape")
    page.get_by_text("2 of 2.").wait_for()
    assert not handle.is_visible()
    page.context.close()
