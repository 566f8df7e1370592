"""Every hostile file ends in a refusal or in something sound, soon, and in little memory.

A seeded sample here; `make fuzz` (CUTSWAP_FUZZ=all) tries the whole corpus.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cutswap.errors import CutSwapError
from tests.robustness.hostile import REFUSED, SOUND, Case, corpus, sample
from tests.robustness.hostile_readers import READERS

SECONDS = 2.0  # of processor time, since the machine may be busy
HANGS = 30  # seconds by the clock
MEGABYTES = 500
CASES = corpus() if os.environ.get("CUTSWAP_FUZZ") == "all" else sample(0.35)
_PEAK = Path("/proc/self/clear_refs")  # Linux: 5 sets the peak of the memory back


class HangsError(Exception):
    """A reader that does not come back."""


@contextlib.contextmanager
def limited() -> Iterator[dict[str, float]]:
    """Measure processor time and the growth of the memory; end what waits for ever."""

    def late(*_: Any) -> None:
        raise HangsError(f"over {HANGS} s")

    gc.collect()
    used: dict[str, float] = {}
    before, began = _memory("VmRSS"), time.process_time()
    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(HANGS)
    try:
        yield used
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
        used["seconds"] = time.process_time() - began
        used["megabytes"] = _memory("VmHWM") - before


def _memory(kind: str) -> float:
    """Megabytes now (VmRSS), which also sets the peak back, or the peak since (VmHWM)."""
    try:
        if kind == "VmRSS":
            _PEAK.write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # no Linux: not measured
        return 0.0
    return next(float(line.split()[1]) / 1000 for line in lines if line.startswith(kind))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_hostile_file_is_refused_or_sound(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)  # where code that ran would leave `pwned`
    folder = tmp_path / "case"
    folder.mkdir()
    path = case.make(folder)
    said: CutSwapError | None = None
    with limited() as used:
        try:
            is_accepted = READERS[case.reader](path)
        except CutSwapError as error:
            is_accepted, said = False, error
    if said is not None:
        assert said.expected
        assert said.fix
        assert len(str(said)) < 10_000
        assert "root:x" not in str(said), "the target of a link was quoted"
    assert used["seconds"] < SECONDS
    assert used["megabytes"] < MEGABYTES
    assert list(home.iterdir()) == []
    assert not list(tmp_path.rglob("pwned"))
    assert not (tmp_path / "escaped.png").exists()
    assert not (is_accepted and case.verdict == REFUSED), "used as if it were good"
    assert is_accepted or case.verdict != SOUND, "a sound file was refused"


def test_the_corpus_is_large_and_has_every_reader():
    every = corpus()
    assert len(every) >= 300
    counted = Counter(case.reader for case in every)
    assert set(counted) == set(READERS)
    assert min(counted.values()) >= 10
    assert len({str(case) for case in every}) == len(every)
    assert {case.reader for case in sample(0.1)} == set(READERS)
