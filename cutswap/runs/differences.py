"""In which settings several fine-tuning runs differ, from their settings.json.

A setting that a record lacks has the default of its class: older records know fewer settings.
What the run was about, category, data set and seed, counts as settings too.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutswap.config import FineTuningSettings
from cutswap.errors import CutSwapError
from cutswap.settings import Settings

# Sections of settings.json, in their order.
SECTIONS: dict[str, type[Settings]] = typing.get_type_hints(FineTuningSettings)
CATEGORY, DATA_SET, PHOTOS, SEED = "category", "data set", "training photos", "seed"


@dataclass(frozen=True)
class Difference:
    """One setting that is not the same everywhere.

    Attributes:
        name: dotted as in settings.json, `training.learning_rate`, or what the run was about.
        values: one a record, in their order, as JSON has them; None also where nothing is said
            and there is no default.
    """

    name: str
    values: tuple[Any, ...]

    @property
    def label(self) -> str:
        """For people: `learning rate` of the training, `clusters: k` of other sections."""
        return self.name.removeprefix("training.").replace(".", ": ", 1).replace("_", " ")

    @property
    def texts(self) -> tuple[str, ...]:
        """The values for people: `0.03`, `yes`, `layer2, layer3`, `default`."""
        return tuple(_text(value) for value in self.values)


def settings_differences(records: Sequence[Mapping[str, Any]]) -> tuple[Difference, ...]:
    """Every setting in which the records differ, as the settings classes order them.

    Args:
        records: of settings.json, any number.

    Raises:
        CutSwapError: a section that is no object.
    """
    flat = [flat_settings(record) for record in records]
    names = list(flat_settings({}))
    unknown = sorted({name for values in flat for name in values} - set(names))
    differences = []
    for name in (*names, *unknown):
        values = tuple(each.get(name) for each in flat)
        if any(not _same(value, values[0]) for value in values[1:]):
            differences.append(Difference(name, values))
    return tuple(differences)


def flat_settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name, defaults filled in, unknown ones last.

    Args:
        record: of settings.json.

    Raises:
        CutSwapError: a section that is no object.
    """
    data = _section(record, "data")
    name, root = data.get("name"), str(data.get("root") or "")
    flat: dict[str, Any] = {
        CATEGORY: name,
        # Of the category's folder the rest: two categories of one data set differ in one thing.
        DATA_SET: root.removesuffix(f"/{name}") or None,
        PHOTOS: data.get("n_train"),
        SEED: record.get("seed", 0),
    }
    for section, cls in SECTIONS.items():
        values = {**cls().to_dict(), **_section(record, section)}
        flat |= {f"{section}.{setting}": value for setting, value in values.items()}
    return flat


def _section(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    values = record.get(name)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise CutSwapError(
            f"settings.json, {name}",
            expected="an object of settings",
            found=type(values).__name__,
            fix="restore the file, or leave this run out",
        )
    return values


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) != isinstance(other, bool):  # True == 1
        return False
    return bool(one == other) or repr(one) == repr(other)  # NaN is not itself


def _text(value: Any) -> str:
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text(v) for v in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
