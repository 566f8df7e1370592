"""Command-line flags made from settings classes, and back: every knob keeps its one home.

`add_flags` gives a parser the flags of a class, `settings_from` builds the settings from what was
typed, and `flags_from` is its inverse: the words that, typed, give the same settings again.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cutswap.errors import CutSwapError
from cutswap.settings import Settings

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class FlagNames:
    """How the fields of a settings class are called on a command line.

    Attributes:
        prefix: put before each name, for example `saliency-`.
        skip: fields without a flag.
        names: other names for some fields, without the prefix.
    """

    prefix: str = ""
    skip: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def flag(self, name: str) -> str:
        """`--prefix-name` of a field."""
        return "--" + self.names.get(name, self.prefix + name.replace("_", "-"))


PLAIN = FlagNames()


def add_flags(
    parser: argparse.ArgumentParser, cls: type[Settings], naming: FlagNames = PLAIN
) -> None:
    """Add one flag a field; values stay text until `settings_from` reads them.

    Args:
        parser: receives the flags in a group named after the class.
        cls: settings class.
        naming: what the flags are called.
    """
    title = cls.__name__.removesuffix("Settings").lower() or cls.__name__
    group = parser.add_argument_group(f"{title} settings")
    for one in dataclasses.fields(cls):
        if one.name in naming.skip:
            continue
        default = _shown(one.default)
        help_text = one.metadata["help"].replace("%", "%%")
        if one.metadata["choices"]:
            help_text += f"; one of {', '.join(one.metadata['choices'])}"
        if default:
            help_text += f" [{default}]"
        group.add_argument(
            naming.flag(one.name),
            dest=f"{cls.__name__}.{one.name}",
            metavar=_metavar(one.name),
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


def flags_from(
    settings: Settings, base: Mapping[str, Any] | None = None, naming: FlagNames = PLAIN
) -> list[str]:
    """The flags that give these settings over a base: the inverse of `settings_from`.

    Args:
        settings: wanted.
        base: what the command begins with, as `to_dict` gives it; missing: the defaults.
        naming: as the parser's flags were added with; what it skips is the caller's to say.

    Returns:
        One word a field that differs, `--name=value`, since a value may begin with a minus sign.
    """
    start = {**type(settings)().to_dict(), **(base or {})}
    return [
        f"{naming.flag(name)}={_text(value)}"
        for name, value in settings.to_dict().items()
        if name not in naming.skip and value != start[name]
    ]


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


def join_names(names: Iterable[str]) -> str:
    r"""Names as one word with commas, for `split_names`; a comma in a name is `\,`."""
    return ",".join(name.replace("\\", "\\\\").replace(",", "\\,") for name in names)


def split_names(flag: str, text: str, known: Collection[str]) -> list[str]:
    r"""Names from a word with commas.

    Args:
        flag: what an error calls it.
        text: as typed; a comma separates names, and where that gives an unknown one it may belong
            to a name; `\,` is always a comma of a name.
        known: names that there are.

    Returns:
        Names, perhaps unknown ones; empty ones are left out.

    Raises:
        CutSwapError: commas that may belong to names in two ways.
    """
    parts = [""]
    for piece in re.findall(r"\\[\\,]|.", text, re.DOTALL):
        if piece == ",":
            parts.append("")
        else:
            parts[-1] += piece[-1]
    plain = [part if part in known else part.strip() for part in parts if part.strip()]
    readings = [] if all(name in known for name in plain) else _readings(parts, known)
    if len(readings) > 1:
        raise CutSwapError(
            flag,
            expected="names that can be told apart",
            found=f"{text}, which may be " + " or ".join(" and ".join(names) for names in readings),
            fix=f"write a comma inside a name as \\, : '{join_names(readings[0])}' or"
            f" '{join_names(readings[1])}'",
        )
    return readings[0] if readings else plain


def _readings(parts: Sequence[str], known: Collection[str]) -> list[list[str]]:
    """At most two ways to read parts as known names, neighbours being joined by a comma."""
    ways: list[list[list[str]]] = [[[]]]  # of the first 0, 1, ... parts
    for end in range(1, len(parts) + 1):
        ways_here = list(ways[end - 1]) if not parts[end - 1].strip() else []
        for start in range(end):
            name = ",".join(parts[start:end]).strip()
            if name in known:
                ways_here += [[*before, name] for before in ways[start]]
        ways.append(ways_here[:2])
    return ways[-1]


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


def _text(value: Any) -> str:
    """A setting's value as `_read` reads it; `str` gives a float's every digit."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return "none" if value is None else str(value)


def _shown(default: Any) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, tuple):
        return ",".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in default)
    return str(default)


def _metavar(name: str) -> str:
    return name.rsplit("_", 1)[-1].upper()
