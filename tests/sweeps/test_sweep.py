"""Sweeps on processes of this machine: each cell once, also when workers or drivers die."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from cutswap.commands import engine as engine_choice
from cutswap.commands.parser import main, parse
from cutswap.config import FineTuningSettings, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import DetectorSettings
from cutswap.sweeps import local_engine as engine_local
from cutswap.sweeps.cell import CellSpec
from cutswap.sweeps.engines import Outcome, Task, run_task, settle, tasks_of
from cutswap.sweeps.grid import applied, axes, read_grid
from cutswap.sweeps.local_engine import LocalEngine
from cutswap.sweeps.store import FolderStore, need_store, open_store, within
from cutswap.sweeps.sweep import PlannedSweep
from tests.helpers.sweeps import CELLS, GRID, IS_LONG, SEEDS, SameProcess, demo, figures, words
from tests.helpers.waiting import until
from tests.robustness.dying_worker import dying_work

ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return demo(tmp_path_factory.mktemp("demo") / "data")


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUTSWAP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    """All cells; the long form on two processes, where the killed one has one."""
    out = tmp_path_factory.mktemp("sweep") / "store"
    with pytest.MonkeyPatch.context() as patch:
        if not IS_LONG:
            patch.setattr("cutswap.commands.sweep.engine_of", lambda _: SameProcess())
        assert main(words(data, str(out), "--processes", "2")) == 0
    return out


def stamps(out: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in (out / "cells").glob("*.json")}


def test_tiles_are_no_axis():
    """A cell's network has learnt from squares; it would be refused after its training."""
    assert "tile_overlap" not in axes()
    with pytest.raises(CutSwapError, match="tile_overlap"):
        read_grid(["tile_overlap=64"])


@pytest.mark.journey
def test_all_cells_are_there_and_a_second_start_computes_nothing(whole, data, tmp_path, capsys):
    found, before = figures(str(whole)), stamps(whole)
    assert len(found) == CELLS
    assert len(set(found.values())) == CELLS  # labels differ
    result = tmp_path / "r.json"
    assert main([*words(data, str(whole)), "--json", str(result)]) == 0
    assert json.loads(result.read_text())["computed"] == 0
    assert f"{CELLS} done, 0 to compute" in capsys.readouterr().out
    assert stamps(whole) == before
    lines = (whole / "results.csv").read_text().splitlines()
    assert len(lines) == 1 + CELLS // SEEDS


def child_pids(parent: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(
                line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line
            )
        except OSError:
            continue
        command = (status.parent / "cmdline").read_bytes().decode()
        if int(lines["PPid"]) == parent and "spawn_main" in command:
            found.append(int(status.parent.name))
    return found


@pytest.mark.skipif("CUTSWAP_KILLS" not in os.environ, reason="a minute: make test-kills")
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="workers are found in /proc")
def test_a_killed_worker_and_a_killed_driver_lose_no_cell(whole, data, tmp_path):
    out = tmp_path / "store"
    line = [sys.executable, "-m", "cutswap", *words(data, str(out), "--processes", "1")]
    driver = subprocess.Popen(line, env=ENV, stdout=subprocess.DEVNULL)
    try:
        until(lambda: len(stamps(out)) >= 3 if (out / "cells").is_dir() else False, 120)
        (worker,) = child_pids(driver.pid)
        os.kill(worker, signal.SIGKILL)
        at = len(stamps(out))
        until(lambda: len(stamps(out)) >= at + 3, 120)  # another took its place
        (second,) = child_pids(driver.pid)
        assert second != worker
    finally:
        driver.kill()
        driver.wait()
    until(lambda: not Path(f"/proc/{second}").exists(), 20)  # it leaves with its driver
    before = stamps(out)
    assert 6 <= len(before) < CELLS
    result = tmp_path / "r.json"
    again = subprocess.run([*line, "--json", str(result)], env=ENV, stdout=subprocess.DEVNULL)
    assert again.returncode == 0
    assert json.loads(result.read_text())["computed"] == CELLS - len(before)
    assert {k: v for k, v in stamps(out).items() if k in before} == before
    assert figures(str(out)) == figures(str(whole))  # one process or two, killed or not


