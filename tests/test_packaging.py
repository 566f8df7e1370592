"""One list of requirements in two files, and a version that agrees with itself."""

from __future__ import annotations

import tomllib
from pathlib import Path

import cutswap

ROOT = Path(__file__).resolve().parents[1]


def test_requirements_equal_the_project_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    assert listed[-1] == "-e ."
    assert listed[:-1] == project["dependencies"]


def test_the_version_has_one_value():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == cutswap.__version__


def test_every_name_of_the_front_door_opens():
    for name in cutswap.__all__:
        assert getattr(cutswap, name) is not None
