"""The Start page's checklist: data, weights, device, runs, each without torch."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from app.shared import public, workspace
from app.shared.selection import found_runs
from cutswap.data.datasets import open_dataset
from cutswap.errors import CutSwapError
from cutswap.runs.states import DONE

EMBEDDED = ("vgg16", "resnet18")


@dataclass(frozen=True)
class Item:
    """One line of the list.

    Attributes:
        name: what it is about.
        is_ready: whether nothing is missing.
        text: how things stand.
        page: page that mends it, a key of `main.PAGES`.
        action: text of its button.
    """

    name: str
    is_ready: bool
    text: str
    page: str
    action: str


def readiness() -> list[Item]:
    """All lines; each looks at the disk only. Of a public demo what can be used there."""
    items = [_data(), _weights()]
    return items if public.is_public() else [*items, _device(), _runs()]


def _data() -> Item:
    rendering = workspace.demo_rendering()
    own = workspace.folders()
    bad = []
    for folder in own:
        try:
            open_dataset(folder)
        except CutSwapError:
            bad.append(folder.name)
    if bad:
        text = f"{', '.join(bad)} cannot be read"
        return Item(name="Data", is_ready=False, text=text, page="data", action="See what is wrong")
    if rendering.error is not None:
        return Item(
            name="Data",
            is_ready=False,
            text=f"no demo: {rendering.error.found}",
            page="data",
            action="Choose data",
        )
    is_rendered = rendering.root is not None
    of = f" ({rendering.done} of {rendering.total})" if rendering.total else ""
    demo = "demo set" if is_rendered else f"demo set, being rendered{of}"
    # What can be used stands first: the mark before it is about that.
    named = [demo, *(f.name for f in own)] if is_rendered else [*(f.name for f in own), demo]
    return Item(
        name="Data",
        is_ready=is_rendered or bool(own),
        text="; ".join(named),
        page="data",
        action="Add your own",
    )


def _weights() -> Item:
    from cutswap.installation.shipped import how_to_restore
    from cutswap.networks.weights import EMBEDDED_FOLDER

    missing = [n for n in EMBEDDED if not (EMBEDDED_FOLDER / f"{n}.safetensors").is_file()]
    if missing:
        text = f"embedded {', '.join(missing)} missing; {how_to_restore('assets/weights')}"
        return Item(
            name="Weights", is_ready=False, text=text, page="saliency", action="Choose others"
        )
    return Item(
        name="Weights",
        is_ready=True,
        text="embedded VGG16 and ResNet18",
        page="saliency",
        action="Look through them",
    )


def _device() -> Item:
    cores = os.cpu_count() or 1
    # Asking torch would cost two seconds here; the Train page asks it.
    if shutil.which("nvidia-smi"):
        return Item(
            name="Device",
            is_ready=True,
            text=f"NVIDIA driver found, {cores} cores",
            page="train",
            action="Train on it",
        )
    return Item(
        name="Device",
        is_ready=True,
        text=f"CPU with {cores} cores; no NVIDIA GPU",
        page="train",
        action="A short run",
    )


def _runs() -> Item:
    try:
        runs = found_runs(workspace.runs_folder()).runs
    except CutSwapError as error:
        return Item(
            name="Runs",
            is_ready=False,
            text=f"{error.subject}: {error.found}",
            page="data",
            action="See the folders",
        )
    done = sum(r.state == DONE for r in runs)
    if not done:
        return Item(
            name="Runs",
            is_ready=False,
            text="no fine-tuned run yet",
            page="train",
            action="Train one",
        )
    return Item(
        name="Runs",
        is_ready=True,
        text=f"{done} finished of {len(runs)}",
        page="results",
        action="Compare them",
    )
