"""What a run began from, by content: its training photos and starting weights.

photos.json has every photo's hash, environment.json the weights'; settings.json is the third part,
see `RunFolder.refuse_other`. A run that went on with others would be neither the old nor a new one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cutswap.data.records import Record
from cutswap.errors import CutSwapError, first_names
from cutswap.runs.states import log_file
from cutswap.utils.files import read_json, sha256_of, write_json
from cutswap.utils.folder_names import ENVIRONMENT, PHOTOS, SETTINGS

ANEW = "begin anew with another --out, or with --beside"
_NETWORKS = {"phi": "the trained network's", "saliency": "the saliency network's"}
_SHOWN = 12  # hex digits of a hash, as git shows them


def hashes_of(records: Sequence[Record]) -> dict[str, str]:
    """Hex SHA-256 of every photo's file, by its name in the category.

    Raises:
        CutSwapError: one that cannot be read.
    """
    hashes = {}
    for record in records:
        try:
            hashes[record.name] = sha256_of(record.image)
        except OSError as error:
            raise CutSwapError(
                record.image,
                expected="a readable photo",
                found=error.strerror or error,
                fix="restore it, or run check-data to see all problems",
            ) from error
    return hashes


def refuse_other_photos(run: Path, hashes: Mapping[str, str]) -> None:
    """Nothing where the folder is new, notes no photos (older runs) or notes just these.

    Args:
        run: the run folder.
        hashes: of the training photos there are now.

    Raises:
        CutSwapError: photos were changed, added or taken away since the run began.
    """
    if not ((run / SETTINGS).exists() and (run / PHOTOS).exists()):
        return
    noted = read_json(run / PHOTOS)
    if not isinstance(noted, dict):
        raise CutSwapError(
            run / PHOTOS,
            expected="a JSON object of photos",
            found=type(noted).__name__,
            fix=f"restore the file, or {ANEW}",
        )
    changed = [n for n, value in hashes.items() if n in noted and noted[n] != value]
    parts = (
        ("changed", changed),
        ("new", sorted(hashes.keys() - noted.keys())),
        ("gone", sorted(noted.keys() - hashes.keys())),
    )
    changes = [f"{len(names)} {what} ({first_names(names)})" for what, names in parts if names]
    if changes:
        raise CutSwapError(
            run,
            expected=f"the {len(noted)} training photos of its {PHOTOS}",
            found=f"others: {', '.join(changes)}",
            fix=f"restore them to go on, or {ANEW}",
        )


def refuse_other_weights(run: Path, weights: Mapping[str, Any]) -> None:
    """Nothing where the folder is new, notes no hash (random weights, older runs) or just these.

    Args:
        run: the run folder.
        weights: by network, phi or saliency: its report as in environment.json, None without one.

    Raises:
        CutSwapError: a file of weights has another content than when the run began.
    """
    noted, found = _noted_weights(run), _weight_hashes(weights)
    changed = [name for name in found if name in noted and noted[name] != found[name]]
    if changed:
        was = [f"{_NETWORKS[name]} {noted[name][:_SHOWN]}" for name in changed]
        now = [f"{weights[name]['source']}, {found[name][:_SHOWN]}" for name in changed]
        raise CutSwapError(
            run,
            expected=f"the starting weights with which it began, SHA-256 of {', '.join(was)}",
            found=f"others: {'; '.join(now)}",
            fix=f"restore the file to go on, or {ANEW}",
        )


def note_start(run: Path, photos: Mapping[str, str], weights: Mapping[str, Any]) -> str:
    """Note what a run that is about to begin, or an older one that noted less, starts from.

    Args:
        run: the run folder.
        photos: see `hashes_of`.
        weights: see `refuse_other_weights`.

    Returns:
        What an older run had not noted, for people; empty where it had noted all.
    """
    is_older, gaps = (run / SETTINGS).exists(), []
    if not is_older or not (run / PHOTOS).exists():  # a run killed early has left its own there
        write_json(run / PHOTOS, dict(photos))
        gaps.append("training photos")
    if is_older and not _noted_weights(run).keys() >= _weight_hashes(weights).keys():
        write_json(run / ENVIRONMENT, {**_environment(run), "weights": dict(weights)})
        gaps.append("starting weights")
    if not (is_older and gaps):
        return ""
    return (
        f"an older version began {run.name} without noting its {' and '.join(gaps)}: whether they"
        " have changed since cannot be told; from now on it can"
    )


def places_beside(out: Path) -> Iterator[Path]:
    """The folder itself, then `OUT-2`, `OUT-3`, ..., without end."""
    yield out
    number = 2
    while True:
        yield out.with_name(f"{out.name}-{number}")
        number += 1


def place_of(out: Path, refuse: Callable[[Path], None]) -> Path:
    """Where a run goes on, or begins anew beside others: the first place that is not refused.

    Several processes of one run find the same place, also when one of them has begun already.

    Args:
        out: the run folder asked for.
        refuse: raises CutSwapError for a folder of another run.
    """
    for place in places_beside(out):
        try:
            refuse(place)
        except CutSwapError:
            continue
        return place
    raise AssertionError("the places have no end")


def free_beside(run: Path, taken: Collection[Path]) -> Path:
    """The first folder beside a run that no other has, nor a log of one.

    Args:
        run: the run folder.
        taken: folders of waiting runs, which may not be there yet.
    """
    return next(
        place
        for place in places_beside(run)
        if place not in (run, *taken)
        and not os.path.lexists(place)
        and not os.path.lexists(log_file(place))
    )


def _noted_weights(run: Path) -> dict[str, str]:
    return _weight_hashes(_environment(run).get("weights")) if (run / SETTINGS).exists() else {}


def _environment(run: Path) -> dict[str, Any]:
    """The record; empty where it is missing or damaged, for the run itself does not need it."""
    try:
        values = read_json(run / ENVIRONMENT)
    except CutSwapError:
        return {}
    return values if isinstance(values, dict) else {}


def _weight_hashes(weights: object) -> dict[str, str]:
    """By network, where there is a file with a hash."""
    reports = weights.items() if isinstance(weights, Mapping) else ()
    return {
        name: str(report["sha256"])
        for name, report in reports
        if name in _NETWORKS and isinstance(report, Mapping) and report.get("sha256")
    }
