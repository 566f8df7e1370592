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


def test_a_long_file_is_thinned_and_its_end_is_whole(tmp_path: Path, monkeypatch):
    """A million lines took Train 37 s and 2.6 GB."""
    parsed = []
    monkeypatch.setattr(module, "WHOLE", 200)
    monkeypatch.setattr(module, "RECENT", 30)
    real = module._parsed
    monkeypatch.setattr(module, "_parsed", lambda text: parsed.append(1) or real(text))
    count = 20_000
    append(tmp_path, lines(count))
    tail = MetricsTail(tmp_path)
    kept = steps(tail)
    assert len(parsed) < 5 * 200 + 30
    assert len(kept) <= 230
    assert kept[-30:] == list(range(count - 29, count + 1))
    gaps = {b - a for a, b in zip(kept[:-31], kept[1:-30], strict=True)}
    assert len(gaps) == 1  # the rest evenly
    assert kept[0] == 1
    for step in range(count + 1, count + 1000):  # and so it stays while the run goes on
        append(tmp_path, json.dumps({"step": step, "loss": 1.0, "accuracy": 0.5}) + "\n")
        if step % 97 == 0:
            found = steps(tail)
            assert found[-30:] == list(range(step - 29, step + 1))
            assert found == sorted(set(found))
            assert len(found) <= 230
    assert steps(MetricsTail(tmp_path)) == steps(tail)  # whoever comes later sees the same


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_reading_in_pieces_thins_as_reading_at_once(tmp_path_factory, pieces):
    run = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WHOLE", 16)
        patch.setattr(module, "RECENT", 5)
        tail, done = MetricsTail(run), 0
        for piece in pieces:
            append(run, "".join(lines(done + piece).splitlines(keepends=True)[done:]))
            done += piece
            assert steps(tail) == steps(MetricsTail(run))
            assert steps(tail)[-5:] == list(range(max(1, done - 4), done + 1))


def test_a_foreign_line_at_the_end_of_a_long_file_is_seen(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 50)
    monkeypatch.setattr(module, "RECENT", 10)
    append(tmp_path, lines(500) + "hello\n" + lines(3))
    with pytest.raises(CutSwapError, match="line 501"):
        MetricsTail(tmp_path).read()
    (tmp_path / "metrics.jsonl").write_text(lines(500) + '{"step": 501, "lo')
    assert steps(MetricsTail(tmp_path))[-1] == 500
    append(tmp_path, 'ss": 1, "accuracy": 0}\n')
    assert steps(MetricsTail(tmp_path))[-1] == 501


def test_seconds_of_a_thinned_curve_count_what_was_left_out():
    kept = [
        {"step": step, "loss": 1, "accuracy": 1, "images_per_second": 2.0} for step in (1, 5, 9, 10)
    ]
    series = module.run_series(kept, 24)
    assert series.seconds is not None
    assert series.seconds.tolist() == [12, 60, 108, 120]
