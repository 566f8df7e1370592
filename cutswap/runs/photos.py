"""photos.json of a run folder: the training photos by content, so that a resumed run knows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cutswap.data.records import Record
from cutswap.errors import CutSwapError, first_names
from cutswap.utils.files import read_json, sha256_of, write_json
from cutswap.utils.folder_names import PHOTOS, SETTINGS


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


def write_photos(run: Path, hashes: dict[str, str]) -> None:
    """Note what a run that is about to begin learns from."""
    write_json(run / PHOTOS, hashes)


def refuse_other_photos(run: Path, hashes: dict[str, str]) -> None:
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
            fix="restore the file, or begin anew with another --out",
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
            expected=f"the {len(noted)} training photos with which the run began",
            found=f"others: {', '.join(changes)}",
            fix="restore them to go on, or begin anew with another --out",
        )
