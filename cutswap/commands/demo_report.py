"""The demo's report: one HTML file with its pictures inside, to open in any browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import SCORES
from cutswap.reports.page import html_page, inline, jpeg
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
        result: what the demo measured: `scores` (score to figure to `mean` and `spread`),
            `training`, `curve` (metric lines), and facts for the text.
        pictures: (H, W, 3) uint8 by name, as the template asks for them.

    Returns:
        The file written.
    """
    page = html_page(
        "cutswap.commands",
        "demo_report.html",
        result=result,
        pictures={name: inline(photo) for name, photo in pictures.items()},
        figures=[
            {
                "name": label,
                "meaning": meaning,
                "values": [_shown(result["scores"][score][key]) for score in SCORES],
            }
            for key, label, meaning in FIGURES
        ],
        verdict=verdict(result["scores"]),
        shares=", ".join(f"{weight:.0%}" for weight in result["weights"]),
        loss_points=_polyline([line["loss"] for line in result["curve"]]),
        accuracy_points=_polyline([line["accuracy"] for line in result["curve"]], high=1.0),
    )
    for name, photo in pictures.items():
        write_bytes(out / _picture(name), jpeg(photo))
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


def _shown(figure: Mapping[str, float | None]) -> str:
    if figure["mean"] is None:
        return "–"
    return f"{figure['mean']:.3f} ± {figure['spread']:.3f}"


def verdict(scores: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> str:
    """What bank and projector together gain in image AUROC, whichever way it falls.

    Args:
        scores: score to figure to `mean` and `spread`.
    """
    bank, alone, both = (scores[name]["image_auroc"] for name in SCORES)
    if bank["mean"] is None or alone["mean"] is None or both["mean"] is None:
        return "The image AUROC is not defined on this data."
    gain, spread = both["mean"] - bank["mean"], max(bank["spread"] or 0, both["spread"] or 0)
    moves = "rises" if gain > spread else "falls" if gain < -spread else "goes"
    return (
        f"With the projector the image AUROC {moves} from {bank['mean']:.3f} to {both['mean']:.3f}"
        + (", within the spread over banks" if abs(gain) <= spread else "")
        + f"; the projector alone has {alone['mean']:.3f}."
    )


def _polyline(values: list[float], high: float | None = None) -> str:
    """SVG points in a 300 by 80 box, origin lower left."""
    if len(values) < 2:
        return ""
    top = high or max(values) or 1.0
    steps = len(values) - 1
    return " ".join(f"{300 * i / steps:.1f},{80 - 80 * v / top:.1f}" for i, v in enumerate(values))
