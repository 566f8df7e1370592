"""What the Train page shows: a form with presets, and every run with its progress."""

from __future__ import annotations

import re
import shlex
import sys

import plotly.graph_objects as go
import streamlit as st

from app import jobs, workspace
from app.guards import plain_errors
from app.selection import Selection, found_runs
from cutswap.config import RECIPES, TrainingSettings
from cutswap.errors import CutSwapError
from cutswap.runs import DONE, FoundRun, find_runs, training_curve

PRESETS = {  # name: (epochs, updates an epoch or None for one pass, batch)
    "1-minute demo": (1, 30, 6),
    "Laptop": (20, None, 16),
    "Paper, 256 epochs": (256, None, 32),
}
_SECONDS_A_SAMPLE = 0.3  # measured on two cores at 256 pixels in 3-way training: 1.5 to 2 s for 6


def form(selected: Selection) -> None:
    """Settings, the time they will take, the command, and the button."""
    category = selected.category
    preset = st.segmented_control(
        "Length", list(PRESETS), default="1-minute demo", required=True,
        help="How many updates; the paper trains for 256 epochs on a GPU.",
    )  # fmt: skip
    epochs, steps, batch = PRESETS[str(preset)]
    first, second, third, fourth = st.columns(4)
    augment = first.selectbox(
        "Negatives", ("cutswap", "cutpaste"), help="Which fakes the network learns to tell."
    )
    recipe = second.selectbox(
        "Recipe", list(RECIPES),
        help="gentle protects the pretrained layers; paper trains all of them at 0.03.",
    )  # fmt: skip
    seed = third.number_input("Seed", 0, 2**31 - 1, 0, help="Of every draw.")
    name = fourth.text_input(
        "Name", f"{category.name}-{augment}-{recipe}-{seed}", help="Of the folder under runs."
    )
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,80}", name):
        st.warning("A name has letters, digits, - and _, and begins with one of the first two.")
        return
    settings = TrainingSettings(
        augment=augment, recipe=recipe, epochs=epochs, steps_per_epoch=steps, batch_size=batch
    )
    updates = epochs * (steps or max(1, len(category.train) // batch))
    minutes = updates * settings.batch_size * _SECONDS_A_SAMPLE / 60
    st.caption(f"{updates} updates of {batch} x 3: about {minutes:.0f} min on two CPU cores.")
    run = workspace.runs_folder() / name
    flags: list[object] = [
        "finetune", "--data", selected.dataset.root, "--category", category.name,
        "--augment", augment, "--recipe", recipe, "--epochs", epochs, "--batch-size", batch,
        "--seed", int(seed), "--out", run,
    ]  # fmt: skip
    if steps is not None:
        # The default of 50 would never come: a stop within a short run would lose it all.
        flags += ["--steps-per-epoch", steps, "--checkpoint-every", 5]
    command = [sys.executable, "-m", "cutswap", *map(str, flags)]
    if st.button("Start", type="primary", icon=":material/play_arrow:"):
        jobs.jobs_of(workspace.runs_folder()).start(run, command)
        found_runs.clear()
    with st.expander("Do this from the command line", icon=":material/terminal:"):
        st.code(shlex.join(["python", *command[1:]]), language="bash", wrap_lines=True)


def progress() -> None:
    """All runs; asked again every two seconds while one is at work."""
    st.subheader("Runs", anchor=False)
    working = jobs.jobs_of(workspace.runs_folder()).working()
    st.fragment(_runs, run_every=2 if working else None)()


def _runs() -> None:
    folder = workspace.runs_folder()
    registry = jobs.jobs_of(folder)
    working = registry.working()
    runs = find_runs(folder).runs
    shown = {run.path for run in runs}
    if working is not None and working.run not in shown:
        st.info(f"{working.run.name} is starting.", icon=":material/hourglass_top:")
        st.code("\n".join(jobs.log_tail(working.run, 4)) or "no word yet")
    if not runs and working is None:
        st.info("No run yet. Start one above.", icon=":material/model_training:")
    for run in sorted(runs, key=lambda r: -r.changed):
        with st.container(border=True), plain_errors(run.name):
            _run(run, registry, at_work=working is not None and working.run == run.path)


def _run(run: FoundRun, registry: jobs.Jobs, *, at_work: bool) -> None:
    title, action = st.columns([4, 1], vertical_alignment="center")
    state = "at work" if at_work else run.state
    total = f" of {run.steps}" if run.steps else ""
    title.markdown(f"**{run.name}** · {state} · {run.step}{total} updates")
    job = registry.of(run.path)
    if at_work and job is not None:
        action.button("Stop", key=f"stop.{run.name}", on_click=registry.stop, args=(job,),
                      help="The last checkpoint stays; Resume goes on from it.")  # fmt: skip
    elif run.state != DONE and job is not None:
        action.button("Resume", key=f"resume.{run.name}", on_click=_resume, args=(registry, job),
                      help="The same command; it continues from the checkpoint.")  # fmt: skip
    elif run.state == DONE:
        inspect = st.session_state["pages"].get("inspect_heatmaps")
        if inspect is not None:
            action.page_link(inspect, label="Inspect", query_params={"run": run.name})
    if run.steps:
        st.progress(min(1.0, run.step / run.steps))
    if run.reason and not at_work:
        st.caption(run.reason)
    with plain_errors("the curve"):
        _curve(run)
    tail = [] if run.state == DONE else jobs.log_tail(run.path, 8)
    if tail:
        st.code("\n".join(tail))


def _curve(run: FoundRun) -> None:
    lines = training_curve(run.path)
    if len(lines) < 2:
        return
    steps = [line["step"] for line in lines]
    figure = go.Figure()
    for name, axis in (("loss", "y"), ("accuracy", "y2")):
        if name in lines[0]:
            figure.add_scatter(x=steps, y=[line[name] for line in lines], name=name, yaxis=axis)
    figure.update_layout(
        height=200, margin={"l": 10, "r": 10, "t": 10, "b": 10}, xaxis_title="update",
        yaxis={"title": "loss"}, legend={"orientation": "h", "y": 1.1},
        yaxis2={"title": "accuracy", "overlaying": "y", "side": "right", "range": [0, 1]},
    )  # fmt: skip
    st.plotly_chart(figure, width="stretch", key=f"curve.{run.name}", alt="Loss and accuracy")


def _resume(registry: jobs.Jobs, job: jobs.Job) -> None:
    try:
        registry.start(job.run, job.command)
    except CutSwapError as error:
        st.toast(str(error))
