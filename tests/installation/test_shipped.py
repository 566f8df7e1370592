"""Shipped files are found in a checkout and in an installed package, and only by their package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from app.shared.public import NOTES
from cutswap.errors import CutSwapError
from cutswap.installation import shipped
from cutswap.installation.missing import missing_package
from cutswap.networks import weights
from cutswap.results import paper_tables

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package as a wheel leaves it, far from any repository."""
    package = tmp_path / "site-packages" / "cutswap"
    (package / "assets" / "weights").mkdir(parents=True)
    monkeypatch.setattr(shipped, "package", lambda: package)
    monkeypatch.setattr(shipped, "checkout", lambda: None)
    return package


def test_in_a_checkout_they_lie_at_its_top():
    assert shipped.checkout() == ROOT
    assert shipped.assets() == ROOT / "assets"
    assert shipped.explorer() == ROOT / "app" / "main.py"
    assert shipped.explorer_server() == ROOT / "app" / "server.py"


def test_installed_they_lie_in_the_package(installed: Path):
    assert shipped.assets() == installed / "assets"
    assert shipped.explorer() == installed / "explorer" / "app" / "main.py"


@pytest.mark.parametrize("beside", [[], ["pyproject.toml"], ["assets/"], ["setup.py", "assets/"]])
def test_what_lies_beside_an_installed_package_makes_no_checkout(
    beside: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in beside:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    monkeypatch.setattr(shipped, "package", lambda: tmp_path / "cutswap")
    assert shipped.checkout.__wrapped__() is None


def test_both_places_have_what_is_asked_for():
    assert (shipped.assets() / "paper_tables.csv").is_file()
    assert (shipped.assets() / "icon.png").is_file()
    assert {p.stem for p in (shipped.assets() / "weights").iterdir()} == {"vgg16", "resnet18"}
    assert len(list((shipped.assets() / "story").iterdir())) == 4
    lesson = {p.name for p in (shipped.assets() / "lesson").iterdir()}
    recorded = {f"{name}.{end}" for name in ("features", "over_time") for end in ("json", "npz")}
    assert lesson == {"lesson.md", "exercises.md", *recorded}
    pages = shipped.explorer().parent.parent / "pages"
    assert {p.stem for p in pages.glob("*.py")} == set(NOTES)


@pytest.mark.usefixtures("installed")
def test_installed_nobody_is_sent_to_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weights, "EMBEDDED_FOLDER", tmp_path)
    with pytest.raises(CutSwapError, match="--force-reinstall --no-deps cutswap"):
        weights.find_state("vgg16", "embedded")
    with pytest.raises(CutSwapError, match="--force-reinstall --no-deps cutswap"):
        paper_tables.paper_values(tmp_path / "gone.csv")


def test_installed_nobody_is_sent_to_a_list_of_requirements(monkeypatch: pytest.MonkeyPatch):
    from cutswap.installation import missing

    monkeypatch.setattr(missing, "checkout", lambda: None)
    said = missing_package(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert said is not None
    assert said.endswith("python -m pip install torch (all of them: cutswap)")


def reaching_out(tree: ast.AST) -> list[str]:
    """Places that go from their own file to a folder above its package."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "parents"
    ]


@pytest.mark.parametrize("folder", ["cutswap", "app", "pages"])
def test_no_module_reaches_out_of_its_package(folder: str):
    found = {
        f"{path.relative_to(ROOT)}: {what}"
        for path in (ROOT / folder).rglob("*.py")
        for what in reaching_out(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize("line", ["Path(__file__).resolve().parents[2]", "here.parents[n]"])
def test_the_finder_of_such_places_finds(line: str):
    assert reaching_out(ast.parse(line))
