"""The Train page in every state: refused, started, at work, stopped, resumed, done, broken."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.shared import jobs as shared_jobs
from app.shared import workspace
from app.shared.selection import found_runs
from app.train import curves as run_chart
from app.train import estimate as run_estimate
from app.train import form as run_form
from cutswap.commands.parser import parse
from cutswap.config import RECIPES, TrainingSettings
from cutswap.runs.find import find_runs
from cutswap.runs.heartbeat import FAILED, STOPPED, Heart
from cutswap.runs.queue import JobQueue
from cutswap.runs.states import FoundRun, log_file, log_tail, read_run
from cutswap.training.flags import finetuning_settings
from cutswap.utils.processes import Process, this_process
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import write_run
from tests.helpers.waiting import until


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    return small_app(tmp_path, monkeypatch)


@pytest.fixture
def queue(tmp_path) -> Iterator[JobQueue]:
    made = JobQueue(tmp_path / "runs")
    yield made
    for job in made.active():
        if job.by == this_process():  # `at_work`: force would end the tests themselves
            made.finish(job.number, 0)
        else:
            made.stop(job.run, by_force=True)


def button(at, label: str):
    (found,) = [b for b in at.button if b.label == label]
    return found


def wait_for(queue: JobQueue) -> None:
    until(lambda: not queue.active(), 300)


def at_work(queue: JobQueue, name: str) -> None:
    """Let this process be the one at work on a run."""
    job = queue.add(queue.folder / name, ["finetune"], "cpu")
    queue.claim("cpu", this_process())
    assert queue.register(job.number)


# States


@pytest.mark.usefixtures("root")
def test_without_runs_there_is_a_form_and_a_sentence():
    at = open_page("train")
    assert_alive(at)
    assert "No run yet" in at.info[0].value
    assert not button(at, "Start").disabled
    assert "20 updates, 360 samples" in texts(at)
    assert "python -m cutswap finetune --data" in texts(at)


def test_without_data_runs_are_shown_all_the_same(root, tmp_path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_DATA", "")
    shutil.rmtree(root)
    write_run(tmp_path / "runs" / "bolt")
    at = open_page("train")
    assert_alive(at)
    assert "**bolt**" in texts(at)
    assert "full disk" in texts(at)
    assert not [b for b in at.button if b.label == "Start"]


@pytest.mark.usefixtures("root")
def test_a_finished_run_shows_its_figures_and_opens(tmp_path):
    write_run(tmp_path / "runs" / "bolt")
    at = open_page("train")
    assert_alive(at)
    assert "**bolt** on bolt · done" in texts(at)
    assert [m.value for m in at.metric][:2] == ["10 of 10", "0.100"]
    assert button(at, "Open in Inspect")
    assert "--category bolt --seed 0 --out" in texts(at)


@pytest.mark.journey
@pytest.mark.usefixtures("root")
def test_an_unfinished_run_can_be_resumed_with_its_own_command(tmp_path, queue):
    path = write_run(tmp_path / "runs" / "bolt", 4, finished=False)
    settings = json.loads((path / "settings.json").read_text())
    settings["clusters"]["k"] = 2
    (path / "settings.json").write_text(json.dumps(settings))
    at = open_page("train")
    assert_alive(at)
    assert "interrupted, can be resumed" in texts(at)
    button(at, "Resume").click().run()
    assert_alive(at)
    job = queue.of(path)
    assert job is not None
    assert job.command[0] == "finetune"
    assert "--k=2" in job.command
    wait_for(queue)  # its data do not exist: it says so and ends
    at = open_page("train")
    assert_alive(at)
    assert "/data/bolt" in texts(at)


@pytest.mark.usefixtures("root")
def test_a_run_that_was_stopped_killed_or_is_silent_says_so(tmp_path):
    path = write_run(tmp_path / "runs" / "bolt", 4, finished=False)
    Heart(path).end(STOPPED, "after update 4 of 10")
    at = open_page("train")
    assert_alive(at)
    assert "stopped, can be resumed" in texts(at)
    assert button(at, "Resume")
    Heart(path, Process(2**22 - 7, "never", this_process().host)).beat("fine-tuning", 4, 10)
    at = open_page("train")
    assert_alive(at)
    assert "interrupted, can be resumed" in texts(at)
    assert "its process was killed, or the machine restarted" in at.warning[0].value
    beat = {
        **this_process().to_dict(),
        "at": 0,
        "how": "working",
        "doing": "x",
        "done": 1,
        "total": 2,
    }
    (path / "heartbeat.json").write_text(json.dumps(beat))
    at = open_page("train")
    assert_alive(at)
    assert "lives, but has said nothing for" in at.warning[0].value


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(("name", "value"), [("epochs", -1), ("speed", 9), ("ways", "x")])
def test_settings_edited_by_hand_are_told_and_offer_no_resume(tmp_path, name, value):
    path = write_run(tmp_path / "runs" / "bolt", 4, finished=False)
    settings = json.loads((path / "settings.json").read_text())
    settings["training"][name] = value
    (path / "settings.json").write_text(json.dumps(settings))
    at = open_page("train")
    assert_alive(at)
    assert any(name in w.value and "cannot be resumed" in w.value for w in at.warning)
    assert not [b for b in at.button if b.label == "Resume"]


@pytest.mark.usefixtures("root")
def test_a_broken_run_says_why_and_hides_no_other(tmp_path):
    write_run(tmp_path / "runs" / "sound")
    (write_run(tmp_path / "runs" / "torn") / "settings.json").write_text("{ torn")
    at = open_page("train")
    at.selectbox(key=run_form.SHOWN).set_value("torn").run()
    assert_alive(at)
    assert "expected a readable JSON file" in at.warning[0].value
    at.selectbox(key=run_form.SHOWN).set_value("sound").run()
    assert_alive(at)
    assert not at.warning
    assert list(at.dataframe[0].value["state"]) in (["done", "broken"], ["broken", "done"])


@pytest.mark.usefixtures("root")
def test_a_run_that_is_deleted_while_it_is_shown(tmp_path):
    for name in ("one", "two"):
        write_run(tmp_path / "runs" / name)
    at = open_page("train")
    shown = at.selectbox(key=run_form.SHOWN).value
    shutil.rmtree(tmp_path / "runs" / shown)
    at.run()
    assert_alive(at)


@pytest.mark.usefixtures("root")
def test_metrics_edited_by_hand_are_a_reason_not_a_traceback(tmp_path):
    path = write_run(tmp_path / "runs" / "a", finished=False)
    (path / "metrics.jsonl").write_text('{"step": 1, "loss": 1, "accuracy": 1, "steps": "x"}\n')
    assert_alive(open_page("train"))
    text = '{"step": 1, "loss": 1, "accuracy": 1, "class_accuracy": [null], "steps": 2}\n'
    (path / "metrics.jsonl").write_text(text)
    assert_alive(open_page("train"))
    (path / "metrics.jsonl").write_text("hello\n")
    at = open_page("train")
    assert_alive(at)
    assert "metrics.jsonl" in at.warning[0].value


# Starting


@pytest.mark.usefixtures("root")
@pytest.mark.journey
def test_a_run_from_start_to_end(tmp_path, queue):
    at = open_page("train")
    at.number_input(key="train.steps").set_value(2).run()
    at.number_input(key="train.batch").set_value(2).run()
    at.selectbox(key="train.size").set_value(128).run()
    button(at, "Start").click().run()
    assert_alive(at)
    assert "**part-cutswap-1**" in texts(at)
    assert "It will wait for 1 job on the same device" in texts(at)
    wait_for(queue)
    run = read_run(tmp_path / "runs" / "part-cutswap-1")
    assert run.state == "done", log_tail(run.path)
    assert run.settings["training"]["batch_size"] == 2
    assert (
        run.settings["training"]["checkpoint_every"] == run_form.PRESETS["1-minute demo"].checkpoint
    )
    at = open_page("train")
    assert_alive(at)
    assert "done" in texts(at)
    assert "What it saw at update" in texts(at)
    assert "part-cutswap-2" in texts(at)  # the next free name


@pytest.mark.usefixtures("root")
def test_a_second_start_waits_for_its_turn_and_can_be_taken_out(queue):
    at_work(queue, "busy")
    at = open_page("train")
    assert_alive(at)
    assert "**busy** · starting" in texts(at)
    assert button(at, "Stop")
    assert "It will wait for 1 job" in texts(at)
    button(at, "Start").click().run()
    assert_alive(at)
    assert "**part-cutswap-1** · waiting for cpu, 1 before it" in texts(at)
    assert at.text_input[0].value == "part-cutswap-2"  # though that run has no folder yet
    button(at, "Remove from the queue").click().run()
    assert_alive(at)
    assert "taken out of the queue" not in at.error  # it is no failure
    assert "**part-cutswap-1** · stopped, can be resumed" in texts(at)
    assert button(at, "Resume")
    assert [job.run.name for job in queue.active()] == ["busy"]
    queue.finish(queue.active()[0].number, 0)


@pytest.mark.usefixtures("root")
def test_a_process_that_ends_before_the_run_begins_shows_its_words(tmp_path, queue):
    at_work(queue, "early")
    queue.finish(queue.active()[0].number, 2)
    log_file(tmp_path / "runs" / "early").write_text("no such device")
    at = open_page("train")
    assert_alive(at)
    assert "ended before its first word" in at.error[0].value
    assert "no such device" in texts(at)
    assert button(at, "Try again")


@pytest.mark.usefixtures("root")
def test_on_a_network_disk_a_run_of_other_photos_can_begin_anew_beside(
    tmp_path, queue, monkeypatch
):
    monkeypatch.setattr(shared_jobs, "wake", lambda _line: None)  # nothing is to start
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr("cutswap.runs.find.MOUNTS", mounts)
    run = write_run(tmp_path / "runs" / "early", 4, finished=False)
    Heart(run).end(FAILED, "expected the 3 training photos of its photos.json, found others")
    at = open_page("train")
    assert texts(at).count("on a network file system (nfs4 at") == 1
    button(at, "Start again as a new run").click().run()
    assert_alive(at)
    assert "**early-2** · waiting" in texts(at)
    (job,) = queue.active()
    assert job.run == tmp_path / "runs" / "early-2"
    assert job.command[job.command.index("--out") + 1] == str(job.run)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 90, "a b"])
def test_a_name_that_is_none_is_refused(name, tmp_path):
    at = open_page("train")
    (field,) = at.text_input
    field.set_value(name).run()
    assert_alive(at)
    assert "Name" in at.warning[0].value
    assert not [b for b in at.button if b.label == "Start"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("root")
def test_a_name_that_is_taken_is_refused(tmp_path):
    write_run(tmp_path / "runs" / "bolt")
    at = open_page("train")
    at.text_input[0].set_value("bolt").run()
    assert_alive(at)
    assert button(at, "Start").disabled
    assert "bolt is there already" in texts(at)


def test_unusable_files_are_told_before_the_start(root, tmp_path):
    (root / "part/train/good/002.png").write_bytes(b"no picture")
    at = open_page("train")
    button(at, "Start").click().run()
    assert not at.exception
    assert "002" in at.error[0].value
    assert JobQueue(tmp_path / "runs").active() == []


@pytest.mark.usefixtures("root")
def test_presets_fill_the_fields_and_the_recipe_its_settings():
    at = open_page("train")
    at.segmented_control(key="train.preset").set_value("Paper: 256 epochs").run()
    values = {n: at.number_input(key=f"train.{n}").value for n in ("epochs", "steps", "batch")}
    assert values == {"epochs": 256, "steps": 0, "batch": 32}
    at.selectbox(key="train.recipe").set_value("paper").run()
    assert_alive(at)
    assert "--recipe=paper --epochs=256 --batch-size=32" in texts(at)
    assert "pretrained-factor" not in texts(at)  # it comes with the recipe
    at.number_input(key="train.epochs").set_value(3).run()
    assert "3 updates" in texts(at)


@pytest.mark.parametrize(
    ("recipe", "layers", "flags"),
    [
        ("gentle", "layer4", ["--frozen=conv1,bn1,layer1,layer2,layer3"]),
        ("gentle", "all layers", ["--frozen="]),
        ("paper", "layer3 and layer4", ["--recipe=paper", "--frozen=conv1,bn1,layer1,layer2"]),
        ("gentle", None, []),
        ("paper", None, ["--recipe=paper"]),
    ],
)
@pytest.mark.usefixtures("root")
def test_starting_weights_rate_and_trained_layers_reach_the_command(
    recipe, layers, flags, tmp_path
):
    write_run(tmp_path / "runs" / "tuned")
    at = open_page("train")
    at.selectbox(key="train.recipe").set_value(recipe).run()
    command = next(c.value for c in at.code if "finetune" in c.value)
    assert "--weights" not in command
    assert "--frozen" not in command
    assert "--learning-rate" not in command
    if layers is not None:
        at.selectbox(key=f"train.layers.{recipe}").set_value(layers)
    at.number_input(key="train.rate").set_value(0.004)
    at.selectbox(key="train.weights").set_value(str(tmp_path / "runs" / "tuned")).run()
    assert_alive(at)
    line = next(c.value for c in at.code if "finetune" in c.value)  # the form's stands first
    words = shlex.split(line)[3:]
    assert {"--learning-rate=0.004", f"--weights={tmp_path / 'runs/tuned'}"} <= set(words)
    assert [w for w in words if w.startswith(("--recipe", "--frozen"))] == flags
    assert finetuning_settings(parse(words)).training.learning_rate == 0.004


@pytest.mark.usefixtures("root")
def test_a_run_that_went_is_no_starting_point(tmp_path):
    write_run(tmp_path / "runs" / "tuned")
    at = open_page("train")
    at.selectbox(key="train.weights").set_value(str(tmp_path / "runs" / "tuned")).run()
    shutil.rmtree(tmp_path / "runs" / "tuned")
    found_runs.clear()
    at.run()
    assert_alive(at)
    assert at.selectbox(key="train.weights").value == "embedded"


@pytest.mark.parametrize(("what", "has_rate"), [("projector", True), ("gaussian", False)])
@pytest.mark.usefixtures("root")
def test_a_head_has_its_own_rate_and_no_layers(what, has_rate):
    at = open_page("train")
    at.segmented_control(key="train.what").set_value(what).run()
    assert_alive(at)
    assert not [box for box in at.selectbox if box.label == "Trained layers"]
    assert bool([n for n in at.number_input if n.label == "Learning rate"]) == has_rate
    at.selectbox(key="train.weights").set_value("random").run()
    assert "--weights=random" in texts(at)
    if has_rate:
        at.number_input(key="train.head.rate").set_value(0.001).run()
        assert "--head-learning-rate=0.001" in texts(at)


# What it is made of


def test_prices_by_hand():
    settings = TrainingSettings(epochs=2, batch_size=8)
    price = run_estimate.estimate(settings, 20, [])
    assert (price.updates, price.samples) == (6, 144)  # 3 updates a pass, of 8 x 3
    assert price.seconds == pytest.approx(8 + 20 * 0.1 + 144 / 30)
    half = run_estimate.estimate(settings.replace(image_size=128), 20, [])
    assert half.seconds == pytest.approx(8 + 20 * 0.1 / 4 + 144 / 120)
    fixed = run_estimate.estimate(settings.replace(steps_per_epoch=7), 20, [])
    assert fixed.updates == 14
    whole = run_estimate.estimate(settings.replace(frozen=()), 20, [])
    assert whole.seconds == pytest.approx(8 + 20 * 0.1 + 144 / 20)


def test_the_newest_run_like_it_tells_the_speed():
    def run(name: str, speed: object, changed: float, **training) -> FoundRun:
        values = TrainingSettings(**training).to_dict()
        result = {"images_per_second": speed}
        return FoundRun(Path(name), name, "done", "", {"training": values}, 1, 1, result, changed)

    settings = TrainingSettings(epochs=1, steps_per_epoch=10, batch_size=10)
    runs = [
        run("old", 100.0, 1.0),
        run("new", 50.0, 2.0),
        run("gpu", 900.0, 3.0, device="cuda:0"),
        run("odd", "fast", 4.0),
        run("zero", 0, 5.0),
        run("all layers", 25.0, 6.0, frozen=()),
    ]
    price = run_estimate.estimate(settings, 0, runs)
    assert price.seconds == pytest.approx(8 + 300 / 50)
    assert "as fast as new was" in price.sentence()
    small = [run("small", 200.0, 1.0, image_size=128)]  # a quarter of the pixels
    assert run_estimate.estimate(settings, 0, small).seconds == pytest.approx(8 + 300 / 50)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "about 1 s"),
        (40, "about 40 s"),
        (400, "about 7 min"),
        (9000, "about 2.5 h"),
        (260_000, "about 3 days"),
    ],
)
def test_durations(seconds: float, text: str):
    assert run_estimate.duration(seconds) == text


def test_presets_are_settings():
    for preset in run_form.PRESETS.values():
        for recipe in RECIPES:
            TrainingSettings.from_dict(
                {
                    "recipe": recipe,
                    "epochs": preset.epochs,
                    "batch_size": preset.batch,
                    "steps_per_epoch": preset.steps or None,
                    "checkpoint_every": preset.checkpoint,
                    **RECIPES[recipe],
                }
            )


def test_a_long_curve_is_thinned_and_ends_with_the_last_update():
    lines = [
        {"step": s, "loss": 1 / s, "accuracy": 0.5, "class_accuracy": [0.1, 0.2, 0.3]}
        for s in range(1, 1001)
    ]
    groups = run_chart.thinned(lines)
    assert len(groups) == 334
    assert groups[-1][-1]["step"] == 1000
    assert sum(map(len, groups)) == 1000
    figure = run_chart.curves(lines)
    assert [t.name for t in figure.data] == ["loss", "positive", "patch", "scar"]
    assert figure.data[0].y[0] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert figure.data[3].y[-1] == pytest.approx(0.3)
    with_rate = run_chart.curves([{**line, "learning_rate": 0.03} for line in lines])
    assert with_rate.data[-1].name == "learning rate"
    assert set(with_rate.data[-1].y) == {0.03}
    plain = run_chart.curves([{"step": 1, "loss": 1.0, "accuracy": 0.5}])
    assert [t.name for t in plain.data] == ["loss", "accuracy"]


def test_a_smoothed_curve_is_the_mean_around_with_the_raw_one_behind():
    lines = [{"step": s, "loss": float(s % 2), "accuracy": 0.5} for s in range(1, 8)]
    raw, smooth = run_chart.curves(lines, width=3).data[:2]
    assert [*raw.y] == [1, 0, 1, 0, 1, 0, 1]
    assert smooth.y == pytest.approx([1, 2 / 3, 1 / 3, 2 / 3, 1 / 3, 2 / 3, 1])  # ends: alone
    assert raw.opacity is not None
    assert smooth.name == "loss"


def test_the_detector_s_auroc_has_a_row_of_its_own(root, tmp_path):  # noqa: ARG001
    run = write_run(tmp_path / "runs" / "bolt")
    measured = [{"step": s, "auroc": a} for s, a in ((0, 0.5), (5, 0.75), (10, 0.7))]
    (run / "validation.jsonl").write_text("".join(json.dumps(m) + "\n" for m in measured))
    at = open_page("train")
    assert_alive(at)
    (chart,) = at.get("plotly_chart")
    drawn = {line.get("name"): line for line in json.loads(chart.proto.spec)["data"]}
    assert drawn["detector"]["x"] == [0, 5, 10]
    assert drawn["detector"]["y"] == [0.5, 0.75, 0.7]
    (run / "validation.jsonl").write_text('{"step": 1}\n')
    at.run()
    assert_alive(at)
    assert "validation.jsonl" in at.error[0].value
    assert at.get("plotly_chart")  # the rest of the curve stays


@pytest.mark.parametrize(("photos", "is_offered"), [(4, False), (5, True)])
def test_measuring_is_offered_where_photos_can_be_held_out(root, photos, is_offered):
    for number in range(4, photos):
        shutil.copy(root / "part/train/good/000.png", root / f"part/train/good/{number:03d}.png")
    workspace.dataset_of.clear()
    at = open_page("train")
    box = at.checkbox(key="train.validate")
    assert box.disabled == (not is_offered)
    if is_offered:
        box.check().run()
        assert_alive(at)
    assert ("--validate=true" in texts(at)) == is_offered


def test_the_slider_smooths_the_run_s_own_curve(root, tmp_path):  # noqa: ARG001
    write_run(tmp_path / "runs" / "bolt")
    at = open_page("train")
    slider = at.select_slider(key="train.smoothing")
    assert slider.options == ["none", "5 updates"]  # of ten updates no more
    (chart,) = at.get("plotly_chart")
    before = json.loads(chart.proto.spec)["data"]
    slider.set_value(5).run()
    assert_alive(at)
    (chart,) = at.get("plotly_chart")
    assert len(json.loads(chart.proto.spec)["data"]) == len(before) + 2


def test_the_log_of_a_run_is_beside_it(tmp_path):
    write_run(tmp_path / "runs" / "a")
    log_file(tmp_path / "runs" / "a").write_text("x")
    assert [r.name for r in find_runs(tmp_path / "runs").runs] == ["a"]


def test_a_link_to_a_run_that_has_just_ended_finds_it(root, tmp_path):  # noqa: ARG001
    run = write_run(tmp_path / "runs/just-done", 10, finished=True)
    result = (run / "result.json").read_bytes()
    (run / "result.json").unlink()
    open_page("train")  # the list of runs is known now, and good for five seconds
    (run / "result.json").write_bytes(result)
    at = open_page("train", run="just-done")
    assert_alive(at)
    assert at.session_state["run"] == "just-done"
    assert not at.toast
