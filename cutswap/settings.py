"""The machinery of settings: frozen dataclasses that check themselves once, at birth.

A field is declared with `setting(default, help, ...)`; its range, choices and help line live
beside it and serve the command line's flags, the pages' widgets and the run record alike, so a
knob has one home. The settings themselves are in `config.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, Self

from cutswap.errors import CutSwapError


@dataclass(frozen=True)
class Control:
    """How a screen offers a number, or a range of them: its slider's name, ends and explanation.

    Attributes:
        label: as shown above it.
        low: its left end; what the field allows may reach further.
        high: its right end.
        step: between two positions.
        help: what it does, for somebody who has not met it; the field's own help is for flags.
    """

    label: str
    low: float
    high: float
    step: float
    help: str


def setting(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    control: Control | None = None,
) -> Any:
    """Declare one field of a settings dataclass.

    Args:
        default: its value when nobody says otherwise.
        help: one line a user can read, with the unit and, where there is one, the source.
        choices: the only strings allowed.
        low: smallest number allowed, itself included.
        high: largest number allowed, itself included.
        above: numbers must be strictly greater than this one.
        control: how screens offer it; None: they do not, or have a list of choices of their own.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "choices": choices,
            "low": low,
            "high": high,
            "above": above,
            "control": control,
        },
    )


def control_of(cls: type[Settings], name: str) -> Control:
    """How screens offer a field.

    Raises:
        LookupError: the field says nothing of screens.
    """
    control = cls.__dataclass_fields__[name].metadata["control"]
    if control is None:
        raise LookupError(f"{cls.__name__}.{name} has no control")
    return typing.cast(Control, control)


def choices_of(cls: type[Settings], name: str) -> tuple[str, ...]:
    """The only values that a field takes.

    Raises:
        LookupError: it takes any.
    """
    choices = cls.__dataclass_fields__[name].metadata["choices"]
    if not choices:
        raise LookupError(f"{cls.__name__}.{name} has no list of choices")
    return typing.cast(tuple[str, ...], choices)


@dataclass(frozen=True)
class Settings:
    """Base of every settings class: checks types, choices and ranges; converts to and from dicts.

    Numbers may be single values or pairs (a range to draw from; both ends are checked and must be
    in order). `None` is allowed only where the annotation says so.
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)  # mypy finds no hash on a dataclass of a generic self
        hints = _hints(kind)
        for field in dataclasses.fields(self):
            value = _coerce(getattr(self, field.name), hints[field.name], field)
            object.__setattr__(self, field.name, value)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values, nested settings as nested dicts."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from `to_dict` output.

        Raises:
            CutSwapError: a key that is not a setting, or a value out of range.
        """
        kind: Any = cls
        hints = _hints(kind)
        if not isinstance(values, dict):
            _refuse(cls.__name__, "settings by name", repr(values), "pass a dict")
        unknown = sorted(str(name) for name in values if name not in hints)
        if unknown:
            raise CutSwapError(
                f"{cls.__name__}: {', '.join(unknown)}",
                expected=f"settings among {', '.join(sorted(hints))}",
                found="an unknown setting",
                fix="correct the name or remove it",
            )
        built = {
            name: hints[name].from_dict(value)
            if isinstance(value, dict)
            and isinstance(hints[name], type)
            and issubclass(hints[name], Settings)
            else value
            for name, value in values.items()
        }
        return cls(**built)

    def replace(self, **changes: Any) -> Self:
        """A copy with some settings changed, checked again."""
        return dataclasses.replace(self, **changes)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    """Annotations as types; evaluating them took a tenth of a drawn negative's time."""
    return typing.get_type_hints(cls)


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


def _coerce(value: Any, hint: Any, field: dataclasses.Field[Any]) -> Any:
    """The value as its annotation wants it (lists become tuples, ints become floats)."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        (hint,) = [o for o in options if o is not type(None)]
        origin = typing.get_origin(hint)
    if isinstance(hint, type) and issubclass(hint, Settings):
        if not isinstance(value, hint):
            _refuse(field.name, f"a {hint.__name__}", value, f"build a {hint.__name__} first")
        return value
    if origin is tuple:
        return _coerce_tuple(value, typing.get_args(hint), field)
    return _coerce_scalar(value, hint, field)


def _coerce_tuple(value: Any, items: tuple[Any, ...], field: dataclasses.Field[Any]) -> Any:
    if isinstance(value, str) or not isinstance(value, (tuple, list)):
        _refuse(field.name, "several values", value, "pass a list, separated by commas")
    open_ended = len(items) == 2 and items[1] is Ellipsis
    if open_ended:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        _refuse(field.name, f"{len(items)} values", list(value), "pass exactly that many")
    result = tuple(_coerce_scalar(v, h, field) for v, h in zip(value, items, strict=True))
    is_range = not open_ended and items in ((float, float), (int, int))
    if is_range and result[0] > result[1]:
        _refuse(field.name, "low,high in that order", list(result), "swap the two ends")
    return result


def _coerce_scalar(value: Any, hint: type, field: dataclasses.Field[Any]) -> Any:
    rules = field.metadata
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_finite = is_number and _is_finite(value)
    if hint is float and is_finite:
        value = float(value)
    elif hint is int and is_finite and float(value).is_integer():
        value = int(value)
    elif hint not in (str, bool) or not isinstance(value, hint):
        _refuse(field.name, _wanted(hint, rules), repr(value), f"pass {_example(field)}")
    out_of_range = is_number and (
        (rules.get("low") is not None and value < rules["low"])
        or (rules.get("high") is not None and value > rules["high"])
        or (rules.get("above") is not None and value <= rules["above"])
    )
    if out_of_range or (rules.get("choices") and value not in rules["choices"]):
        _refuse(field.name, _wanted(hint, rules), repr(value), f"pass {_example(field)}")
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        return False


def _wanted(hint: type, rules: Any) -> str:
    if rules.get("choices"):
        return f"one of {', '.join(rules['choices'])}"
    noun = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[hint]
    bounds = [
        f"{sign} {rules[key]:g}"
        for key, sign in (("low", ">="), ("above", ">"), ("high", "<="))
        if rules.get(key) is not None
    ]
    return " ".join([noun, " and ".join(bounds)]).strip()


def _example(field: dataclasses.Field[Any]) -> str:
    default = field.default
    if isinstance(default, tuple):
        default = ",".join(f"{v:g}" if isinstance(v, float) else str(v) for v in default)
    return "a value of that kind" if default in (None, "") else f"for example {default}"


def _refuse(name: str, expected: str, found: Any, fix: str) -> typing.NoReturn:
    raise CutSwapError(name, expected=expected, found=found, fix=fix)
