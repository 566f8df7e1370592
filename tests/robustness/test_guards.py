"""Every guard has lines that are there and a test of its own; `make test-guards` takes them out."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.robustness import fuzz, guards
from tests.robustness.guards import GUARDS, Guard, copied, is_red_without, misfit


@pytest.mark.parametrize("guard", GUARDS, ids=lambda g: g.name)
def test_a_guards_lines_and_its_test_are_there(guard: Guard):
    assert misfit(guard) == ""


def test_none_stands_twice():
    assert len({(g.file, g.old) for g in GUARDS}) == len(GUARDS) >= 14


@pytest.mark.journey
def test_the_run_tells_a_held_guard_from_a_free_one(tmp_path: Path):
    """One test is red without its guard; another has nothing to do with it."""
    held = next(g for g in GUARDS if g.file.endswith("csv_text.py"))
    free = Guard("", held.file, held.old, held.new, "tests/test_settings.py")
    copy = copied(tmp_path)
    assert is_red_without(held, copy)
    assert not is_red_without(free, copy)
    assert (copy / held.file).read_text() == (guards.ROOT / held.file).read_text()


@pytest.mark.parametrize(
    ("old", "test"),
    [("no such line", "tests/test_settings.py"), (GUARDS[0].old, "tests/test_gone.py::test_it")],
)
def test_an_entry_that_does_not_fit_is_told(old: str, test: str):
    assert misfit(Guard("", GUARDS[0].file, old, "", test))


def test_without_its_fuzzer_fuzzing_fails(monkeypatch: pytest.MonkeyPatch, capsys):
    """It ended well and had looked at nothing."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "argv", ["fuzz", "--seconds", "1"])
    assert fuzz.main() != 0
    assert "nothing was fuzzed" in capsys.readouterr().out
