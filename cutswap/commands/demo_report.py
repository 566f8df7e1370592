"""The demo's report: one HTML file with its pictures inside, to open in any browser."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from PIL import Image

from cutswap.utils.files import write_bytes, write_text

REPORT = "report.html"
FIGURES = (
    ("image_auroc", "image AUROC", "chance that a defective image scores above a good one"),
    ("pixel_auroc", "pixel AUROC", "the same for defective pixels, all test images pooled"),
    ("aupro", "AUPRO", "mean covered share of each defect, up to a false positive rate of 0.3"),
    ("image_average_precision", "average precision", "area under the precision-recall curve"),
    ("f1_max", "F1-max", "best F1 over all thresholds of the image score"),
)


def write_report(out: Path, result: Mapping[str, Any], pictures: Mapping[str, np.ndarray]) -> Path:
    """Write `report.html`, and its pictures as files in `pictures/`.

    Args:
        out: folder.
        result: what the demo measured: `before` and `after` summaries, `training`, `curve`
            (metric lines), and facts for the text.
        pictures: (H, W, 3) uint8 by name, as the template asks for them.

    Returns:
        The file written.
    """
    environment = Environment(loader=PackageLoader("cutswap.commands", "."), autoescape=True)
    page = environment.get_template("demo_report.html").render(
        result=result,
        pictures={name: _inline(photo) for name, photo in pictures.items()},
        figures=[
            {
                "name": label,
                "meaning": meaning,
                "before": _shown(result["before"][key]),
                "after": _shown(result["after"][key]),
                "change": _change(result["before"][key], result["after"][key]),
            }
            for key, label, meaning in FIGURES
        ],
        verdict=_verdict(result["before"]["image_auroc"], result["after"]["image_auroc"]),
        loss_points=_polyline([line["loss"] for line in result["curve"]]),
        accuracy_points=_polyline([line["accuracy"] for line in result["curve"]], high=1.0),
    )
    for name, photo in pictures.items():
        write_bytes(out / _picture(name), _jpeg(photo))
    path = out / REPORT
    write_text(path, page)
    return path


def report_files(pictures: Iterable[str]) -> tuple[str, ...]:
    """Names of what `write_report` writes.

    Args:
        pictures: their names.
    """
    return (*map(_picture, pictures), REPORT)


def _picture(name: str) -> str:
    return f"pictures/{name}.jpg"


def _jpeg(photo: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(photo).save(data, "JPEG", quality=88)
    return data.getvalue()


def _inline(photo: np.ndarray) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(_jpeg(photo)).decode()


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _change(before: float | None, after: float | None) -> str:
    return "–" if before is None or after is None else f"{after - before:+.3f}"


def _verdict(before: float | None, after: float | None) -> str:
    """What the change of image AUROC says, whichever way it falls."""
    if before is None or after is None:
        return "The image AUROC is not defined on this data."
    if abs(after - before) < 0.005:
        return "In this run, tuning left the image AUROC as it was."
    moved = "raised" if after > before else "lowered"
    return f"In this run, tuning {moved} the image AUROC by {abs(after - before):.3f}."


def _polyline(values: list[float], high: float | None = None) -> str:
    """SVG points in a 300 by 80 box, origin lower left."""
    if len(values) < 2:
        return ""
    top = high or max(values) or 1.0
    steps = len(values) - 1
    return " ".join(f"{300 * i / steps:.1f},{80 - 80 * v / top:.1f}" for i, v in enumerate(values))
