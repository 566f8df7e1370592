"""Settings check themselves at birth, name what is wrong, and survive JSON."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import pickle
import types
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap import config
from cutswap.config import (
    RECIPES,
    ClusterSettings,
    FineTuningSettings,
    NegativeSettings,
    PatchCoreSettings,
    SaliencySettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.errors import CutSwapError
from cutswap.settings import Settings

CLASSES = [
    value
    for _, value in inspect.getmembers(config, inspect.isclass)
    if issubclass(value, Settings) and value not in (Settings, config.FineTuningSettings)
]
BEYOND_FLOAT = 10**400
NAN, INF = math.nan, math.inf


def test_every_stage_has_its_class():
    names = {c.__name__ for c in CLASSES}
    assert {"SaliencySettings", "ClusterSettings", "NegativeSettings", "WeakAugmentation"} <= names
    assert {"TrainingSettings", "PatchCoreSettings"} <= names


@pytest.mark.parametrize(
    ("kind", "name", "value", "expected"),
    [
        # a whole number: below its range, above it, a fraction, a text, yes or no, no number
        (ClusterSettings, "k", 0, "a whole number >= 1 and <= 64"),
        (ClusterSettings, "k", 65, "a whole number >= 1 and <= 64"),
        (ClusterSettings, "k", 2.5, "a whole number >= 1 and <= 64"),
        (ClusterSettings, "k", "4", "a whole number >= 1 and <= 64"),
        (ClusterSettings, "k", True, "a whole number >= 1 and <= 64"),
        (ClusterSettings, "k", None, "a whole number >= 1 and <= 64"),
        (ClusterSettings, "k", NAN, "a whole number >= 1 and <= 64"),
        (ClusterSettings, "k", INF, "a whole number >= 1 and <= 64"),
        (ClusterSettings, "k", BEYOND_FLOAT, "a whole number >= 1 and <= 64"),
        (ClusterSettings, "k", [4], "a whole number >= 1 and <= 64"),
        # a number: a strict lower end, an upper end, NaN, infinity, yes or no
        (PatchCoreSettings, "coreset", 0.0, "a number > 0 and <= 1"),
        (PatchCoreSettings, "coreset", 1.01, "a number > 0 and <= 1"),
        (PatchCoreSettings, "coreset", NAN, "a number > 0 and <= 1"),
        (PatchCoreSettings, "coreset", -INF, "a number > 0 and <= 1"),
        (PatchCoreSettings, "coreset", True, "a number > 0 and <= 1"),
        (PatchCoreSettings, "coreset", BEYOND_FLOAT, "a number > 0 and <= 1"),
        (PatchCoreSettings, "coreset", {}, "a number > 0 and <= 1"),
        # a choice
        (NegativeSettings, "method", "cutmix", "one of cutswap, cutswap-scar, cutpaste"),
        (NegativeSettings, "method", 1, "one of cutswap, cutswap-scar, cutpaste"),
        (ClusterSettings, "anchors", "Max-Cluster", "one of max-cluster, min-cluster"),
        # a text
        (SaliencySettings, "backbone", 16, "a text"),
        (SaliencySettings, "backbone", None, "a text"),
        # yes or no
        (TrainingSettings, "freeze_batch_norm", 1, "true or false"),
        (TrainingSettings, "freeze_batch_norm", "yes", "true or false"),
        # a range: one end, three ends, the wrong way round, an end outside, NaN, no list
        (NegativeSettings, "area", (0.1,), "2 values"),
        (NegativeSettings, "area", (0.1, 0.2, 0.3), "2 values"),
        (NegativeSettings, "area", (0.2, 0.1), "low,high in that order"),
        (NegativeSettings, "area", (0.0, 0.1), "a number > 0 and <= 1"),
        (NegativeSettings, "area", (0.1, 1.1), "a number > 0 and <= 1"),
        (NegativeSettings, "area", (0.1, NAN), "a number > 0 and <= 1"),
        (NegativeSettings, "area", 0.1, "several values"),
        (NegativeSettings, "area", "0.1,0.2", "several values"),
        (NegativeSettings, "scar_width", (2.5, 16), "a whole number >= 1"),
        (NegativeSettings, "angle", (-181, 0), "a number >= -180 and <= 180"),
        # a list: a text would be read letter by letter, an item of another kind
        (SaliencySettings, "layers", "4,9", "several values"),
        (SaliencySettings, "layers", ("4", 9), "a text"),
        (TrainingSettings, "hidden", (512, 0), "a whole number >= 1"),
        # optional: everything but None is still checked
        (NegativeSettings, "jitter", 0.6, "a number >= 0 and <= 0.5"),
        (SaliencySettings, "target_class", -1, "a whole number >= 0"),
        # nested settings
        (FineTuningSettings, "clusters", None, "a ClusterSettings"),
        (FineTuningSettings, "clusters", WeakAugmentation(), "a ClusterSettings"),
    ],
)
def test_a_refusal_names_setting_expected_found_and_fix(kind, name, value, expected):
    with pytest.raises(CutSwapError) as caught:
        kind(**{name: value})
    error = caught.value
    assert error.subject == name
    assert error.expected.startswith(expected)
    assert error.found
    assert error.fix
    assert str(error) == (
        f"{name}: expected {error.expected}, found {error.found}. To fix it: {error.fix}."
    )
    # the same through a file
    with pytest.raises(CutSwapError, match=name):
        kind.from_dict({name: value})


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
def test_the_fix_shows_a_value_that_works(kind):
    for field in dataclasses.fields(kind):
        for wrong in (object(), (object(),), (object(),) * 2):  # no list, one item, a pair
            with pytest.raises(CutSwapError) as caught:
                kind(**{field.name: wrong})
            assert not caught.value.fix.endswith("for example ")


@pytest.mark.parametrize(
    ("given_value", "kept", "kind", "name"),
    [
        # lists become tuples, whole floats become ints, ints become floats
        ([0.1, 0.2], (0.1, 0.2), NegativeSettings, "area"),
        (4.0, 4, ClusterSettings, "k"),
        (1, 1.0, PatchCoreSettings, "coreset"),
        ([2, 16.0], (2, 16), NegativeSettings, "scar_width"),
        ([], (), TrainingSettings, "frozen"),
        (None, None, NegativeSettings, "jitter"),
        # both ends of a range may be equal
        ((0.1, 0.1), (0.1, 0.1), NegativeSettings, "area"),
    ],
)
def test_values_take_the_type_of_their_field(given_value, kept, kind, name):
    value = getattr(kind(**{name: given_value}), name)
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    "values",
    [
        # one letter off, another class's setting, a name that is no text
        {"K": 4},
        {"k": 4, "coreset": 0.1},
        {3: 4, "k": 4},
        # not settings at all
        [],
        [1],
        "k=4",
        None,
        4,
    ],
)
def test_from_dict_refuses_what_is_no_setting(values):
    with pytest.raises(CutSwapError, match="ClusterSettings"):
        ClusterSettings.from_dict(values)


def test_an_unknown_key_is_named_with_those_that_exist():
    with pytest.raises(CutSwapError, match=r"kk.*anchors, k, top_n"):
        ClusterSettings.from_dict({"kk": 4})


def test_an_unknown_key_of_nested_settings_is_refused():
    with pytest.raises(CutSwapError, match="ClusterSettings: kk"):
        FineTuningSettings.from_dict({"clusters": {"kk": 4}})


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ClusterSettings().k = 3


def test_replace_checks_again():
    assert ClusterSettings().replace(k=3) == ClusterSettings(k=3)
    with pytest.raises(CutSwapError, match="k"):
        ClusterSettings().replace(k=0)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
def test_every_field_has_help_and_a_default_inside_its_own_range(kind):
    kind()
    for field in dataclasses.fields(kind):
        help_text = field.metadata["help"]
        assert help_text.strip() == help_text != ""
        assert "\n" not in help_text
        assert field.default is not dataclasses.MISSING


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_are_settings(name):
    settings = TrainingSettings(recipe=name, **RECIPES[name])
    assert TrainingSettings.from_dict(settings.to_dict()) == settings


def values_of(field: dataclasses.Field[Any], hint: Any) -> st.SearchStrategy[Any]:
    """Every value the field's own rules allow."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (inner,) = [o for o in typing.get_args(hint) if o is not type(None)]
        return st.none() | values_of(field, inner)
    if typing.get_origin(hint) is tuple:
        items = typing.get_args(hint)
        if items[1] is Ellipsis:
            return st.lists(values_of(field, items[0]), max_size=4)
        return st.tuples(*(values_of(field, item) for item in items)).map(sorted)
    rules = field.metadata
    if rules.get("choices"):
        return st.sampled_from(rules["choices"])
    low, high, above = rules.get("low"), rules.get("high"), rules.get("above")
    if hint is float:
        return st.floats(
            low if above is None else above,
            high,
            exclude_min=above is not None,
            allow_nan=False,
            allow_infinity=False,
        )
    if hint is int:
        return st.integers(low, 10**9 if high is None else high)
    return st.booleans() if hint is bool else st.text(max_size=8)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
@given(data=st.data())
def test_settings_survive_json(kind, data):
    hints = typing.get_type_hints(kind)
    drawn = {
        f.name: data.draw(values_of(f, hints[f.name]), label=f.name)
        for f in dataclasses.fields(kind)
    }
    settings = kind(**drawn)
    text = json.dumps(settings.to_dict(), allow_nan=False)
    assert json.loads(text) == settings.to_dict()  # lists, not tuples, before the file as after
    assert kind.from_dict(json.loads(text)) == settings


def test_nested_settings_survive_json():
    settings = FineTuningSettings(clusters=ClusterSettings(k=6), negatives=NegativeSettings())
    assert FineTuningSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_errors_cross_process_borders():
    error = CutSwapError("k", expected="an integer", found=0, fix="pass --k 4")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (str(again), again.subject, again.expected, again.found, again.fix) == (
        str(error),
        "k",
        "an integer",
        "0",
        "pass --k 4",
    )
    assert isinstance(error, ValueError)
