"""The Train page where SPD is the objective: form, price, command, panel and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from app.train.curves import curves
from app.train.estimate import estimate
from app.train.seen import VIEWS
from cutswap.commands.parser import parse
from cutswap.config import SPD_VIEWS, TrainingSettings
from cutswap.runs.queue import JobQueue
from cutswap.runs.seen import write_seen
from cutswap.runs.states import read_run
from cutswap.training.flags import finetuning_settings
from cutswap.utils.files import write_json
from tests.app.train.test_heads import button, choose, labels
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import lines, write_run


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    return small_app(tmp_path, monkeypatch)


def test_the_form_asks_what_spd_has_and_the_job_is_that(monkeypatch):
    started = []
    monkeypatch.setattr(JobQueue, "add", lambda _, __, words, *___, **____: started.append(words))
    at = choose(open_page("train"), "SPD")
    assert_alive(at)
    assert {"Base loss", "Recipe", "Epochs", "Batch", "SPD weight"} <= labels(at)
    assert not {"Negatives", "Classes", "Anchors", "Clusters K"} & labels(at)
    next(s for s in at.selectbox if s.label == "Base loss").set_value("simclr").run()
    next(n for n in at.number_input if n.label == "SPD weight").set_value(0.5).run()
    assert_alive(at)
    (command,) = [c.value for c in at.code if "finetune" in c.value]
    assert "--objective=spd" in command
    assert "part-spd-1" in command
    button(at, "Start").click().run()
    asked = finetuning_settings(parse(started[0]))
    assert asked.is_spd
    assert (asked.spd.base, asked.spd.weight) == ("simclr", 0.5)


def spd_run(path: Path) -> Path:
    """A finished run, as far as lists and panels read it."""
    write_run(path)
    record = json.loads((path / "settings.json").read_text())
    record["training"]["objective"] = "spd"
    write_json(path / "settings.json", record)
    (path / "metrics.jsonl").write_text(lines(10).replace('"accuracy": 0.5', '"accuracy": 0.75'))
    photos = torch.zeros(2, 5, 8, 8, 3, dtype=torch.uint8)
    write_seen(path, 10, photos, torch.tensor([[0.2, 0.3, 1.0, 0.9, 0.6]] * 2))
    return path


def test_its_panel_says_what_it_learns_and_shows_its_views(tmp_path):
    write_run(tmp_path / "runs/other")
    spd_run(tmp_path / "runs/mine")
    at = open_page("train")
    assert_alive(at)
    said = texts(at)
    assert "**mine** on bolt · SPD · done" in said
    (metric,) = [m for m in at.metric if m.label == "Weak nearer"]
    assert (metric.value, metric.delta) == ("0.75", "+0.25 to chance")
    assert "how alike it found each to the photo" in said
    assert "--objective=spd" in said
    (table,) = [d.value for d in at.dataframe if "trains" in d.value.columns][-1:]
    assert sorted(table["trains"]) == ["backbone", "backbone, SPD"]


def test_its_curve_has_the_chance_of_two_views():
    told = [{"step": s, "loss": -0.5, "accuracy": 0.8} for s in (1, 2)]
    figure = curves(told, is_spd=True)
    assert [t.name for t in figure.data] == ["loss", "weak nearer"]
    assert [shape.y0 for shape in figure.layout.shapes] == [0.5]


def test_five_views_are_priced_and_another_objective_tells_no_speed(tmp_path):
    plain = estimate(TrainingSettings(validate=False), 40, [])
    spd = TrainingSettings(objective="spd")
    views = estimate(spd, 40, [])
    assert views.samples * 3 == plain.samples * 5
    path = write_run(tmp_path / "fast")
    write_json(path / "result.json", {"accuracy": 1, "chance": 0.3, "images_per_second": 1000.0})
    assert "fast" in estimate(TrainingSettings(), 40, [read_run(path)]).basis
    assert estimate(spd, 40, [read_run(path)]).basis == views.basis


def test_views_are_named_as_the_trainer_stacks_them():
    assert tuple(name.lower().split()[0] for name in VIEWS) == SPD_VIEWS
