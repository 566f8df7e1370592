"""What differs between runs: hand cases, and what must hold for any records."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.config import FineTuningSettings, HeadSettings
from cutswap.errors import CutSwapError
from cutswap.runs.differences import SECTIONS, flat_settings, settings_differences


def record(category: str = "bolt", seed: int = 0, **sections: dict[str, Any]) -> dict[str, Any]:
    """As in settings.json, with some settings changed."""
    values = FineTuningSettings().to_dict()
    for section, changes in sections.items():
        values[section] |= changes
    data = {"root": f"/data/{category}", "name": category, "n_train": 3}
    return json.loads(json.dumps({"kind": "finetune", "data": data, "seed": seed, **values}))


def named(*records: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {d.name: d.texts for d in settings_differences(records)}


def test_differences_by_hand_in_the_order_of_the_settings():
    runs = [
        record(),
        record(seed=3, clusters={"k": 2}, training={"learning_rate": 0.1}),
        record(training={"freeze_batch_norm": False, "steps_per_epoch": 30}, weak={"jitter": 0.2}),
    ]
    found = settings_differences(runs)
    assert [(d.name, d.texts) for d in found] == [
        ("seed", ("0", "3", "0")),
        ("training.steps_per_epoch", ("default", "default", "30")),
        ("training.learning_rate", ("0.03", "0.1", "0.03")),
        ("training.freeze_batch_norm", ("yes", "yes", "no")),
        ("clusters.k", ("4", "2", "4")),
        ("weak.jitter", ("0.1", "0.1", "0.2")),
    ]
    assert [d.label for d in found[1:5]] == [
        "steps per epoch",
        "learning rate",
        "freeze batch norm",
        "clusters: k",
    ]
    assert found[2].values == (0.03, 0.1, 0.03)


def test_category_data_set_and_photos_count_as_settings():
    assert named(record("bolt"), record("nut")) == {"category": ("bolt", "nut")}
    elsewhere = record("bolt")
    elsewhere["data"] |= {"root": "/mnt/bolt", "n_train": 9}
    assert named(record("bolt"), elsewhere) == {
        "data set": ("/data", "/mnt"),
        "training photos": ("3", "9"),
    }


def test_what_is_missing_is_the_default():
    old = record(clusters={"k": 2})
    del old["negatives"], old["training"]["momentum"]
    old["saliency"] = None
    assert named(record(), old) == {"clusters.k": ("4", "2")}
    assert named(record(negatives={"max_tries": 9}), old)["negatives.max_tries"] == ("9", "50")


def test_settings_of_another_version_come_last():
    newer = record(training={"invented": [1, 2.5], "momentum": 0.5})
    assert named(record(), newer) == {
        "training.momentum": ("0.9", "0.5"),
        "training.invented": ("default", "1, 2.5"),
    }


def test_numbers_are_compared_as_numbers_and_booleans_are_none():
    assert named(record(training={"momentum": 1}), record(training={"momentum": 1.0})) == {}
    mixed = named(record(training={"momentum": True}), record(training={"momentum": 1.0}))
    assert mixed == {"training.momentum": ("yes", "1")}
    nan = record(training={"momentum": float("nan")})
    assert named(nan, nan) == {}


def test_a_section_that_is_none_is_refused():
    with pytest.raises(CutSwapError, match="settings.json, clusters: expected an object"):
        flat_settings(record() | {"clusters": [4]})


def test_one_run_or_none_differs_in_nothing():
    assert settings_differences([]) == settings_differences([record()]) == ()


def test_sections_are_those_of_a_run():
    assert list(SECTIONS) == [f.name for f in fields(FineTuningSettings)]
    assert SECTIONS["head"] is HeadSettings


VALUES = st.none() | st.booleans() | st.integers(0, 3) | st.floats() | st.lists(st.integers(0, 2))
RECORDS = st.fixed_dictionaries(
    {"seed": st.integers(0, 2)},
    optional={
        "data": st.fixed_dictionaries({"name": st.sampled_from(["a", "b"])}),
        "training": st.dictionaries(st.sampled_from(["momentum", "epochs", "new"]), VALUES),
        "clusters": st.dictionaries(st.sampled_from(["k", "anchors", "new"]), VALUES),
    },
)


@given(RECORDS, st.integers(0, 5))
def test_identical_records_do_not_differ(values, count):
    assert settings_differences([values] * count) == ()
    copies = [json.loads(json.dumps(values)) for _ in range(count)]
    assert settings_differences(copies) == ()


@given(st.lists(RECORDS, min_size=1, max_size=5), st.randoms())
def test_the_order_of_runs_only_moves_columns(records, random):
    order = list(range(len(records)))
    random.shuffle(order)
    found = settings_differences(records)
    moved = settings_differences([records[i] for i in order])
    assert [d.name for d in moved] == [d.name for d in found]
    for before, after in zip(found, moved, strict=True):
        assert [before.texts[i] for i in order] == list(after.texts)


@pytest.mark.parametrize(
    "name", ["runs.differences", "runs.edits", "results.scores", "runs.metrics_log"]
)
def test_comparing_runs_does_not_wait_for_torch(name: str):
    code = f"import sys, cutswap.{name}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
