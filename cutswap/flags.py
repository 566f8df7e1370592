"""Command-line flags made from settings classes, so that every knob keeps its one home."""

from __future__ import annotations

import argparse
import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from cutswap.errors import CutSwapError
from cutswap.settings import Settings

S = TypeVar("S", bound=Settings)

# Flags of the saliency settings beside those of a network that is trained or evaluated.
SALIENCY_NAMES = {"layers": "layers", "target_class": "target-class"}


def add_flags(
    parser: argparse.ArgumentParser,
    cls: type[Settings],
    *,
    skip: tuple[str, ...] = (),
    prefix: str = "",
    names: Mapping[str, str] | None = None,
) -> None:
    """Add one flag a field; values stay text until `settings_from` reads them.

    Args:
        parser: receives the flags in a group named after the class.
        cls: settings class.
        skip: fields without a flag.
        prefix: put before each name, for example `saliency-`.
        names: other names for some fields.
    """
    title = cls.__name__.removesuffix("Settings").lower() or cls.__name__
    group = parser.add_argument_group(f"{title} settings")
    for field in dataclasses.fields(cls):
        if field.name in skip:
            continue
        flag = (names or {}).get(field.name, prefix + field.name.replace("_", "-"))
        default = _shown(field.default)
        help_text = field.metadata["help"].replace("%", "%%")
        if field.metadata["choices"]:
            help_text += f"; one of {', '.join(field.metadata['choices'])}"
        if default:
            help_text += f" [{default}]"
        group.add_argument(
            f"--{flag}",
            dest=f"{cls.__name__}.{field.name}",
            metavar=_metavar(field.name),
            help=help_text,
        )


def settings_from(
    arguments: argparse.Namespace, cls: type[S], base: Mapping[str, Any] | None = None
) -> S:
    """Build settings from what the user typed over `base` over the defaults.

    Raises:
        CutSwapError: a value that is not of the field's kind or range, named by its field.
    """
    hints = typing.get_type_hints(cls)
    values = dict(base or {})
    for name, hint in hints.items():
        text = getattr(arguments, f"{cls.__name__}.{name}", None)
        if text is not None:
            values[name] = _read(name, text, hint)
    return cls(**values)


def read_value(cls: type[Settings], name: str, text: str) -> Any:
    """A field's value from text, of its kind but not yet checked for its range.

    Args:
        cls: settings class.
        name: of the field.
        text: as typed; several values with commas, `none` for none.

    Raises:
        CutSwapError: it is of another kind.
    """
    return _read(name, text, typing.get_type_hints(cls)[name])


def _read(name: str, text: str, hint: Any) -> Any:
    """Text to the kind of value the annotation asks for."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if text.lower() == "none":
            return None
        (hint,) = [o for o in typing.get_args(hint) if o is not type(None)]
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return tuple(_scalar(name, part, item) for part in parts)
    return _scalar(name, text, hint)


def _scalar(name: str, text: str, hint: Any) -> Any:
    try:
        if hint is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                text.lower()
            ]
        return hint(text)
    except (ValueError, KeyError):
        kinds = {int: "a whole number", float: "a number", bool: "true or false"}
        raise CutSwapError(
            f"--{name.replace('_', '-')}",
            expected=kinds.get(hint, "a text"),
            found=repr(text),
            fix="see --help",
        ) from None


def _shown(default: Any) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, tuple):
        return ",".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in default)
    return str(default)


def _metavar(name: str) -> str:
    return name.rsplit("_", 1)[-1].upper()
