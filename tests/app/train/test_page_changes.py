"""The Train page while states change under it: jobs that begin, end, or are about to go."""

from __future__ import annotations

import threading

from app.shared import jobs
from app.train import form as run_form
from app.train import panel as run_panel
from app.train import run_list
from cutswap.runs.heartbeat import STOPPED, Heart
from tests.app.train.test_page import at_work, queue, root  # noqa: F401 - fixtures
from tests.helpers.app import assert_alive, open_page, texts
from tests.helpers.runs import write_run


def test_what_is_below_the_form_keeps_its_place_when_a_job_begins(root, queue):  # noqa: ARG001, F811
    """What moved stood there twice while the page was drawn again: the old one and the new."""

    def place_of_start(at) -> int:
        return next(i for i, b in at.main.children.items() if getattr(b, "label", None) == "Start")

    idle = place_of_start(open_page("train"))
    at_work(queue, "a")
    at = open_page("train")
    assert "It will wait for 1 job" in texts(at)
    assert place_of_start(at) == idle


def test_what_is_about_to_go_is_not_waited_for(root, tmp_path, queue):  # noqa: ARG001, F811
    """The process has said its last word, but still lives: the page calls the run stopped."""
    at_work(queue, "a")
    write_run(tmp_path / "runs/a", 3, finished=False)
    Heart(tmp_path / "runs/a").end(STOPPED)
    assert len(queue.active()) == 1
    at = open_page("train")
    assert_alive(at)
    assert "stopped, can be resumed" in texts(at)
    assert "It will wait" not in texts(at)


def test_resume_waits_until_the_stopped_process_is_gone(root, tmp_path, queue):  # noqa: ARG001, F811
    at_work(queue, "a")
    write_run(tmp_path / "runs/a", 3, finished=False)
    Heart(tmp_path / "runs/a").end(STOPPED)
    number = queue.active()[0].number
    gone = threading.Timer(0.5, queue.finish, (number, 0))
    gone.start()
    job = jobs.enqueue(tmp_path / "runs/a", ["finetune"], "cpu")  # refused while it was there
    gone.join()
    assert job.number > number
    queue.stop(job.run)


def test_what_ends_while_the_page_is_drawn_is_found(root, queue, monkeypatch):  # noqa: ARG001, F811
    """The form said that it waits for a job which the list no longer had, and nothing looked."""
    at_work(queue, "a")

    def form_of_a_slow_machine(selected: object) -> None:
        run_form.form(selected)
        for job in queue.active():
            queue.finish(job.number, 0)

    monkeypatch.setattr("app.train.view.form", form_of_a_slow_machine)
    at = open_page("train")
    assert_alive(at)
    assert not queue.active()
    assert "It will wait" not in texts(at)


def test_runs_that_cannot_be_read_are_told_under_their_heading(root, tmp_path):  # noqa: ARG001, F811
    (tmp_path / "runs").write_text("a file")
    at = open_page("train")
    assert_alive(at)
    places = list(at.main.children.values())
    heading = next(i for i, p in enumerate(places) if getattr(p, "value", None) == "Runs")
    assert "expected a folder of runs" in places[heading + 1].value


def test_list_and_panel_never_contradict_each_other(root, tmp_path, queue, monkeypatch):  # noqa: ARG001, F811
    """It ended after the list was drawn: the panel said stopped, the list at work."""
    at_work(queue, "a")
    write_run(tmp_path / "runs/a", 3, finished=False)
    heart = Heart(tmp_path / "runs/a")
    heart.beat("fine-tuning", 3, 10)
    ended: list[bool] = []

    def panel_of_a_slow_machine(*args: object) -> None:
        if not ended:
            ended.append(True)
            heart.end(STOPPED)
        run_panel.panel(*args)

    monkeypatch.setattr(run_list, "panel", panel_of_a_slow_machine)
    at = open_page("train")
    assert_alive(at)
    assert ended
    assert "stopped, can be resumed" in texts(at)
    assert all("at work" not in str(table.value) for table in at.dataframe)
    (rename,) = [p for p in at.get("popover") if p.proto.popover.label == "Rename"]
    assert not rename.proto.popover.disabled


def test_a_started_run_is_told_where_it_was_started_and_on_every_page(root, queue, monkeypatch):  # noqa: ARG001, F811
    monkeypatch.setattr("app.shared.jobs.wake", lambda _: None)  # it waits, as behind another one
    at = open_page("train")
    at.button(key="train.start").click().run()
    assert_alive(at)
    (job,) = queue.active()
    name = job.run.name
    assert f"**{name}** has been started" in at.success[0].value
    assert at.button(key="train.start").label == "Start another"
    for page in ("saliency", "results", "start"):
        at.switch_page(f"../pages/{page}.py").run()
        assert_alive(at)
        assert f"**{name}**: waiting" in "\n".join(m.value for m in at.sidebar.markdown)
    queue.stop(job.run)
    at.run()
    assert_alive(at)
    assert any(f"**{name}** stopped" in toast.value.replace("\\", "") for toast in at.toast)
    assert not [m for m in at.sidebar.markdown if name in m.value]
