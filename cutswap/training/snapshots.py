"""States of phi on the way, so that one can look back at how a run learnt.

The first is the network that the run starts from and the last the one it ends with: both are there
anyway. Of those between a file keeps what training has moved since the start, at half precision: an
error of a two-thousandth of that move, and half of nothing where layers are frozen.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from cutswap.config import TrainingSettings
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.runs.folder import START_AGAIN, RunFolder
from cutswap.training.unit_gain import unit_gain
from cutswap.utils.files import read_json
from cutswap.utils.folder_names import ENVIRONMENT
from cutswap.utils.tensor_files import read_tensors, write_tensors

_FORMAT = 1


def snapshot_updates(count: int, steps: int) -> tuple[int, ...]:
    """Updates after which a state is kept, evenly spread; 0 and `steps` are always among them.

    Args:
        count: states wanted; 0 gives the two ends alone, and so do 1 and 2.
        steps: updates in all.
    """
    return tuple(sorted({0, steps, *np.linspace(0, steps, max(2, count)).round().astype(int)}))


def starting_state(base: Backbone, settings: TrainingSettings) -> dict[str, Tensor]:
    """Phi before the first update, as the trainer writes it (see `unit_gain`).

    Args:
        base: the network that the run starts from; it stays as it is.
        settings: of the training.
    """
    module = copy.deepcopy(base.module)
    unit_gain(module, settings.frozen)
    return {name: value.detach().cpu() for name, value in module.state_dict().items()}


def write_snapshot(
    run: RunFolder, step: int, now: dict[str, Tensor], start: dict[str, Tensor]
) -> None:
    """Keep what has moved since the start.

    Args:
        run: the run folder.
        step: updates done.
        now: phi's state on the processor.
        start: see `starting_state`.

    Raises:
        CutSwapError: the file cannot be written.
    """
    moved = {n: v - start[n] for n, v in now.items() if not torch.equal(v, start[n])}
    about = {"format": _FORMAT, "step": step}
    write_tensors(run.snapshot_file(step), {n: _halved(v) for n, v in moved.items()}, about)


def _halved(value: Tensor) -> Tensor:
    """In half precision, except counts and what is beyond its range."""
    if not value.is_floating_point():
        return value
    half = value.half()
    return half if bool(torch.isfinite(half).all()) else value


def kept_updates(run: RunFolder, settings: TrainingSettings, steps: int) -> tuple[int, ...]:
    """Updates of which a finished run has a state, both ends included.

    Args:
        run: the run folder.
        settings: of its training.
        steps: its updates.
    """
    first, *between, last = snapshot_updates(settings.snapshots, steps)
    return (first, *(step for step in between if run.snapshot_file(step).is_file()), last)


def network_at(run: RunFolder, settings: TrainingSettings, seed: int, step: int) -> Backbone:
    """Phi after an update between the first and the last.

    Args:
        run: the run folder.
        settings: of its training.
        seed: of the run, for weights that are random.
        step: updates done; see `kept_updates`.

    Raises:
        CutSwapError: no such file, a damaged one, or weights that the run did not start from.
    """
    file = run.snapshot_file(step)
    moved, about = read_tensors(file, fix=START_AGAIN)
    base = load_backbone(settings.backbone, settings.weights, seed=seed)
    _need_same_start(run, base)
    state = starting_state(base, settings)
    if about.get("format") != _FORMAT or any(
        name not in state or state[name].shape != value.shape for name, value in moved.items()
    ):
        raise CutSwapError(
            file,
            expected=f"a state of the run's {settings.backbone}",
            found="tensors of another network",
            fix=START_AGAIN,
        )
    for name, value in moved.items():
        state[name] = state[name] + value.to(state[name].dtype)
    return Backbone.from_state(base.name, state)


def _need_same_start(run: RunFolder, base: Backbone) -> None:
    about = read_json(run.path / ENVIRONMENT)
    try:
        started = about["weights"]["phi"]["sha256"]
    except (LookupError, TypeError):
        return  # an older run has not noted it
    if started != base.report.sha256:
        raise CutSwapError(
            base.report.source,
            expected="the weights that the run started from",
            found="others: the file has changed since",
            fix="put the file back, or train again",
        )
