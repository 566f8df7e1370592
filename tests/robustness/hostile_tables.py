"""Hostile CSV splits, settings, negative records, heartbeats."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cutswap.config import ClusterSettings, NegativeSettings, TrainingSettings
from cutswap.negatives.draw import draw_negative
from tests.helpers.small_photos import photo_of
from tests.robustness.hostile import EITHER, SOUND, Case, bad_json, damaged, edited, file_of

HEAD = b"object,split,label,image,mask\n"
GOOD = b"candle,train,normal,candle/Data/Images/Normal/0.JPG,\n"
BEAT = {
    "pid": 1,
    "marker": "x",
    "host": "y",
    "at": 1.0,
    "how": "done",
    "doing": "",
    "done": 1,
    "total": 2,
}

SPLITS: dict[str, bytes] = {
    "empty": b"",
    "a header alone": HEAD,
    "no header": GOOD,
    "NULs": HEAD + b"\0" * 300,
    "a NUL in a path": HEAD + GOOD.replace(b"0.JPG", b"0\0.JPG"),
    "not UTF-8": HEAD + b"\xff\xfe\xfd,train,normal,a,\n",
    "UTF-16": (HEAD + GOOD).decode().encode("utf-16"),
    "a quote that never ends": HEAD + b'"candle,train' + GOOD * 50,
    "a field of 200,000 letters": HEAD + b"a" * 200_000 + b",train,normal,x,\n",
    "a row too short": HEAD + b"candle,train\n",
    "a row too long": HEAD + GOOD[:-1] + b",,,,x\n",
    "an unknown split": HEAD + GOOD.replace(b"train", b"val"),
    "an unknown label": HEAD + GOOD.replace(b"normal", b"fine"),
    "a defect to train on": HEAD + GOOD.replace(b"normal", b"anomaly"),
    "the same photo twice": HEAD + GOOD * 2,
    "a formula as object": HEAD + b'=HYPERLINK("http://x";"y")/..,train,normal,a,\n',
    "HTML": b"<html>",
    "binary": bytes(range(256)) * 20,
    "100 MB of rows": b"",
    "a header of 100,000 columns": b"a," * 100_000 + b"\n",
    "the columns twice": HEAD[:-1] + b"," + HEAD + GOOD,
}
PATHS = (
    b"../../etc/passwd",
    b"/etc/passwd",
    b"C:\\x",
    b"\\\\server\\share",
    b"a\\..\\b",
    b"a/../../b",
    b"",
    b"..",
    b"file:///../x",
    b"candle/../../x",
)
FORMULAS = (b"=1+1", b"@SUM(A1)", b"+cmd|' /C calc'!A0", b"-2+3")
TRAINING: dict[str, object] = {
    "batch_size": "8",
    "epochs": -1,
    "image_size": 10**9,
    "ways": 2.5,
    "hidden": [0.5],
    "augment": "rm -rf /",
    "recipe": None,
    "unknown": 1,
    "precision": True,
    "checkpoint_every": 0,
    "device": ["cpu"],
    "steps_per_epoch": 1e400,
    "levels": 5,
}


def record() -> dict:
    """A sound record of a negative on `photo_of(0, (64, 64))`."""
    settings = NegativeSettings(method="cutpaste")
    made = draw_negative(photo_of(0, (64, 64)), None, settings, ClusterSettings(), seed=(0,))
    return made.record.to_dict()


def cases() -> Iterator[Case]:
    """For the readers `split`, `settings`, `record` and `heartbeat`."""
    for name, data in SPLITS.items():
        if name == "100 MB of rows":
            yield Case(
                "split", name, lambda f: file_of(HEAD + GOOD * 1_900_000, "s.csv")(f), is_heavy=True
            )
        else:
            yield Case("split", name, file_of(data, "s.csv"))
    for path in PATHS:
        row = GOOD.replace(b"candle/Data/Images/Normal/0.JPG", path)
        yield Case("split", f"image {path.decode()!r}", file_of(HEAD + row, "s.csv"))
    for text in FORMULAS:  # harmless to read; nothing here is a spreadsheet
        yield Case(
            "split",
            f"object {text.decode()}",
            file_of(HEAD + text + b",train,normal,a/b.png,\n", "s.csv"),
            EITHER,
        )
    yield Case("split", "sound", file_of(HEAD + GOOD, "s.csv"), SOUND)
    for damage, bad in damaged(HEAD + GOOD, 7):
        yield Case("split", damage, file_of(bad, "s.csv"), EITHER)

    yield from bad_settings()
    yield from bad_records()

    yield Case("heartbeat", "sound", file_of(edited(BEAT), "heartbeat.json"), SOUND)
    yield from bad_json("heartbeat", lambda data: file_of(data, "heartbeat.json"))
    changes: dict[str, object] = {
        "pid": "x",
        "marker": ...,
        "host": ...,
        "at": "never",
        "how": "flying",
        "doing": ...,
        "done": None,
        "total": [1],
    }
    for key, value in changes.items():
        data = edited(BEAT, **{key: value})
        yield Case("heartbeat", f"{key} is {value!r}", file_of(data, "heartbeat.json"))
    for name, change in {
        "a moment that is none": {"at": float("nan")},
        "a moment beyond": {"at": float("inf")},
        "a negative process": {"pid": -1},
        "process 0": {"pid": 0},
        "a process of 30 digits": {"pid": 10**30},
        "minus one done": {"done": -1},
    }.items():
        yield Case("heartbeat", name, file_of(edited(BEAT, **change), "heartbeat.json"))


def bad_settings() -> Iterator[Case]:
    whole = TrainingSettings().to_dict()
    yield Case("settings", "sound", file_of(edited(whole), "s.json"), SOUND)
    for case in bad_json("settings", lambda data: file_of(data, "s.json")):
        yield (
            case
            if "empty object" not in case.name
            else Case(case.reader, case.name, case.make, SOUND)
        )
    for key, value in TRAINING.items():
        data = edited(whole, **{key: value})
        yield Case("settings", f"{key} is {value!r}", file_of(data, "s.json"))
    deep = '{"epochs": ' + "[" * 500 + "]" * 500 + "}"
    yield Case("settings", "a nest where a number is wanted", file_of(deep, "s.json"))


def bad_records() -> Iterator[Case]:
    whole = record()
    move = whole["moves"][0]
    yield Case("record", "sound", file_of(edited(whole), "r.json"), SOUND)
    yield from bad_json("record", lambda data: file_of(data, "r.json"))
    for key in whole:
        data = edited(whole, **{key: ...})
        yield Case("record", f"no {key}", file_of(data, "r.json"))
        data = edited(whole, **{key: {"x": [1]}})
        yield Case(
            "record",
            f"{key} is an object",
            file_of(data, "r.json"),
            EITHER if key == "rejected" else "refused",
        )
    for name, change in {
        "a box outside": {"source": [0, 0, 10**6, 10**6]},
        "a negative box": {"source": [-5] * 4},
        "a target far away": {"target": [10**9, 10**9]},
        "no angle": {"angle": None},
        "an angle that is none": {"angle": float("nan")},
        "a turn of 1e300": {"angle": 1e300},
        "an unknown blend": {"blend": "__import__('os')"},
        "a softness of 1e9": {"softness": 1e9},
        "a size of nothing": {"size": [0, 0]},
        "a size of millions": {"size": [10**7, 10**7]},
        "a jitter of text": {"jitter": "x"},
        "a jitter without order": {"jitter": {"hue": 0.1}},
    }.items():
        data = edited(whole, moves=[{**move, **change}])
        yield Case("record", name, file_of(data, "r.json"))
    many = json.dumps({**whole, "moves": [move] * 20_000}).encode()
    yield Case("record", "20,000 moves", file_of(many, "r.json"))