@pytest.mark.journey
def test_a_failing_cell_is_retried_then_recorded_and_the_rest_goes_on(
    data, tmp_path, capsys, monkeypatch
):
    broken = tmp_path / "data"
    for category in ("leather", "hex_nut"):
        shutil.copytree(data / category, broken / category)
    photo = next((broken / "leather/test/good").glob("*.png"))
    whole = photo.read_bytes()
    photo.write_bytes(b"no photo")
    out = tmp_path / "store"
    line = words(broken, str(out), "--retries", "1")
    line[line.index(GRID)] = "k=1"
    assert main(line) == 1
    said = capsys.readouterr().out
    assert said.count("FAILED after 2 attempts") == SEEDS
    records = [FolderStore(out).read(f"cells/{n}") for n in FolderStore(out).names("cells")]
    assert sorted(r["state"] for r in records) == ["done"] * SEEDS + ["failed"] * SEEDS
    assert all(photo.name in r["error"] for r in records if r["state"] == "failed")
    photo.write_bytes(whole)
    monkeypatch.setattr("cutswap.commands.sweep.engine_of", lambda _: SameProcess())
    assert main(line) == 0


@pytest.mark.parametrize(("deaths", "retries", "attempts"), [(1, 1, 2), (2, 1, 2), (0, 1, 1)])
def test_a_task_whose_process_dies_goes_to_another(
    tmp_path, monkeypatch, deaths, retries, attempts
):
    """The short form of the killed sweep: processes that end themselves, so many times."""
    monkeypatch.setattr(engine_local, "_work", dying_work)
    fragile, sound = Task(str(deaths), ("a",), str(tmp_path)), Task("0", ("b",), str(tmp_path))
    ended = {o.task: o for o in LocalEngine(1, retries).run([fragile, sound], lambda: False)}
    assert set(ended) == {fragile, sound}
    assert (ended[sound].error, ended[sound].attempts) == ("", 1)
    assert ended[fragile].attempts == attempts
    assert ("its process died (exit code -9)" in ended[fragile].error) == (deaths > retries)


def test_early_workers_are_used_and_the_rest_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_local, "_work", dying_work)
    task = Task("0", ("a",), str(tmp_path))
    with engine_local.early_workers(2) as early:
        first, second = (worker.process for worker in early)
        (outcome,) = LocalEngine(1, 0, early).run([task], lambda: False)
        assert (outcome.error, outcome.attempts) == ("", 1)
        assert early[0].pipe.closed
        assert not first.is_alive()  # it did the task, and left with the engine
        assert second.is_alive()
    assert not second.is_alive()


@pytest.mark.parametrize(
    ("line", "count"),
    [
        (["sweep", "--data", "d", "--out", "o", "--processes", "1"], 1),
        (["sweep", "--data", "d", "--out", "o", "--plan"], 0),
        (["sweep", "--data", "d", "--out", "o", "--engine", "ray"], 0),
        (["reproduce", "--data", "d", "--out", "o", "--table", "1"], 0),
        (["reproduce", "--data", "d", "--out", "o", "--table", "1", "--processes", "2"], 2),
        (["demo"], 0),
    ],
)
def test_only_commands_that_will_want_workers_start_them(monkeypatch, line, count):
    started = []
    monkeypatch.setattr(engine_local, "early_workers", lambda n: started.append(n) or nullcontext())
    monkeypatch.setattr(engine_choice.os, "cpu_count", lambda: 8)
    with engine_choice.early_start(parse(line)):
        assert sum(started) == count


@pytest.mark.journey
def test_the_local_engine_gives_up_on_a_task_after_its_retries():
    task = Task("/nowhere", ("{",))
    (outcome,) = LocalEngine(1, retries=1).run([task], lambda: False)
    assert (outcome.task, outcome.attempts) == (task, 2)
    assert "JSONDecodeError" in outcome.error


