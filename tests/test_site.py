"""The documentation site's own code: links of the repository lead to pages of the site."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("link", "there"),
    [
        ("../README.md", "front.md"),
        ("../README.md#your-parts", "front.md#your-parts"),
        ("../CONTRIBUTING.md#changes", "contributing.md#changes"),
        ("../assets/readme/saliency.jpg", "assets/readme/saliency.jpg"),
        ("../docs/install.md#windows", "install.md#windows"),
        ("usage.md", "usage.md"),
        ("https://semver.org/", "https://semver.org/"),
    ],
)
def test_links_lead_to_pages_of_the_site(link: str, there: str, site: ModuleType):
    assert site._on_site(link) == there


def test_files_of_the_repository_keep_their_name_without_a_link(site: ModuleType):
    class Page:
        class file:  # noqa: N801
            src_uri = "usage.md"

    said = site.on_page_markdown("a [`config.py`](../cutswap/config.py) [b](choices.md)", Page)
    assert said == "a `config.py` [b](choices.md)"


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_no_page_fetches_from_elsewhere(depth: int, site: ModuleType):
    class Page:
        url = "a/" * depth + "page.html"

    said = site.on_post_page('<script src="https://unpkg.com/iframe-worker/shim">', Page)
    assert said == f'<script src="{"../" * depth}offline/iframe-worker.js">'


def test_every_module_is_in_the_reference(site: ModuleType):
    listed = set(re.findall(r"^::: (\S+)$", "\n".join(t for _, t in site._reference()), re.M))
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "cutswap").rglob("*.py")
        if not path.stem.startswith("__")
    }
    assert listed == modules
    assert len(listed) > 150


def test_every_page_of_docs_is_in_the_menu():
    menu = set(re.findall(r"- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= menu
