"""Hostile run folders, evaluations, queues and whole data sets."""

from __future__ import annotations

import functools
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.runs.queue import DATABASE, JobQueue
from cutswap.utils.files import write_json
from tests.helpers.datasets import build_category, write_visa_split
from tests.helpers.runs import write_run
from tests.helpers.scored import build_parts, score_parts
from tests.robustness.hostile import EITHER, SOUND, Case, Make, bad_json, damaged
from tests.robustness.hostile_tensors import BAD_NPY

EDGES = ("result.json", "scores.csv", "heatmaps.npy")


@functools.cache
def _scored() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    kept = tempfile.TemporaryDirectory(prefix="hostile-")
    home = Path(kept.name)
    score_parts(build_parts(home / "parts"), home / "scored")
    return kept, home / "scored"


def scored(change: Callable[[Path], None]) -> Make:
    """A copy of a sound evaluation, changed."""

    def make(folder: Path) -> Path:
        out = folder / "scored"
        shutil.copytree(_scored()[1], out)
        change(out)
        return out

    return make


def run(change: Callable[[Path], None], **options: Any) -> Make:
    """A run folder, changed."""

    def make(folder: Path) -> Path:
        change(write_run(folder / "run", **options))
        return folder / "run"

    return make


def put(name: str, data: bytes) -> Callable[[Path], None]:
    """Replace one file."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def link(name: str, target: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return change


def pipe(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return change


def edit(name: str, **changes: object) -> Callable[[Path], None]:
    """Change keys of a JSON file; `...` takes one out, `outer__inner` goes one level down."""

    def change(folder: Path) -> None:
        values = json.loads((folder / name).read_text())
        for key, value in changes.items():
            *outer, last = key.split("__")
            place = values
            for part in outer:
                place = place[part]
            if value is ...:
                del place[last]
            else:
                place[last] = value
        (folder / name).write_text(json.dumps(values))

    return change


def evaluations() -> Iterator[Case]:
    yield Case("evaluation", "sound", scored(lambda _: None), SOUND)
    yield from bad_json("evaluation", lambda data: scored(put("result.json", data)))
    for name in EDGES:
        yield Case("evaluation", f"no {name}", scored(drop(name)))
        yield Case("evaluation", f"{name} of 0 bytes", scored(put(name, b"")))
        yield Case("evaluation", f"{name} is /dev/zero", scored(link(name, "/dev/zero")))
        yield Case("evaluation", f"{name} is /etc/passwd", scored(link(name, "/etc/passwd")))
        yield Case("evaluation", f"{name} is a pipe", scored(pipe(name)))
    for name, data in BAD_NPY.items():
        yield Case("evaluation", f"heatmaps: {name}", scored(put("heatmaps.npy", data)))
    for name, value in {"NaN": np.nan, "infinity": np.inf}.items():

        def spoil(folder: Path, value: float = value) -> None:
            maps = np.load(folder / "heatmaps.npy")
            maps[1, 2, 3] = value
            np.save(folder / "heatmaps.npy", maps)

        yield Case("evaluation", f"{name} in the heatmaps", scored(spoil))
    tables = {
        "NULs": b"\0" * 500,
        "a formula as score": b"=1+1",
        "a score of NaN": b"nan",
        "an endless score": b"inf",
        "not UTF-8": b"\xff\xfe",
        "a quote that never ends": b'"',
        "a field of 200,000 letters": b"9" * 200_000,
    }
    for name, text in tables.items():

        def corrupt(folder: Path, text: bytes = text) -> None:
            lines = (folder / "scores.csv").read_bytes().splitlines()
            cells = lines[2].split(b",")
            cells[3] = text
            lines[2] = b",".join(cells)
            (folder / "scores.csv").write_bytes(b"\n".join(lines) + b"\n")

        yield Case("evaluation", f"scores: {name}", scored(corrupt))
    changes: dict[str, object] = {
        "n_test": 10**9,
        "seed": "x",
        "patchcore": [],
        "patchcore__image_size": -1,
        "patchcore__layers": [[["x"]]],
        "threshold": "high",
        "category": ...,
        "data": 5,
        "fingerprint": 3,
        "image_auroc": 17.0,
        "n_train": None,
    }
    for key, value in changes.items():
        verdict = EITHER if key == "image_auroc" else "refused"
        yield Case(
            "evaluation",
            f"{key} is {value!r}",
            scored(edit("result.json", **{key: value})),
            verdict,
        )
    # Data that are gone or elsewhere are no error, but nothing outside may be shown.
    for root in (
        "/",
        "/etc",
        "../..",
        "a\0b",
        "x" * 5000,
        "file:///etc",
        "\\\\host\\share",
        5,
        "~",
    ):
        yield Case(
            "evaluation",
            f"data at {root!r:.30}",
            scored(edit("result.json", data__root=root)),
            EITHER,
        )


def runs() -> Iterator[Case]:
    yield Case("run", "sound", run(lambda _: None), SOUND)
    yield from bad_json("run", lambda data: run(put("settings.json", data)))
    for case in bad_json("run", lambda data: run(put("result.json", data))):
        verdict = SOUND if "empty object" in case.name else case.verdict
        if not any(word in case.name for word in ("not a", "a number of", "infinity", "float")):
            yield Case("run", f"result, {case.name}", case.make, verdict, case.is_heavy)
    for case in bad_json("run", lambda data: run(put("metrics.jsonl", data + b"\n"))):
        if case.name != "JSON: empty":
            yield Case("run", f"metrics, {case.name}", case.make, "refused", case.is_heavy)
    lines = {
        "a step of text": {"step": "x"},
        "a step of true": {"step": True},
        "no loss": {"loss": None},
        "a loss of 10^400": {"loss": 10**400},
        "a negative step": {"step": -1},
        "steps of text": {"steps": "many"},
        "a step of 30 digits": {"step": 10**30},
    }
    for name, change in lines.items():
        line = {"step": 1, "steps": 10, "loss": 1.0, "accuracy": 0.5, **change}
        text = (json.dumps(line) + "\n").encode()
        verdict = EITHER if "steps" in name or "digits" in name else "refused"
        yield Case("run", f"metrics: {name}", run(put("metrics.jsonl", text)), verdict)
    yield Case(
        "run",
        "metrics: a line of 200 MB",
        lambda folder: run(put("metrics.jsonl", b'{"step": "' + b"9" * 200_000_000 + b'"}\n'))(
            folder
        ),
        is_heavy=True,
    )
    yield Case("run", "metrics: NULs", run(put("metrics.jsonl", b"\0" * 5000 + b"\n")))
    for name in ("settings.json", "result.json", "metrics.jsonl"):
        for target in ("/dev/zero", "/etc/passwd", name):
            verdict = "refused" if name == "settings.json" else EITHER
            yield Case("run", f"{name} is {target}", run(link(name, target)), verdict)
        yield Case("run", f"{name} is a pipe", run(pipe(name)), EITHER)
    yield Case("run", "no weights", run(drop("backbone.safetensors")))
    yield Case("run", "nothing but metrics", run(drop("settings.json"), finished=False))
    changes: dict[str, object] = {
        "kind": "evaluate",
        "training": 5,
        "training__epochs": "x",
        "training__batch_size": 10**12,
        "data": ...,
        "data__root": "a\0b",
        "data__name": "../../etc",
        "seed": "$(touch pwned)",
        "saliency": [1],
        "clusters__k": -1,
        "training__weights": "; touch pwned",
    }
    for key, value in changes.items():
        yield Case("run", f"{key} is {value!r}", run(edit("settings.json", **{key: value})), EITHER)


def queue(change: Callable[[sqlite3.Connection], object]) -> Make:
    """A runs folder whose queue was changed by hand."""

    def make(folder: Path) -> Path:
        JobQueue(folder).add(folder / "bolt", ["finetune", "--help"], "cpu")
        with sqlite3.connect(folder / DATABASE) as db:
            change(db)
        return folder

    return make


def queues() -> Iterator[Case]:
    def spoiled(data: bytes) -> Make:
        def make(folder: Path) -> Path:
            (folder / DATABASE).write_bytes(data)
            return folder

        return make

    def linked(folder: Path) -> Path:
        (folder / DATABASE).symlink_to("/etc/passwd")
        return folder

    yield Case("queue", "sound", queue(lambda _: None), SOUND)
    with tempfile.TemporaryDirectory() as folder:
        place = queue(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)"))(Path(folder))
        sound = (place / DATABASE).read_bytes()
    for damage, bad in damaged(sound, 8):
        yield Case("queue", damage, spoiled(bad), EITHER)
    yield Case("queue", "a text", spoiled(b"hello" * 1000))
    yield Case("queue", "a link", linked)
    for column, value in {
        "command": "no JSON",
        "command ": "[1, 2]",
        "command  ": '{"a": 1}',
        "command   ": "[" * 9999,
        "command    ": '["-c", "import os"]',
        "run": "../../etc",
        "run ": "/etc",
        "run  ": "",
        "run   ": "a/../../b",
        "device": b"\xff",
        "added": "never",
    }.items():
        name = column.strip()

        def change(db: sqlite3.Connection, name: str = name, value: object = value) -> None:
            db.execute(f"UPDATE jobs SET {name} = ?", (value,))  # noqa: S608 - our own names

        yield Case("queue", f"{name} is {value!r:.30}", queue(change))
    for name, text in {
        "no table": "DROP TABLE jobs",
        "a column less": "ALTER TABLE jobs DROP COLUMN code",
        "a process of text": "UPDATE jobs SET state = 'claimed', pid = 'x', marker = 'y'",
        "a process -1": "UPDATE jobs SET state = 'running', pid = -1, marker = 'y', host = 'z'",
    }.items():
        verdict = EITHER if "process" in name else "refused"
        yield Case("queue", name, queue(lambda db, text=text: db.execute(text)), verdict)


def data_set(change: Callable[[Path], None]) -> Make:
    """A category, changed."""

    def make(folder: Path) -> Path:
        root = folder / "data"
        build_category(root / "bolt")
        change(root)
        return root

    return make


def visa(*rows: dict[str, str]) -> Make:
    def make(folder: Path) -> Path:
        whole = {"object": "candle", "split": "train", "label": "normal", "mask": ""}
        write_visa_split(folder / "data", [{**whole, **row} for row in rows])
        (folder / "data" / "candle").mkdir()
        return folder / "data"

    return make


def data_sets() -> Iterator[Case]:
    yield Case("data set", "sound", data_set(lambda _: None), SOUND)

    def outside(root: Path) -> None:
        (root.parent / "secret").mkdir()
        shutil.copy(root / "bolt/train/good/000.png", root.parent / "secret/private.png")

    def linked_photo(root: Path) -> None:
        outside(root)
        (root / "bolt/train/good/zzz.png").symlink_to(root.parent / "secret/private.png")

    def linked_category(root: Path) -> None:
        outside(root)
        (root / "nut/train").mkdir(parents=True)
        (root / "nut/train/good").symlink_to(root.parent / "secret")

    def linked_masks(root: Path) -> None:
        outside(root)
        shutil.rmtree(root / "bolt/ground_truth/crack")
        (root / "bolt/ground_truth/crack").symlink_to(root.parent / "secret")

    def looped(root: Path) -> None:
        (root / "bolt/test/loop").symlink_to(root / "bolt/test")

    for name, change in {
        "a photo linked out of it": linked_photo,
        "a category linked out of it": linked_category,
        "masks linked out of it": linked_masks,
        "a loop of links": looped,
    }.items():
        yield Case("data set", name, data_set(change), EITHER)
    for name in (
        b"a\nb.png",
        b"$(touch pwned).png",
        b"`x`.png",
        b"\xff\xfe.png",
        b"-rf.png",
        b"a'b\"c.png",
        b"=1+1.png",
        b" .png",
        b"..png",
        b"\xe2\x80\xaegnp.png",
    ):

        def odd(root: Path, name: bytes = name) -> None:
            good = os.fsencode(root / "bolt/train/good") + b"/"
            Path(os.fsdecode(good + b"000.png")).rename(os.fsdecode(good + name))

        yield Case("data set", f"a photo called {name!r}", data_set(odd), EITHER)
    for name in (b"a\nb", b"\xff", b"x:y", b"%2e%2e", b"<b>"):

        def other(root: Path, name: bytes = name) -> None:
            test = os.fsencode(root / "bolt/test") + b"/"
            Path(os.fsdecode(test + b"crack")).rename(os.fsdecode(test + name))

        yield Case("data set", f"a defect called {name!r}", data_set(other), EITHER)

    def linked_split(folder: Path) -> Path:
        root = folder / "data"
        (root / "split_csv").mkdir(parents=True)
        (root / "split_csv/1cls.csv").symlink_to("/etc/passwd")
        return root

    yield Case("data set", "VisA's split linked to /etc/passwd", linked_split)
    yield Case("data set", "VisA, a photo that is not there", visa({"image": "candle/x.JPG"}))
    yield Case("data set", "VisA, a path of 5,000 letters", visa({"image": "x" * 5000}))
    yield Case("data set", "VisA, an object called ..", visa({"object": "..", "image": "x.png"}))

    def empty(folder: Path) -> Path:
        write_json(folder / "data" / "x.json", {})
        return folder / "data"

    yield Case("data set", "no photo", empty)


def cases() -> Iterator[Case]:
    """For the readers `evaluation`, `run`, `queue` and `data set`."""
    yield from evaluations()
    yield from runs()
    yield from queues()
    yield from data_sets()
