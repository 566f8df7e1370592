"""Requirements in three files that agree, a version in one, and a container made of them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import cutswap
from cutswap.commands.parser import parse

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


def requirement(line: str) -> Requirement:
    return Requirement(line.partition("#")[0].strip())


def test_every_requirement_is_pinned_inside_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [requirement(line) for line in lines if line and not line.startswith("#")]
    assert len(pins) > 100
    assert all(str(pin.specifier).startswith("==") for pin in pins)
    for need in map(requirement, asked):
        if need.name == "cutswap":  # an extra of our own
            continue
        found = [pin for pin in pins if canonicalize_name(pin.name) == canonicalize_name(need.name)]
        assert found, need
        for pin in found:
            assert need.specifier.contains(str(pin.specifier)[2:]), (need, pin)


# What runs the program, file by file; and the first versions without holes that are public.
LOCKED = re.compile(
    r"(?m)^([a-z0-9-]+)==(\S+)(?: ; [^\n\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$"
)
SAFE = {
    "filelock": "3.20.3",  # CVE-2025-68146, CVE-2026-22701: links beside the lock
    "flask": "3.1.3",  # CVE-2026-27205
    "flask-cors": "6",  # CVE-2024-6839, -6844, -6866
    "jinja2": "3.1.6",  # CVE-2025-27516
    "onnx": "1.21",  # CVE-2026-27489, -28500, -34445
    "opencv-python-headless": "4.12.0.88",  # CVE-2025-53644, in 4.10 and 4.11
    "pillow": "13",  # CVE-2026-112403, -96639: decoding a JPEG, or several frames, writes elsewhere
    "ray": "2.52",  # CVE-2025-62593
    "scikit-learn": "1.5",  # CVE-2024-5206
    "torch": "2.10",  # CVE-2025-32434, CVE-2026-24747
    "tqdm": "4.66.3",  # CVE-2024-34062
}


def test_no_range_admits_a_version_with_a_known_hole():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = map(
        requirement, [*project["dependencies"], *(one for extra in extras for one in extra)]
    )
    bounds = {canonicalize_name(need.name): need.specifier for need in asked}
    assert SAFE.keys() <= bounds.keys()
    for name, safe in SAFE.items():
        (lowest,) = [Version(one.version) for one in bounds[name] if one.operator == ">="]
        assert lowest >= Version(safe), name


def test_the_lock_has_each_file_by_its_hash_and_the_constraints_versions():
    text = (ROOT / "requirements.lock").read_text()
    locked = {name: version for name, version, _ in LOCKED.findall(text)}
    assert len(locked) > 50
    assert re.sub(LOCKED, "", re.sub(r"(?m)^#.*", "", text)).strip() == ""
    assert not [version for version in locked.values() if "+" in version]  # one machine's torch
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [requirement(line) for line in lines if line and not line.startswith("#")]
    pins = {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in found}
    assert {n: v for n, v in locked.items() if pins.get(n) != v} == {}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {canonicalize_name(requirement(line).name) for line in project["dependencies"]}
    assert asked <= locked.keys()


# The container


def instructions() -> list[tuple[str, str]]:
    """Every instruction of the Dockerfile with its arguments, continued lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text())
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], " ".join(line.split()[1:])) for line in lines if line.strip()]


def test_the_container_gets_all_that_the_wheel_is_built_from():
    """What .dockerignore holds back does not reach COPY; what is not copied is not in the wheel."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    wanted = {*build["targets"]["wheel"]["only-include"], "pyproject.toml", "README.md", "LICENSE"}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert allowed == {*wanted, "constraints.txt"}
    copied = " ".join(words for name, words in instructions() if name == "COPY").split()
    assert {path.split("/")[0] for path in wanted} <= set(copied)
    assert all((ROOT / path).exists() for path in allowed)


def test_the_container_is_not_root_and_says_how_it_is():
    words = dict(instructions())  # of each the last
    assert words["USER"] == "1000:1000"
    assert "/_stcore/health" in words["HEALTHCHECK"]
    assert json.loads(words["ENTRYPOINT"]) == ["cutswap"]
    parse(json.loads(words["CMD"]))
    variables = dict(pair.split("=") for pair in words["ENV"].split())
    volumes = json.loads(words["VOLUME"])
    ours = {name: value for name, value in variables.items() if name.startswith("CUTSWAP_")}
    assert set(ours.values()) == set(volumes)
    said = (ROOT / "docs" / "install.md").read_text()
    assert all(f"`{name}`" in said for name in ours)


def test_the_container_takes_no_image_without_a_version():
    images = [words.split()[0] for name, words in instructions() if name == "FROM"]
    assert images
    assert all(":" in image and not image.endswith(":latest") for image in images)


# First versions without a known hole: CVE-2025-68146 and CVE-2026-22701 (filelock follows a link),
# CVE-2024-34062 (tqdm evaluates arguments), CVE-2025-27516 (jinja2's sandbox), CVE-2025-62593 (DNS
# rebinding drives ray's dashboard), CVE-2025-32434 and CVE-2026-24747 (torch's weights_only).
MENDED = {
    "filelock": (3, 20, 3),
    "tqdm": (4, 66, 3),
    "jinja2": (3, 1, 6),
    "ray": (2, 52),
    "torch": (2, 10),
}


@pytest.mark.parametrize("name", MENDED)
def test_lower_bounds_admit_no_known_hole(name: str):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    lines += (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    bounds = [
        tuple(int(part) for part in found[1].split("."))
        for line in lines
        if (found := re.match(rf"{name}(?:\[\w+\])?>=([\d.]+)", line))
    ]
    assert bounds
    assert min(bounds) >= MENDED[name]
