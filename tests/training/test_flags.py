"""A run's command read back gives the run's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.commands.parser import parse
from cutswap.config import (
    FAMILIES,
    RECIPES,
    ClusterSettings,
    FineTuningSettings,
    NegativeSettings,
    SaliencySettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.errors import CutSwapError
from cutswap.training.flags import finetune_arguments, finetuning_settings, repeat_arguments
from tests.helpers.datasets import build_category, build_visa, visa_rows

HERE = (Path("/data"), "bolt", Path("/runs/a"))

training = st.builds(
    TrainingSettings,
    recipe=st.sampled_from(list(RECIPES)),
    augment=st.sampled_from(FAMILIES),
    ways=st.sampled_from((2, 3)),
    epochs=st.integers(1, 300),
    steps_per_epoch=st.none() | st.integers(1, 99),
    batch_size=st.integers(1, 64),
    learning_rate=st.floats(1e-6, 10),
    freeze_batch_norm=st.booleans(),
    frozen=st.sampled_from(((), ("layer1",), ("conv1", "bn1"))),
    hidden=st.sampled_from(((512, 128), (), (64,))),
    levels=st.sampled_from((None, ("4",), ("4", "16"))),
    image_size=st.sampled_from((256, 64)),
    weights=st.sampled_from(("embedded", "a b/c.pth")),
)


@st.composite
def settings(draw: Any) -> FineTuningSettings:
    learning = draw(training)
    low = draw(st.floats(-90, 90))
    return FineTuningSettings(
        training=learning,
        # the command line has one image size for both
        saliency=SaliencySettings(
            layers=draw(st.sampled_from((None, ("4", "30")))),
            target_class=draw(st.none() | st.integers(0, 999)),
            weights=draw(st.sampled_from(("embedded", "random"))),
            image_size=learning.image_size,
        ),
        clusters=ClusterSettings(k=draw(st.integers(1, 8))),
        negatives=NegativeSettings(
            angle=(low, 90.0),  # may begin with a minus sign
            jitter=draw(st.none() | st.floats(0, 0.5)),
        ),
        weak=WeakAugmentation(jitter=draw(st.floats(0, 0.5))),
    )


@given(settings(), st.integers(0, 2**31 - 1))
def test_the_command_read_back_gives_the_settings(wanted: FineTuningSettings, seed: int):
    words = finetune_arguments({"seed": seed, **wanted.to_dict()}, *HERE)
    options = parse(words)
    assert finetuning_settings(options).to_dict() == wanted.to_dict()
    assert options.seed == seed
    assert (options.data, options.category, options.out) == HERE
    assert not options.skip_bad


def test_defaults_are_not_named():
    words = finetune_arguments(FineTuningSettings().to_dict(), *HERE, skip_bad=True)
    assert words == [
        "finetune",
        "--data",
        "/data",
        "--category",
        "bolt",
        "--seed",
        "0",
        "--out",
        "/runs/a",
        "--skip-bad",
    ]
    paper = {"training": {"recipe": "paper", **RECIPES["paper"]}}
    assert finetune_arguments(paper, *HERE)[-1] == "--recipe=paper"


@pytest.mark.parametrize(
    "record",
    [{"training": {"epochs": 0}}, {"training": {"invented": 1}}, {"clusters": 3}],
)
def test_settings_that_are_none_are_refused(record: dict[str, Any]):
    with pytest.raises(CutSwapError):
        finetune_arguments(record, *HERE)


def test_a_run_repeats_on_the_category_s_own_folder(tmp_path: Path):
    from cutswap.data.datasets import open_dataset

    root = build_category(tmp_path / "set" / "bolt")
    category = open_dataset(tmp_path / "set").category("bolt")
    record = {"data": {"root": str(category.root), "name": "bolt", "left_out": []}, "seed": 3}
    options = parse(repeat_arguments(record, tmp_path / "run"))
    again = open_dataset(options.data).category(options.category)
    assert (again.root, again.name) == (category.root, category.name)
    assert again.train == category.train
    assert (options.data, options.seed, options.skip_bad) == (root, 3, False)
    record["data"]["left_out"] = [{"path": "x"}]
    assert "--skip-bad" in repeat_arguments(record, tmp_path / "run")


def test_a_run_on_visa_repeats_on_the_whole_set(tmp_path: Path):
    from cutswap.data.datasets import open_dataset

    root = build_visa(tmp_path / "visa", visa_rows())
    category = open_dataset(root).category("candle")
    record = {"data": {"root": str(category.root), "name": "candle"}}
    options = parse(repeat_arguments(record, tmp_path / "run"))
    assert open_dataset(options.data).category(options.category).train == category.train


@pytest.mark.parametrize("data", [None, {}, {"root": "/x"}, {"name": "x"}, []])
def test_a_record_without_its_data_is_refused(data: Any):
    with pytest.raises(CutSwapError, match="settings.json"):
        repeat_arguments({"data": data}, Path("/runs/a"))