@pytest.mark.journey
def test_reproduce_uses_the_same_runner(data, tmp_path):
    from cutswap.studies.folder import read_study
    from tests.helpers.sweeps import TINY

    line = [
        "reproduce",
        "--table",
        "1",
        "--data",
        str(data),
        "--categories",
        "leather",
        "--seeds",
        "1",
        "--steps-per-epoch",
        "1",
        *TINY,
    ]
    assert main([*line, "--out", str(tmp_path / "one")]) == 0
    assert main([*line, "--out", str(tmp_path / "two"), "--processes", "2"]) == 0
    one, two = read_study(tmp_path / "one"), read_study(tmp_path / "two")
    assert two.state == "finished"
    assert {i: r.metrics for i, r in one.results.items()} == {
        i: r.metrics for i, r in two.results.items()
    }


# Refused before anything starts


def test_all_problems_of_a_grid_are_listed_at_once(data, tmp_path, capsys):
    line = words(data, str(tmp_path / "store"))
    at = line.index(GRID)
    line[at : at + 1] = ["k=0,4", "banana=1", "layers=2,99", "learning_rate=-1", "k=2", "coreset="]
    assert main(line) == 2
    said = capsys.readouterr().err
    for part in (
        "6 problems",
        "k=0: expected a whole number >= 1",
        "banana: no such setting",
        "layers=99: expected some of 2, 4",
        "learning_rate=-1: expected a number > 0",
        "k: named twice",
        "coreset: no values",
    ):
        assert part in said
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        ([], [""]),
        (["k=1..3"], ["k=1", "k=2", "k=3"]),
        (["k=2", "layers=4+16,30"], ["k=2, layers=4+16", "k=2, layers=30"]),
    ],
)
def test_a_grid_is_every_combination(words, labels):
    assert [p.label for p in read_grid(words)] == labels


def test_values_arrive_as_settings_take_them():
    (point,) = read_grid(["layers=4+16", "area=0.02+0.3", "freeze_batch_norm=no", "jitter=none"])
    assert dict(point.values) == {
        "layers": ("4", "16"),
        "area": (0.02, 0.3),
        "freeze_batch_norm": False,
        "jitter": None,
    }


@pytest.mark.parametrize("text", ["k=6..1", "k=1..x", "k=1..5000", "k=1,1"])
def test_bad_ranges_are_refused(text):
    with pytest.raises(CutSwapError, match="1 problem"):
        read_grid([text])


def test_too_many_combinations_are_refused():
    with pytest.raises(CutSwapError, match="115,200 combinations; at most 100,000"):
        read_grid(["k=1..64", "epochs=1..900", "batch_size=2,4"])


def test_families_without_saliency_are_one_cell_whatever_k():
    base = (FineTuningSettings(), PatchCoreSettings())
    found = [applied(p, *base)[0] for p in read_grid(["augment=nsa,cutswap", "k=1,2"])]
    assert found[0] == found[1]
    assert found[2] != found[3]


def test_settings_that_do_not_go_together_are_listed(data, tmp_path, capsys, monkeypatch):
    def refusing(*_):
        raise CutSwapError("k", expected="no", found="yes", fix="none")

    monkeypatch.setattr("cutswap.sweeps.sweep.applied", refusing)
    assert main(words(data, str(tmp_path / "store"))) == 2
    said = capsys.readouterr().err
    assert f"{CELLS // SEEDS // 2} problems" in said
    assert "k=2: k: expected no" in said
    assert not (tmp_path / "store").exists()


def test_unknown_categories_are_listed(data, tmp_path, capsys):
    line = words(data, str(tmp_path / "store"))
    line[line.index("leather,hex_nut")] = "leather,screw,bolt"
    assert main(line) == 2
    said = capsys.readouterr().err
    assert "screw: no such category" in said
    assert "bolt: no such category" in said
    assert not (tmp_path / "store").exists()


