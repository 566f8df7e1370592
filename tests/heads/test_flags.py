"""A head run's command read back gives its settings; a backbone's record is as it always was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.commands.parser import parse
from cutswap.config import HEAD_JITTER, HEADS, FineTuningSettings, HeadSettings, WeakAugmentation
from cutswap.training.flags import finetune_arguments, finetuning_settings, trained_in

heads = st.builds(
    HeadSettings,
    train=st.sampled_from(HEADS),
    layers=st.sampled_from((("layer2", "layer3"), ("layer1",))),
    grid=st.integers(2, 64),
    draws=st.integers(1, 8),
    width=st.integers(8, 256),
    blocks=st.integers(0, 4),
    kernel=st.sampled_from((1, 3, 7)),
    updates=st.integers(1, 2000),
    learning_rate=st.floats(1e-6, 1),
    scale=st.sampled_from(("none", "channels", "places")),
    held_out=st.floats(0.01, 0.5),
    highest=st.integers(1, 100),
)


@given(heads, st.floats(0, 0.5))
def test_read_back_it_is_the_same(head: HeadSettings, jitter: float):
    settings = FineTuningSettings(head=head, weak=WeakAugmentation(jitter=jitter))
    record = {"seed": 3, **settings.to_dict()}
    words = finetune_arguments(record, Path("/data"), "bolt", Path("/runs/a"))
    read = finetuning_settings(parse(words))
    assert read == settings
    assert trained_in(record) == head.train


def test_a_head_sees_its_photos_unjittered_unless_told():
    words = ["finetune", "--data", "d", "--out", "o"]
    read = [
        finetuning_settings(parse([*words, *more])).weak.jitter
        for more in ([], ["--train", "projector"], ["--train=projector", "--weak-jitter=0.2"])
    ]
    assert read == [WeakAugmentation().jitter, HEAD_JITTER, 0.2]


@pytest.mark.parametrize("record", [{}, {"head": None}, {"head": {"train": "backbone"}}])
def test_a_backbones_record_has_no_head(record: dict[str, object]):
    assert trained_in(record) == "backbone"
    assert "head" not in FineTuningSettings().to_dict()
    other = FineTuningSettings(head=HeadSettings(width=64))
    assert FineTuningSettings.from_dict(other.to_dict()) == other
