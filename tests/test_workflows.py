"""CI and releases: actions are pinned, rights are least, and a tag that does not fit is refused."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def content(path: Path) -> dict[Any, Any]:
    yaml = pytest.importorskip("yaml")
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return found


def unpinned(text: str) -> list[str]:
    """Actions that are not named by a commit with its version beside it."""
    return [u for u in re.findall(r"uses: *(.+)", text) if not PINNED.fullmatch(u.strip())]


@each_workflow
def test_actions_are_pinned(path: Path):
    text = path.read_text()
    assert "uses:" in text
    assert not unpinned(text)


@pytest.mark.parametrize(
    "use",
    [
        "actions/checkout@v5",
        "actions/checkout@main",
        "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8",
        "actions/checkout@08c6903 # v5.0.0",
        "docker://alpine:3",
    ],
)
def test_the_finder_of_unpinned_actions_finds(use: str):
    assert unpinned(f"      - uses: {use}\n")


def test_one_action_has_one_version():
    found = {u for path in WORKFLOWS for u in re.findall(r"uses: *(\S+)", path.read_text())}
    assert len({use.partition("@")[0] for use in found}) == len(found)


@each_workflow
def test_rights_are_least(path: Path):
    """Reading at most, unless a job says what it needs; no words of strangers in a shell."""
    workflow = content(path)
    assert workflow["permissions"] in ({"contents": "read"}, {})
    assert "pull_request_target" not in workflow[True]  # YAML reads `on` as true
    for name, job in workflow["jobs"].items():
        rights = job.get("permissions", {})
        may_write = {right for right, how in rights.items() if how == "write"}
        assert not may_write or (path.stem, name) == ("release", "publish")
        for step in job["steps"]:
            assert "${{ github." not in step.get("run", "")
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_the_suite_runs_on_every_system_and_python():
    matrix = content(ROOT / ".github/workflows/tests.yml")["jobs"]["suite"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["system"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.11", "3.12", "3.13"]


@each_workflow
def test_make_targets_of_workflows_exist(path: Path):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = re.findall(r"run: make ((?:[a-z][a-z0-9-]* )+)", path.read_text() + " ")
    assert not {name for names in asked for name in names.split()} - targets


def test_a_release_publishes_without_a_password():
    text = (ROOT / ".github/workflows/release.yml").read_text()
    assert "secrets." not in text
    publish = content(ROOT / ".github/workflows/release.yml")["jobs"]["publish"]
    assert publish["permissions"] == {"attestations": "write", "id-token": "write"}
    assert publish["environment"] == "pypi"


# Tags


def check(folder: Path, tag: str, version: str, changelog: str) -> subprocess.CompletedProcess[str]:
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "release", folder / ".ci" / "release")
    (folder / "cutswap").mkdir()
    (folder / "cutswap/__init__.py").write_text(f'__version__ = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(changelog)
    line = [str(folder / ".ci" / "release"), "check", tag]
    return subprocess.run(line, capture_output=True, text=True)


GOOD = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-02\n\n- A thing.\n"


def test_a_tag_that_fits_is_released(tmp_path: Path):
    assert check(tmp_path, "v1.2.3", "1.2.3", GOOD).returncode == 0


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "said"),
    [
        ("v1.2.4", "1.2.3", GOOD, "the tag is v1.2.4"),
        ("1.2.3", "1.2.3", GOOD, "the tag is 1.2.3"),
        ("v1.2.4", "1.2.4", GOOD, "[1.2.4] and its date"),
        ("v1.2.3", "1.2.3", GOOD.replace(" - 2026-01-02", ""), "[1.2.3] and its date"),
        ("v1.2.3", "1.2.3", GOOD.replace("- A thing.\n", ""), "nothing is said"),
        ("v1.2.3", "1.2.3", GOOD.replace("[Unreleased]\n", "[Unreleased]\n- B"), "an empty"),
        ("v1.2.3", "1.2.3", "# Changelog\n", "an empty"),
    ],
)
def test_one_that_does_not_is_refused(
    tag: str, version: str, changelog: str, said: str, tmp_path: Path
):
    done = check(tmp_path, tag, version, changelog)
    assert done.returncode == 1
    assert said in done.stderr
