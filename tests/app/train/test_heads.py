"""The Train page where a head is trained: its form, price, command, figures and resumption."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.train.curves import curves
from app.train.estimate import estimate
from app.train.head_form import UPDATES, head_estimate
from cutswap.commands.parser import parse
from cutswap.config import HEAD_JITTER, HeadSettings, TrainingSettings
from cutswap.runs.queue import JobQueue
from cutswap.runs.states import read_run
from cutswap.training.flags import finetuning_settings
from cutswap.utils.files import write_json
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import write_run
from tests.helpers.waiting import until


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    return small_app(tmp_path, monkeypatch)


def head_run(path: Path, kind: str = "projector", **result: object) -> Path:
    """A finished run of a head, as far as lists and panels read it."""
    write_run(path)
    settings = json.loads((path / "settings.json").read_text())
    settings["head"] = HeadSettings(train=kind).to_dict()
    write_json(path / "settings.json", settings)
    told = {"trained": kind, "accuracy": 0.9, "chance": 0.5, "images_per_second": 50.0}
    write_json(path / "result.json", {**told, **result})
    return path


def button(at, label: str):
    (found,) = [b for b in at.button if b.label == label]
    return found


def labels(at) -> set[str]:
    kinds = (at.number_input, at.selectbox, at.text_input)
    return {element.label for kind in kinds for element in kind}


def choose(at, what: str):
    control = next(c for c in at.button_group if c.label == "What is trained")
    return control.set_value(what).run()


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("kind", ["projector", "discriminator"])
def test_the_form_asks_what_a_head_has_and_the_command_says_it(kind):
    at = open_page("train")
    assert {"Epochs", "Batch", "Recipe"} <= labels(at)
    at = choose(at, kind)
    assert_alive(at)
    assert not {"Epochs", "Updates per epoch", "Batch", "Recipe"} & labels(at)
    assert f"part-{kind}-1" in [t.value for t in at.text_input]
    (line,) = [c.value for c in at.code if "finetune" in c.value]
    options = parse(line.replace("\\\n", " ").split("python -m cutswap ")[1].split())
    settings = finetuning_settings(options)
    assert settings.head == HeadSettings(train=kind, updates=UPDATES["1-minute demo"])
    assert settings.weak.jitter == HEAD_JITTER
    assert settings.training == TrainingSettings.from_dict(settings.training.to_dict())
    at = choose(at, "backbone")
    assert_alive(at)
    assert {"Epochs", "Batch", "Recipe"} <= labels(at)
    assert "--train" not in next(c.value for c in at.code if "finetune" in c.value)


@pytest.mark.usefixtures("root")
def test_a_gaussian_has_no_negatives_no_updates_and_no_length():
    at = choose(open_page("train"), "gaussian")
    assert_alive(at)
    gone = {"Negatives", "Updates", "Epochs", "Recipe", "Anchors", "Classes"}
    assert not gone & labels(at)
    assert not [c for c in at.button_group if c.label == "Length"]
    assert "no updates: about" in texts(at)
    (line,) = [c.value for c in at.code if "finetune" in c.value]
    options = parse(line.replace("\\\n", " ").split("python -m cutswap ")[1].split())
    assert finetuning_settings(options).head == HeadSettings(train="gaussian")
    at = choose(at, "projector")
    assert_alive(at)
    assert {"Negatives", "Updates", "Anchors"} <= labels(at)


@pytest.mark.usefixtures("root")
def test_a_measured_head_says_that_it_learnt_nothing(tmp_path):
    path = head_run(tmp_path / "runs/bolt", "gaussian")
    write_json(path / "result.json", {"trained": "gaussian", "updates": 0, "held_out": 1})
    (path / "metrics.jsonl").unlink()
    at = open_page("train")
    assert_alive(at)
    assert "**bolt** on bolt · gaussian · done" in texts(at)
    assert "Nothing was learnt: this head measures" in texts(at)
    assert button(at, "Open in Inspect")


@pytest.mark.usefixtures("root")
def test_a_preset_sets_the_updates():
    at = choose(open_page("train"), "projector")
    lengths = next(c for c in at.button_group if c.label == "Length")
    at = lengths.set_value("Command line's default").run()
    assert_alive(at)
    (updates,) = [n.value for n in at.number_input if n.label == "Updates"]
    assert updates == HeadSettings().updates
    assert f"{2 * updates} updates" in texts(at)


def test_a_started_head_waits_in_the_queue_under_its_command(root, tmp_path):
    (root / "part/train/good/000.png").write_bytes(b"no photo")  # so that the job ends soon
    at = choose(open_page("train"), "projector")
    next(c for c in at.checkbox if c.label == "Leave out unusable files").check().run()
    at = button(at, "Start").click().run()
    assert_alive(at)
    queue = JobQueue(tmp_path / "runs")
    job = queue.of(tmp_path / "runs/part-projector-1")
    assert job is not None
    assert {"finetune", "--train=projector"} <= set(job.command)
    queue.stop(job.run, by_force=True)
    until(lambda: not queue.active(), 300)


@pytest.mark.usefixtures("root")
def test_a_finished_head_says_what_it_is_and_how_well_it_separates(tmp_path):
    head_run(tmp_path / "runs/bolt")
    at = open_page("train")
    assert_alive(at)
    assert "**bolt** on bolt · projector · done" in texts(at)
    separation = next(m for m in at.metric if m.label == "Patch separation")
    assert (separation.value, separation.delta) == ("0.50", "+0.00 to chance")
    assert button(at, "Open in Inspect")
    assert "--train=projector" in texts(at)


@pytest.mark.usefixtures("root")
def test_an_unfinished_head_is_resumed_as_what_it_is(tmp_path):
    path = head_run(tmp_path / "runs/bolt", "discriminator")
    (path / "result.json").unlink()
    at = open_page("train")
    assert_alive(at)
    assert "interrupted, can be resumed" in texts(at)
    button(at, "Resume").click().run()
    queue = JobQueue(tmp_path / "runs")
    job = queue.of(path)
    assert job is not None
    assert "--train=discriminator" in job.command
    until(lambda: not queue.active(), 300)  # its data do not exist: it says so and ends


@pytest.mark.journey
@pytest.mark.usefixtures("root")
def test_head_settings_edited_by_hand_are_told(tmp_path):
    path = head_run(tmp_path / "runs/bolt")
    (path / "result.json").unlink()
    settings = json.loads((path / "settings.json").read_text())
    settings["head"]["updates"] = -1
    write_json(path / "settings.json", settings)
    at = open_page("train")
    assert_alive(at)
    assert "until then it cannot be resumed" in "".join(w.value for w in at.warning)
    assert not [b for b in at.button if b.label == "Resume"]


@pytest.mark.usefixtures("root")
def test_runs_of_both_sorts_are_listed_and_compared(tmp_path):
    head_run(tmp_path / "runs/first")
    write_run(tmp_path / "runs/second")
    at = open_page("train")
    assert_alive(at)
    tables = [d.value for d in at.dataframe if "trains" in d.value.columns]
    assert sorted(tables[-1]["trains"]) == ["backbone", "projector"]


def test_chance_of_a_head_is_a_half():
    line = {"step": 1, "loss": 1.0, "accuracy": 0.7, "learning_rate": 0.1}
    assert curves([line], is_head=True).layout.shapes[0].y0 == 0.5
    assert curves([line]).layout.shapes[0].y0 == pytest.approx(1 / 3)


class TestPrice:
    head, training = HeadSettings(train="projector", updates=100), TrainingSettings()

    def test_counts_the_trial_and_the_head(self):
        price = head_estimate(self.head, self.training, 40, [])
        assert (price.updates, price.samples) == (200, 200 * 16)
        assert price.seconds == pytest.approx(7 + 40 * 0.25 + 120 * 0.075 + 8 * 0.65 + 3200 / 115)

    def test_follows_a_finished_head_of_its_kind_and_nothing_else(self, tmp_path):
        usual = head_estimate(self.head, self.training, 40, [])
        projector = read_run(head_run(tmp_path / "p", images_per_second=1.0))
        other = read_run(head_run(tmp_path / "d", "discriminator", images_per_second=2.0))
        tuned = replace(read_run(write_run(tmp_path / "t")), result={"images_per_second": 3.0})
        found = head_estimate(self.head, self.training, 40, [other, tuned, projector])
        assert found.seconds - usual.seconds == pytest.approx(3200 - 3200 / 115)
        assert "p's" in found.basis
        assert head_estimate(self.head, self.training, 40, [other, tuned]) == usual

    def test_the_price_of_tuning_does_not_follow_a_head(self, tmp_path):
        usual = estimate(self.training, 40, [])
        run = read_run(head_run(tmp_path / "p", images_per_second=1.0))
        assert estimate(self.training, 40, [run]) == usual
