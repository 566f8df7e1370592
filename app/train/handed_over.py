"""What the Negatives page has handed to the form: fields, and settings that have no field here."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.shared.page_parts import plain_text
from app.shared.train_with import forget_handed, handed, take_fresh
from cutswap.config import ClusterSettings

_FIELDS = {  # session key of a field of the form: section and setting
    "train.augment": ("training", "augment"),
    "train.ways": ("training", "ways"),
    "train.size": ("training", "image_size"),
    "train.k": ("clusters", "k"),
    "train.anchors": ("clusters", "anchors"),
}


def fill_fields() -> None:
    """Before the form is drawn: its fields take what was handed over, once."""
    record = take_fresh()
    if record is not None:
        st.session_state["train.seed"] = record["seed"]
        for key, (section, name) in _FIELDS.items():
            st.session_state[key] = record[section][name]


def with_handed(record: dict[str, Any], *, uses_negatives: bool) -> dict[str, Any]:
    """The form's record with what was handed over and has no field; said, with the way back.

    Args:
        record: seed and sections of the form.
        uses_negatives: whether what is trained sees negatives; else nothing is handed to it.
    """
    given = handed()
    if given is None or not uses_negatives:
        return record
    sections = {name: {**given[name], **record.get(name, {})} for name in ("clusters", "saliency")}
    sections["clusters"]["top_n"] = given["clusters"]["top_n"]
    for name in ("backbone", "weights", "layers", "fusion"):
        sections["saliency"][name] = given["saliency"][name]
    training = {**record["training"], "levels": given["training"]["levels"]}
    whole = {
        **record,
        **sections,
        "training": training,
        "negatives": given["negatives"],
        "weak": given["weak"],
    }
    said, button = st.columns([5, 1], vertical_alignment="center")
    said.caption(f":material/input: From the Negatives page: {_said(whole)}")
    button.button(
        "Forget",
        on_click=forget_handed,
        key="train.forget",
        icon=":material/undo:",
        help="Goes back to the defaults of everything that this form does not show.",
        width="stretch",
    )
    return whole


def _said(record: dict[str, Any]) -> str:
    looking, levels = record["saliency"], record["training"]["levels"]
    parts = []
    if record["training"]["augment"] == "cutswap":  # the only one that saliency guides
        parts.append(f"guided by {looking['backbone']}, {looking['weights']} weights")
        parts.append(f"layer {levels[0]}" if levels and len(levels) == 1 else "all levels")
    if record["clusters"]["top_n"] != ClusterSettings().top_n:
        parts.append(f"top {record['clusters']['top_n']} pixels")
    for name, value in record["negatives"].items():
        shown = " to ".join(f"{v:g}" for v in value) if isinstance(value, list) else str(value)
        parts.append(f"{name.replace('_', ' ')} {shown}")
    parts.append(f"positives' jitter {record['weak']['jitter']:g}")
    return plain_text(" · ".join(parts))
