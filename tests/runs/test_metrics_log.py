"""The incremental reader says what a reader of the whole file says, after every change of it."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.errors import CutSwapError
from cutswap.runs import metrics_log as module
from cutswap.runs.metrics_log import MetricsTail
from cutswap.runs.states import training_curve
from cutswap.utils.files import write_text
from tests.helpers.runs import lines


def steps(tail: MetricsTail) -> list[int]:
    return [line["step"] for line in tail.read()]


def append(run: Path, text: str) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(text)


def test_only_what_is_new_is_parsed(tmp_path: Path, monkeypatch):
    tail = MetricsTail(tmp_path)
    assert tail.read() == []
    append(tmp_path, lines(1000))
    assert len(tail.read()) == 1000
    parsed = []
    loads = json.loads
    monkeypatch.setattr(module.json, "loads", lambda text: parsed.append(text) or loads(text))
    assert len(tail.read()) == 1000
    assert parsed == []
    append(tmp_path, '{"step": 1001, "loss": 0.5, "accuracy": 1}\n')
    assert tail.read()[-1] == {"step": 1001, "loss": 0.5, "accuracy": 1}
    assert len(parsed) == 1


def test_a_line_that_is_half_written_comes_later(tmp_path: Path):
    tail = MetricsTail(tmp_path)
    append(tmp_path, lines(2) + '{"step": 3, "lo')
    assert steps(tail) == [1, 2]
    append(tmp_path, 'ss": 1, "accuracy": 0}')
    assert steps(tail) == [1, 2, 3]  # whole but for its line break
    append(tmp_path, "\n")
    assert steps(tail) == [1, 2, 3]
    append(tmp_path, '{"step": 4, "loss": 1, "accuracy": 0}\n')
    assert steps(tail) == [1, 2, 3, 4]


def test_a_replaced_file_is_read_anew(tmp_path: Path):
    tail = MetricsTail(tmp_path)
    file = tmp_path / "metrics.jsonl"
    append(tmp_path, lines(5))
    assert steps(tail) == [1, 2, 3, 4, 5]
    write_text(file, lines(3))  # as a resumed run does
    assert steps(tail) == [1, 2, 3]
    # longer at once, between two looks; in place, so that its number stays
    file.write_text('{"step": 7, "loss": 1, "accuracy": 0}\n' * 20)
    assert steps(tail) == [7] * 20
    # as long as before, and edited in the middle
    file.write_text(file.read_text().replace("7", "8", 1))
    os.utime(file, ns=(1, 1))
    assert steps(tail) == [8, *[7] * 19]
    file.unlink()
    assert steps(tail) == []
    append(tmp_path, lines(1))
    assert steps(tail) == [1]


def test_a_replaced_file_that_agrees_where_reading_stopped_is_read_anew(tmp_path: Path):
    update = '{"step": %d, "loss": 1, "accuracy": 0}\n'
    tail = MetricsTail(tmp_path)
    append(tmp_path, update % 1 + update % 2)
    assert steps(tail) == [1, 2]
    write_text(tmp_path / "metrics.jsonl", update % 9 + update % 2 + update % 3)
    assert steps(tail) == [9, 2, 3]


def test_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / "other.jsonl").write_text(lines(2))
    (tmp_path / "metrics.jsonl").symlink_to(tmp_path / "other.jsonl")
    assert MetricsTail(tmp_path).read() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n" + lines(1), "line 3: expected one JSON object a line, found hello"),
        ("\n" + lines(1), "line 3"),
        ("[1]\n", "line 3: expected an update"),
        ('{"step": 3, "loss": NaN, "accuracy": 1}', "line 3: expected an update"),
        (
            '[]\nhello\n{"step": 5}\n',
            "line 4: expected one JSON",
        ),  # as the whole reader: JSON first
    ],
)
def test_refusals_are_those_of_the_whole_reader_and_stay(tmp_path: Path, text, message):
    tail = MetricsTail(tmp_path)
    append(tmp_path, lines(2))
    assert steps(tail) == [1, 2]
    append(tmp_path, text)
    with pytest.raises(CutSwapError) as whole:
        training_curve(tmp_path)
    assert message in str(whole.value)
    for _ in range(2):
        with pytest.raises(CutSwapError) as found:
            tail.read()
        assert str(found.value) == str(whole.value)
    (tmp_path / "metrics.jsonl").write_text(lines(1))
    assert steps(tail) == [1]


UPDATE = '{"step": 1, "loss": 0.5, "accuracy": 1}'
PIECES = st.sampled_from(
    [UPDATE + "\n", UPDATE, "\n", UPDATE[:20], UPDATE[20:] + "\n", "[]\n", "\u2028", "x\n"]
)


def answer(read) -> object:
    try:
        return read()
    except CutSwapError as error:
        return str(error)


@given(st.lists(st.tuples(PIECES, st.booleans()), max_size=12))
def test_it_says_what_the_whole_reader_says(tmp_path_factory, changes):
    run = tmp_path_factory.mktemp("run")
    tail = MetricsTail(run)
    for text, is_anew in changes:
        if is_anew:
            write_text(run / "metrics.jsonl", text)
        else:
            append(run, text)
        assert answer(tail.read) == answer(lambda: training_curve(run))


def test_readers_at_once_take_each_line_once(tmp_path: Path, monkeypatch):
    loads = json.loads
    # slowly, so that each would begin while another is at it
    monkeypatch.setattr(module.json, "loads", lambda text: time.sleep(0.002) or loads(text))
    append(tmp_path, lines(20))
    tail = MetricsTail(tmp_path)
    seen: list[list[int]] = []
    readers = [threading.Thread(target=lambda: seen.append(steps(tail))) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert seen == [list(range(1, 21))] * 4
