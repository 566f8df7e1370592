"""The exercises: whole, their links open what they say, and their Python prints what they show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.shared import workspace
from app.shared.selection import found_runs
from cutswap.data.images import save_png
from cutswap.errors import CutSwapError
from cutswap.installation.shipped import assets
from cutswap.lessons.exercises import FILE, read_exercises, shipped_exercises
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.small_photos import photo_of

INTRODUCTION, EXERCISES = shipped_exercises()
ROOT = Path(__file__).resolve().parents[2]


def printed(solution: str) -> list[str]:
    """The lines of its block `text`."""
    found = re.search(r"^```text\n(.*?)^```$", solution, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1].splitlines()


def test_there_are_five_whole_ones():
    assert len(EXERCISES) == 5
    assert INTRODUCTION.startswith("Each takes about a class hour")
    for exercise in EXERCISES:
        assert "details" not in exercise.text + exercise.solution
        assert "```python" not in exercise.text
        assert printed(exercise.solution)
        assert max(map(len, exercise.code.splitlines())) <= 100
        compile(exercise.code, exercise.title, "exec")


@pytest.mark.parametrize("lacking", ["[Open ", "```python", "<summary>Solution", "</details>"])
def test_a_file_that_lacks_a_part_is_told_with_the_exercise(lacking: str, tmp_path: Path):
    whole = (assets() / FILE).read_text(encoding="utf-8")
    (tmp_path / "short.md").write_text(whole.replace(lacking, "", 1), encoding="utf-8")
    with pytest.raises(CutSwapError, match="short.md, Choose K by looking"):
        read_exercises(tmp_path / "short.md")
    with pytest.raises(CutSwapError, match="expected the exercises"):
        read_exercises(tmp_path / "none.md")


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An app whose demo has the photos that the links name."""
    root = small_app(tmp_path, monkeypatch)
    (root / "part").rename(root / "hex_nut")
    save_png(root / "hex_nut/test/scratch/000.png", photo_of(3, (64, 64)))
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:30] = True
    for name in ("scratch", "crack"):
        save_png(root / f"hex_nut/ground_truth/{name}/000_mask.png", mask)
    ready = workspace.DemoRendering(root=root)
    monkeypatch.setattr(workspace, "demo_rendering", lambda: ready)
    monkeypatch.setenv("CUTSWAP_DATA", "")
    workspace.dataset_of.clear()
    found_runs.clear()
    return root


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.title)
@pytest.mark.usefixtures("demo")
def test_a_link_opens_what_it_says(exercise):
    # A threshold is a place on the scale of the real demo, which this tiny set has not.
    query = {name: value for name, value in exercise.query.items() if name != "thr"}
    at = open_page(exercise.address, **query)
    assert_alive(at)
    assert not at.toast  # nothing that the link asks for is not there
    assert "The link names what this page does not have" not in texts(at)
    for name, value in query.items():
        if name == "show":
            continue
        held = at.session_state[name if name in ("cat", "img") else f"knob.{name}"]
        assert str(held) == {"cat": "demo/hex_nut"}.get(name, value), name


@pytest.mark.usefixtures("demo")
def test_the_lesson_has_them_and_hides_the_solutions():
    at = open_page("lesson")
    assert_alive(at)
    for number, exercise in enumerate(EXERCISES, start=1):
        at.segmented_control(key="lesson.exercise").set_value(number).run()
        assert exercise.title in texts(at)
        assert exercise.solution not in texts(at)
        at.toggle(key=f"lesson.exercise.{number}.solution").set_value(True).run()
        assert exercise.solution in texts(at)
        links = [link.proto.url for link in at.get("link_button")]
        assert [link.split("?")[0] for link in links] == [exercise.address]
    assert_alive(at)


@pytest.mark.journey
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.title)
def test_the_python_prints_what_the_solution_shows(exercise, tmp_path: Path):
    """Numbers to 0.06 and shares to 8 points: another processor draws the same, to rounding."""
    (tmp_path / "exercise.py").write_text(exercise.code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "exercise.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown = printed(exercise.solution)
    lines = done.stdout.splitlines()
    assert len(lines) == len(shown)
    number = re.compile(r"-?\d+(?:\.\d+)?")
    for line, expected in zip(lines, shown, strict=True):
        assert number.sub("#", line).split() == number.sub("#", expected).split()
        for one, two in zip(number.findall(line), number.findall(expected), strict=True):
            assert float(one) == pytest.approx(float(two), rel=0.1, abs=0.06), line
