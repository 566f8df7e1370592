"""A package that is gone: one line saying what to install, in commands and in the app."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import app.saliency
from cutswap.installation.missing import missing_package
from tests.helpers.app import open_page, small_app, texts
from tests.helpers.datasets import build_category

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = """
import sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
from cutswap.commands.parser import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("name", "package", "command"),
    [
        ("numpy", "numpy", "evaluate"),
        ("PIL", "pillow", "check-data"),
        pytest.param("cv2", "opencv-python-headless", "evaluate", marks=pytest.mark.journey),
        pytest.param("sklearn", "scikit-learn", "augment", marks=pytest.mark.journey),
        ("torch", "torch", "augment"),
        ("safetensors", "safetensors", "evaluate"),
    ],
)
def test_a_command_says_what_to_install(name: str, package: str, command: str, tmp_path: Path):
    build_category(tmp_path / "bolt")
    flags = ["--data", str(tmp_path), "--category", "bolt"]
    if command == "augment":
        flags = [str(next(tmp_path.rglob("train/good/*.png")))]
    if command != "check-data":
        flags += ["--out", "out"]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, name, command, *flags, "--quiet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2, done.stderr
    said = done.stderr.splitlines()  # torch warns of a missing numpy before
    assert said[-1] == (
        f"cutswap: the package {package} is not installed; install it: python -m pip install"
        f" {package} (all of them: -r requirements.txt)"
    )
    assert sum(line.startswith("cutswap: ") for line in said) == 1
    assert "Traceback" not in done.stderr


def test_help_needs_no_package(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, "numpy", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0
    assert "finetune" in done.stdout


def test_a_page_says_what_to_install_and_the_others_live(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    for name in ("view", "histogram"):  # imported anew, without plotly
        monkeypatch.delitem(sys.modules, f"app.saliency.{name}", raising=False)
        monkeypatch.delattr(app.saliency, name, raising=False)
    for name in [n for n in sys.modules if n.partition(".")[0] == "plotly"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "plotly", None)
    at = open_page("saliency")
    assert not at.exception
    (error,) = at.error
    assert "The package plotly is not installed" in error.value
    assert "python -m pip install plotly" in error.value
    assert "could not" not in texts(at)
    assert [box.key for box in at.sidebar.selectbox] == ["cat", "img", "resize"]


def test_a_broken_package_is_named_with_its_reason():
    error = ImportError("libGL.so.1: cannot open shared object file", name="cv2")
    said = missing_package(error)
    assert said is not None
    assert "opencv-python-headless cannot be imported (libGL.so.1" in said
    assert "--force-reinstall opencv-python-headless" in said


def test_a_module_of_ours_is_a_bug_and_stays_one():
    assert missing_package(ModuleNotFoundError("no", name="cutswap.nothing")) is None
    assert missing_package(ImportError("cannot import name")) is None
