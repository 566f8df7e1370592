"""One HTML file that is a whole detector: network, runtime and page, opened from a disk.

Large parts are gzipped and in base64, which the browser unpacks. The page's own policy lets it load
nothing from anywhere.
"""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cutswap.decision.formats.web_runtime import VERSION, WebRuntime
from cutswap.utils.overlays import colourise

PAGE = "detector.html"
_OWN = Path(__file__).parent
_SHOWN = (("layers", "layers"), ("coreset", "coreset"), ("whiten", "whitening"))


def detector_page(
    about: dict[str, Any], network: bytes, runtime: WebRuntime, *, written: str
) -> str:
    """The page as a text.

    Args:
        about: what detector.json says.
        network: detector.onnx.
        runtime: what runs it.
        written: the day.
    """
    environment = Environment(
        loader=FileSystemLoader(_OWN), autoescape=True, undefined=StrictUndefined
    )
    low, high = about["range"]
    card = {
        "category": about["category"],
        "image_size": about["image_size"],
        "bits": about["bits"],
        "resize": about["resize"],
        "threshold": about["threshold"]["value"],
        "range": [low, high],
        "region": about["region"],
        "colours": _colours(),
    }
    return environment.get_template("detector.html").render(
        category=about["category"],
        written=written,
        threshold=f"{about['threshold']['value']:.6g}",
        how=about["threshold"]["how"],
        assumption=(about["decision"] or {}).get("assumption"),
        low=f"{low:.3g}",
        high=f"{high:.3g}",
        facts=_facts(about),
        version=VERSION,
        style=_own("detector.css"),
        square=_own("square.js"),
        script=_own("detector.js"),
        card=_packed(json.dumps(card).encode()),
        network=_packed(network),
        runtime=_packed(runtime.script),
        glue=_packed(runtime.glue),
        wasm=_packed(runtime.wasm),
    )


def _own(name: str) -> Markup:
    """A file of ours, which is no text to be escaped."""
    return Markup((_OWN / name).read_text(encoding="utf-8"))  # noqa: S704 - not a stranger's


def _packed(data: bytes) -> str:
    # Without a time of day: the same detector is the same file.
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def _colours() -> list[int]:
    """256 x RGB of the heat's colours, as 768 whole numbers."""
    ramp = np.linspace(0, 1, 256, dtype=np.float64)[None]
    return [int(value) for value in colourise(np.nextafter(ramp, 2)).ravel()]


def _facts(about: dict[str, Any]) -> list[tuple[str, str]]:
    """What the page tells of its detector."""
    settings, check = about["settings"], about["check"]
    looks = {"squash": "sides stretched to a square", "fit": "whole, in its own shape"}
    head = about["head"]
    return [
        ("scores by", about["score"] if head else "a memory bank (PatchCore)"),
        ("network", about["network"]),
        *((text, _plain(settings[name])) for name, text in _SHOWN),
        ("bank", f"{about['bank_size']:,} patches"),
        (
            "photo",
            f"{about['image_size']} x {about['image_size']} pixels,"
            f" {looks.get(about['resize'], 'the largest square from its centre')}",
        ),
        ("looks", "everywhere" if about["region"] is None else "inside its region"),
        (
            "checked",
            f"on {check['photos']} {check['source']}: scores within"
            f" {check['max_score_difference']:.1g} of the library's",
        ),
        ("made by", f"cutswap {about['environment']['versions']['cutswap']}"),
        ("network's fingerprint", str(about["fingerprint"])),
    ]


def _plain(value: object) -> str:
    return "+".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
