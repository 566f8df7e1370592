"""A study computed on tiny data: once a cell, also when killed, also when one of them fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cutswap.commands.parser import main
from cutswap.runs.heartbeat import STOPPED, exclusive_lock, read_beat
from cutswap.runs.queue import JobQueue
from cutswap.studies.folder import (
    BROKEN,
    FINISHED,
    UNFINISHED,
    cell_file,
    find_studies,
    read_cell,
    read_study,
)
from tests.helpers.datasets import build_category
from tests.helpers.waiting import until

TINY = [
    "--image-size",
    "64",
    "--weights",
    "random",
    "--saliency-backbone",
    "squeezenet1_0",
    "--saliency-weights",
    "random",
    "--epochs",
    "1",
    "--steps-per-epoch",
    "1",
    "--batch-size",
    "2",
    "--hidden",
    "8",
    "--device",
    "cpu",
    "--precision",
    "float32",
    "--quiet",
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("bolt", "nut"):
        build_category(tmp_path / "data" / name, train=3)
    return tmp_path / "data"


def words(data: Path, out: Path, table: str, *more: str, seeds: int = 1) -> list[str]:
    return [
        "reproduce",
        "--table",
        table,
        "--data",
        str(data),
        "--out",
        str(out),
        "--seeds",
        str(seeds),
        *TINY,
        *more,
    ]


def reproduce(data: Path, out: Path, table: str, *more: str, seeds: int = 1) -> tuple[int, dict]:
    result = out.parent / "result.json"
    status = main([*words(data, out, table, *more, seeds=seeds), "--json", str(result)])
    return status, json.loads(result.read_text())


def stamps(out: Path) -> dict[str, int]:
    files = [*(out / "cells").iterdir(), *(out / "runs").glob("*/backbone.safetensors")]
    return {str(f.relative_to(out)): f.stat().st_mtime_ns for f in files}


@pytest.mark.journey
def test_a_finished_cell_is_never_computed_again(data, tmp_path, capsys):
    out = tmp_path / "study"
    status, result = reproduce(data, out, "1", "--categories", "bolt")
    assert (status, result["asked"], result["computed"], result["done"]) == (0, 3, 3, 3)
    said = capsys.readouterr().out
    assert said.index("3 to compute") < said.index("[1/3]")  # the plan comes first
    assert "time left: about" in said
    assert len(list((out / "runs").iterdir())) == 2  # the untuned network is no run
    assert not list((out / "runs").glob("*/checkpoint.safetensors"))
    for name in ("report.html", "study.csv", "study.tex"):
        assert (out / name).stat().st_size > 100
    before = stamps(out)
    assert read_study(out).state == FINISHED

    status, result = reproduce(data, out, "1", "--categories", "bolt")
    assert (status, result["computed"]) == (0, 0)
    assert stamps(out) == before

    # The other ratio needs no other network, and K = 4 of Table V is there already.
    status, result = reproduce(data, out, "2,6", "--categories", "bolt")
    assert (status, result["asked"], result["computed"]) == (0, 6, 5)
    assert len(list((out / "runs").iterdir())) == 2 + 2
    assert {k: v for k, v in stamps(out).items() if k in before} == before
    study = read_study(out)
    assert study.tables == ("I", "II", "VI")  # earlier cells are kept
    assert study.state == FINISHED

    # Other settings are other cells; the old files stay.
    status, result = reproduce(data, out, "1", "--categories", "bolt", "--batch-size", "1")
    assert (status, result["computed"]) == (0, 2)
    assert read_study(out).tables == ("I",)
    assert {k: v for k, v in stamps(out).items() if k in before} == before


def test_a_plan_alone_writes_nothing(data, tmp_path, capsys):
    status, result = reproduce(data, tmp_path / "study", "5,6", "--plan", seeds=2)
    said = capsys.readouterr().out
    assert (status, result["asked"]) == (0, 2 * 2 * 8)
    assert "36 cells, 32 different" in said
    assert "32 networks to tune" in said
    assert not (tmp_path / "study").exists()


@pytest.mark.journey
def test_killed_and_started_again_it_computes_only_what_is_missing(data, tmp_path):
    out = tmp_path / "study"
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "cutswap", *words(data, out, "6", "--categories", "bolt")]
    # Long enough a training that the blow falls into the middle of one.
    line += ["--steps-per-epoch", "12", "--checkpoint-every", "2"]
    child = subprocess.Popen(line, env=env)
    cells = out / "cells"
    try:
        until(lambda: cells.is_dir() and any(cells.glob("*.json")), 120)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    study = read_study(out)
    done = study.count("done")
    assert 1 <= done < 3
    assert study.state == UNFINISHED
    before = stamps(out)
    finished = {k for k in before if k.startswith("cells/") and k.endswith(".json")}
    again = subprocess.run([*line, "--json", str(tmp_path / "r.json")], env=env, check=True)
    result = json.loads((tmp_path / "r.json").read_text())
    assert again.returncode == 0
    assert (result["asked"], result["computed"]) == (3, 3 - done)
    after = stamps(out)
    assert {k: after[k] for k in finished} == {k: before[k] for k in finished}
    assert read_study(out).state == FINISHED


@pytest.mark.journey
def test_a_stopped_study_says_so_and_goes_on(data, tmp_path):
    out = tmp_path / "study"
    line = [sys.executable, "-m", "cutswap", *words(data, out, "6", "--categories", "bolt")]
    line += ["--steps-per-epoch", "400"]
    child = subprocess.Popen(line, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        until(lambda: any(out.glob("runs/*/metrics.jsonl")), 120)
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 130
    finally:
        child.kill()
    beat = read_beat(out)
    assert beat is not None
    assert (beat.how, beat.doing) == (STOPPED, "after cell 0 of 3")
    assert list(out.glob("runs/*/checkpoint.safetensors"))


@pytest.mark.journey
def test_a_network_half_tuned_with_its_weights_elsewhere_is_begun_anew(data, tmp_path):
    out = tmp_path / "study"
    reproduce(data, out, "1", "--categories", "bolt")
    (run,) = (out / "runs").glob("bolt-cutswap-*")
    (cell,) = [c for c in (out / "cells").iterdir() if run.name in c.read_text()]
    wanted = {k: v for k, v in json.loads(cell.read_text()).items() if k == "metrics"}
    cell.unlink()
    (run / "result.json").unlink()
    settings = json.loads((run / "settings.json").read_text())
    settings["training"]["weights"] = "/moved/since/then.safetensors"
    (run / "settings.json").write_text(json.dumps(settings))
    status, result = reproduce(data, out, "1", "--categories", "bolt")
    assert (status, result["computed"], result["failed"]) == (0, 1, [])
    assert wanted.items() <= json.loads(cell.read_text()).items()
    assert json.loads((run / "settings.json").read_text())["training"]["weights"] == "random"


@pytest.mark.journey
def test_a_cell_that_fails_is_written_down_and_the_others_go_on(data, tmp_path, capsys):
    out = tmp_path / "study"
    photo = data / "nut/test/crack/000.png"
    whole = photo.read_bytes()
    photo.write_bytes(b"no photo")
    status, result = reproduce(data, out, "1")
    assert (status, result["done"], len(result["failed"])) == (1, 3, 3)
    assert "FAILED" in capsys.readouterr().out
    assert all("nut" in f["cell"] and "000.png" in f["error"] for f in result["failed"])
    study = read_study(out)
    assert (study.count("done"), study.count("failed"), study.state) == (3, 3, UNFINISHED)
    assert "000.png" in (out / "report.html").read_text()

    photo.write_bytes(whole)  # mended: those exclusive_lock are computed, under their new content
    status, result = reproduce(data, out, "1")
    assert (status, result["computed"], result["failed"]) == (0, 3, [])
    assert read_study(out).state == FINISHED


@pytest.mark.journey
def test_a_damaged_cell_is_computed_again(data, tmp_path):
    out = tmp_path / "study"
    reproduce(data, out, "1", "--categories", "bolt")
    one = read_study(out).cells[0]
    for text in ("{", "[]", '{"id": "other", "state": "done"}', '{"state": 3}'):
        cell_file(out, one.id).write_text(text)
        assert read_cell(out, one.id).state == "missing"
    record = {"id": one.id, "state": "done", "seconds": 1, "metrics": {"image_auroc": 1.7}}
    cell_file(out, one.id).write_text(json.dumps(record))
    assert read_cell(out, one.id).state == "missing"
    status, result = reproduce(data, out, "1", "--categories", "bolt")
    assert (status, result["computed"]) == (0, 1)
    # So is one that failed.
    failed = {"id": one.id, "state": "failed", "error": "the disk was full"}
    cell_file(out, one.id).write_text(json.dumps(failed))
    assert read_cell(out, one.id).error == "the disk was full"
    status, result = reproduce(data, out, "1", "--categories", "bolt")
    assert (status, result["computed"]) == (0, 1)
    assert read_study(out).state == FINISHED


def test_two_do_not_compute_one_study(data, tmp_path, capsys):
    out = tmp_path / "study"
    with exclusive_lock(out):
        status = main(words(data, out, "1"))
    assert status == 2
    assert "nobody else writes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--table", "9"], "1 to 8"),
        (["--categories", "screw"], "one of bolt, nut"),
        (["--weights", "nowhere.pth"], "nowhere.pth"),
        (["--saliency-backbone", "lenet"], "squeezenet1_0"),
        (["--layers", "4,12", "--table", "7"], "name five with --layers"),
        (["--epochs", "0"], ">= 1"),
    ],
)
def test_mistakes_are_refused_before_the_first_cell(flags, said, data, tmp_path, capsys):
    status = main([*words(data, tmp_path / "study", "1"), *flags])
    assert status == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_a_study_can_be_queued_from_a_terminal(data, tmp_path, monkeypatch):
    monkeypatch.setattr("cutswap.commands.jobs.wake", lambda _queue: None)
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    line = words(Path("data"), Path("runs/s"), "5,6")
    assert main(["jobs", "--runs", str(runs), "add", *line]) == 0
    (job,) = JobQueue(runs).active()
    assert (job.run, job.device, job.command[:3]) == (
        runs / "s",
        "cpu",
        ("reproduce", "--table", "5,6"),
    )
    assert str(data) in job.command
    with pytest.raises(SystemExit):  # refused now, not at night
        main(["jobs", "--runs", str(runs), "add", *line, "--banana"])


# Reading


def test_a_broken_study_says_why_and_hides_no_other(tmp_path):
    for name, text in {
        "torn": "{",
        "list": "[]",
        "other": '{"kind": "run"}',
        "empty": '{"kind": "study"}',
        "away": '{"kind": "study", "settings": {}, "data": {}, "root": "", "weights": {}, "cells":'
        ' [{"table": "V", "row": "K=1", "method": "m", "category": "c", "coreset": 0.1, "seed": 0,'
        ' "id": "../../x", "run": ""}]}',
    }.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "study.json").write_text(text)
    found = find_studies(tmp_path / "runs")
    assert [s.name for s in found] == ["away", "empty", "list", "other", "torn"]
    assert {s.state for s in found} == {BROKEN}
    assert all(s.reason.startswith("study.json: ") for s in found)
    assert find_studies(tmp_path / "nothing") == ()


def test_a_broken_study_is_not_written_over(data, tmp_path, capsys):
    out = tmp_path / "study"
    out.mkdir()
    (out / "study.json").write_text("{")
    assert main(words(data, out, "1")) == 2
    assert "delete study.json" in capsys.readouterr().err
    assert (out / "study.json").read_text() == "{"