def test_a_store_that_does_not_answer_is_told_in_time():
    began = time.monotonic()
    with pytest.raises(CutSwapError, match="an answer within 0.2 s.*--engine local"):
        within(0.2, lambda: time.sleep(30), "store")
    assert time.monotonic() - began < 5


def test_a_store_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CutSwapError, match="write"):
        need_store(FolderStore(tmp_path / "file" / "store"))


def test_a_store_that_forgets_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(FolderStore, "read", lambda *_: None)
    with pytest.raises(CutSwapError, match="read what was written"):
        need_store(FolderStore(tmp_path))


def test_a_protocol_without_a_package_says_which():
    with pytest.raises(CutSwapError, match="URL that fsspec can open"):
        open_store("nonsense://x")


def test_a_result_that_vanished_is_a_failure(tmp_path):
    store = FolderStore(tmp_path / "store")
    spec = CellSpec(
        "a1", "x", "/", "c", FineTuningSettings(), PatchCoreSettings(), seed=0, run=""
    ).to_json()
    (record,) = settle(store, Outcome(Task(store.url, (spec,)))).values()
    assert (record["state"], record["error"]) == ("failed", "its result cannot be read back")


@pytest.mark.parametrize(
    ("held", "is_computed"),
    [
        (None, True),
        ({"id": "a1", "state": "done"}, False),
        ({"id": "a1", "state": "failed"}, True),
        ({"id": "b2", "state": "done"}, True),  # a copy under another name
        ("no record", True),
    ],
)
def test_only_what_is_not_done_is_computed(tmp_path, monkeypatch, held, is_computed):
    """By the plan, and by the task itself, as it may be started twice."""
    store = FolderStore(tmp_path / "store")
    if held is not None:
        store.write("cells/a1", held)
    spec = CellSpec("a1", "x", "/", "c", FineTuningSettings(), PatchCoreSettings(), 0, "")
    assert bool(PlannedSweep({"a1": spec}, (), {}).left(store)) == is_computed
    asked = list[str]()
    monkeypatch.setattr(CellSpec, "check", lambda _: None)
    monkeypatch.setattr(
        "cutswap.sweeps.cell.compute_cell", lambda s, *_, **__: asked.append(s.id) or {}
    )
    assert run_task(Task(store.url, (spec.to_json(),)).to_json())
    assert asked == ["a1"] * is_computed
    assert store.read("cells/a1")["state"] == "done"


def test_a_failed_record_of_an_earlier_start_is_written_anew(tmp_path):
    store = FolderStore(tmp_path / "store")
    store.write("cells/a1", {"id": "a1", "state": "failed", "error": "old"})
    spec = CellSpec("a1", "x", "/", "c", FineTuningSettings(), PatchCoreSettings(), 0, "")
    settle(store, Outcome(Task(store.url, (spec.to_json(),)), "new", 3))
    assert (store.read("cells/a1")["error"], store.read("cells/a1")["attempts"]) == ("new", 3)


def test_cells_of_one_network_are_one_task():
    def spec(identity: str, run: str) -> CellSpec:
        return CellSpec(identity, "x", "/", "c", FineTuningSettings(), PatchCoreSettings(), 0, run)

    cells = [spec("a", "r"), spec("b", ""), spec("c", "r"), spec("d", ""), spec("e", "s")]
    found = [[s.id for s in t.specs()] for t in tasks_of(cells, "/store")]
    assert found == [["a", "c"], ["b"], ["d"], ["e"]]


def test_a_cell_crosses_process_borders_whole():
    spec = CellSpec(
        "a1",
        "x",
        "/",
        "c",
        FineTuningSettings(),
        PatchCoreSettings(coreset=0.5),
        seed=3,
        run="r",
        skip_bad=True,
        detector="stfpm",
        detector_settings=DetectorSettings(epochs=7),
    )
    assert CellSpec.from_json(spec.to_json()) == spec
