"""Settings to flags and back: whatever the settings are, their flags give them again."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import pkgutil
import types
import typing

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import cutswap
from cutswap.config import NegativeSettings, PatchCoreSettings, TrainingSettings
from cutswap.errors import CutSwapError
from cutswap.flags import (
    PLAIN,
    FlagNames,
    add_flags,
    flags_from,
    join_names,
    settings_from,
    split_names,
)
from cutswap.settings import Settings
from cutswap.studies.flags import STUDY_FLAGS
from cutswap.training.flags import FINETUNE_FLAGS


def settings_classes() -> list[type[Settings]]:
    """Every settings class of the core whose fields are flags, wherever it is defined."""
    for module in pkgutil.walk_packages(cutswap.__path__, "cutswap."):
        if module.name.rpartition(".")[2].endswith(("settings", "config", "plan", "sizes")):
            importlib.import_module(module.name)
    found = [c for c in Settings.__subclasses__() if c.__module__.startswith("cutswap.")]
    return [
        cls
        for cls in found
        if not any(
            isinstance(hint, type) and issubclass(hint, Settings)
            for hint in typing.get_type_hints(cls).values()
        )
    ]


CLASSES = settings_classes()
# Words of a shell line; a comma separates values, so it stands in no name.
WORDS = st.text("abcxyzABC0123456789-._/+ =äß", min_size=1, max_size=8).filter(
    lambda text: text.strip() == text and text.lower() != "none"
)


def scalars(hint: type, rules: typing.Mapping[str, typing.Any]) -> st.SearchStrategy:
    if rules["choices"]:
        return st.sampled_from(rules["choices"])
    low = rules["low"] if rules["low"] is not None else rules["above"]
    low, high = -1e6 if low is None else low, 1e6 if rules["high"] is None else rules["high"]
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.integers(int(low), int(high))
    if hint is float:
        return st.floats(low, high, exclude_min=rules["above"] is not None)
    return WORDS


def values(field: dataclasses.Field, hint) -> st.SearchStrategy:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (inner,) = [o for o in typing.get_args(hint) if o is not type(None)]
        return st.none() | values(field, inner)
    if typing.get_origin(hint) is not tuple:
        return scalars(hint, field.metadata)
    items = typing.get_args(hint)
    one = scalars(items[0], field.metadata)
    if len(items) == 2 and items[1] is Ellipsis:
        return st.lists(one, max_size=4).map(tuple)
    return st.tuples(*[one] * len(items)).map(lambda pair: tuple(sorted(pair)))


def parsed(words: list[str], cls: type[Settings], naming: FlagNames) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_flags(parser, cls, naming)
    return parser.parse_args(words)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
@given(data=st.data())
def test_flags_give_the_settings_they_were_made_of(cls: type[Settings], data):
    hints = typing.get_type_hints(cls)
    fields = {f.name: values(f, hints[f.name]) for f in dataclasses.fields(cls)}
    changed = data.draw(st.fixed_dictionaries({}, optional=fields))
    try:
        wanted = cls(**changed)
    except CutSwapError:  # fields that do not go together
        assume(False)
    naming = data.draw(st.sampled_from([PLAIN, FlagNames(prefix="other-")]))
    words = flags_from(wanted, None, naming)
    assert settings_from(parsed(words, cls, naming), cls) == wanted


def test_every_settings_class_is_tried():
    assert {
        "PatchCoreSettings",
        "TrainingSettings",
        "NegativeSettings",
        "DetectorSettings",
        "FeatureSettings",
        "QualitySettings",
        "DistillSettings",
    } <= {c.__name__ for c in CLASSES}


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(PatchCoreSettings)])
def test_no_setting_of_an_evaluation_is_without_a_flag(field: str):
    """`search` was: the command shown for an ivf evaluation did not repeat it."""
    (one,) = [f for f in dataclasses.fields(PatchCoreSettings) if f.name == field]
    value = one.default
    if isinstance(value, str):
        value = next(c for c in one.metadata["choices"] or ("x",) if c != value)
    elif isinstance(value, tuple):
        value = value[:1]
    elif isinstance(value, bool):
        value = not value
    elif value is None:
        value = 1
    else:
        value = value + 1 if isinstance(value, int) else value / 2
    changed = {field: value}
    words = flags_from(PatchCoreSettings(**changed))
    assert len(words) == 1
    assert words[0].startswith(f"--{field.replace('_', '-')}=")


def test_a_base_s_own_values_need_no_flag():
    settings = TrainingSettings(epochs=3, device="cpu")
    assert flags_from(settings, {"epochs": 3}) == ["--device=cpu"]
    assert flags_from(settings, {"epochs": 4}) == ["--epochs=3", "--device=cpu"]


def test_names_by_hand():
    naming = FlagNames(prefix="p-", skip=("method",), names={"max_tries": "tries"})
    assert [naming.flag(n) for n in ("max_tries", "scar_width")] == ["--tries", "--p-scar-width"]
    settings = NegativeSettings(method="nsa", max_tries=7, angle=(-3.5, 0.1))
    assert flags_from(settings, None, naming) == ["--p-angle=-3.5,0.1", "--tries=7"]


@pytest.mark.parametrize("sections", [FINETUNE_FLAGS, STUDY_FLAGS], ids=["finetune", "reproduce"])
def test_no_two_flags_of_a_command_are_called_the_same(sections):
    flags = [
        naming.flag(f.name)
        for cls, naming in sections.values()
        for f in dataclasses.fields(cls)
        if f.name not in naming.skip
    ]
    assert len(flags) == len(set(flags))


# Names with commas


def test_words_with_commas_are_names():
    assert split_names("--c", "", ["a"]) == []
    assert split_names("--c", " bolt, nut ,,", ["nut", "bolt", "x"]) == ["bolt", "nut"]
    assert split_names("--c", " bolt,nut ", [" bolt", "bolt", "nut"]) == [" bolt", "nut"]
    assert split_names("--c", "bolts,nut", ["bolt", "nut"]) == ["bolts", "nut"]  # refused later


@pytest.mark.parametrize(
    ("text", "known", "names"),
    [
        ("a,b", ["a,b"], ["a,b"]),
        ("a,b", ["a,b", "a", "c"], ["a,b"]),
        ("c,a,b", ["a,b", "a", "c"], ["c", "a,b"]),
        ("a, b,a,b", ["a, b", "a,b"], ["a, b", "a,b"]),
        ("a,b", ["a", "b", "a,b"], ["a", "b"]),
        (",a,", [",a,"], [",a,"]),
        ("a\\,b", ["a", "b", "a,b"], ["a,b"]),
        ("a\\,b,a", ["a", "b", "a,b"], ["a,b", "a"]),
        ("a\\b", ["a\\b"], ["a\\b"]),
        ("日,本", ["日,本"], ["日,本"]),
    ],
)
def test_a_comma_may_belong_to_a_name(text: str, known: list[str], names: list[str]):
    assert split_names("--categories", text, known) == names


@pytest.mark.parametrize("text", ["a,b,c", "x,a,b,c", "a,b,c,x"])
def test_names_that_can_be_read_in_two_ways_are_asked_about(text: str):
    with pytest.raises(CutSwapError, match="--categories") as caught:
        split_names("--categories", text, ["a", "a,b", "c", "b,c", "x"])
    assert r"a\,b" in caught.value.fix
    assert r"b\,c" in caught.value.fix


@given(st.lists(st.text("ab,\\ é", min_size=1).map(str.strip).filter(bool), unique=True))
def test_joined_names_come_apart_again(names: list[str]):
    assert split_names("--categories", join_names(names), names) == names
