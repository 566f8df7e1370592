"""One list of requirements in two files, and a version in one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import cutswap

ROOT = Path(__file__).resolve().parents[1]


def test_requirements_equal_the_project_file():
    """pytest is in requirements.txt for whoever works in a clone; users of the wheel need none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    assert listed[-1] == "-e ."
    (tests,) = [line for line in listed if line.startswith("pytest")]
    assert [line for line in listed[:-1] if line != tests] == project["dependencies"]
    assert tests in project["optional-dependencies"]["dev"]


def test_the_version_has_one_home():
    """In the package; the build reads it there."""
    file = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in file["project"]["dynamic"]
    assert file["tool"]["hatch"]["version"]["path"] == "cutswap/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", cutswap.__version__)


def test_every_name_of_the_front_door_opens():
    for name in cutswap.__all__:
        assert getattr(cutswap, name) is not None
