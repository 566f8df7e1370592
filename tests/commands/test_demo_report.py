"""The demo's report: what it says of its figures, whichever way they fall."""

from __future__ import annotations

import numpy as np
import pytest
from jinja2 import UndefinedError

from cutswap.commands.demo_chain import figures_of
from cutswap.commands.demo_report import FIGURES, verdict, write_report
from cutswap.config import SCORES
from cutswap.reports.page import html_page


class _Scored:
    """What `figures_of` reads of a head's evaluation: one value for every figure."""

    def __init__(self, bank: float | None, head: float | None, both: float | None) -> None:
        by_score = dict(zip(SCORES, (bank, head, both), strict=True))
        self.by_score = {
            name: type("One", (), {"summary": {figure: value for figure, _, _ in FIGURES}})
            for name, value in by_score.items()
        }


def test_figures_are_mean_and_deviation_over_banks():
    figures = figures_of([_Scored(0.5, 0.9, 0.7), _Scored(0.7, 0.9, 0.9)])
    assert figures["bank"]["image_auroc"] == pytest.approx({"mean": 0.6, "spread": 0.1})
    assert figures["head"]["aupro"] == pytest.approx({"mean": 0.9, "spread": 0.0})
    assert figures["both"]["f1_max"] == pytest.approx({"mean": 0.8, "spread": 0.1})


def test_a_figure_that_one_bank_cannot_tell_is_none():
    figures = figures_of([_Scored(0.5, None, 0.7), _Scored(0.7, 0.9, 0.9)])
    assert figures["head"]["image_auroc"] == {"mean": None, "spread": None}


@pytest.mark.parametrize(
    ("banks", "says"),
    [
        ([(0.5, 0.9, 0.8)], "rises from 0.500 to 0.800; the projector alone has 0.900"),
        ([(0.8, 0.6, 0.7)], "falls from 0.800 to 0.700; the projector alone has 0.600"),
        ([(0.5, 0.6, 0.6), (0.7, 0.6, 0.6)], "goes from 0.600 to 0.600, within the spread"),
        ([(0.5, 0.6, 0.63), (0.7, 0.6, 0.73)], "goes from 0.600 to 0.680, within the spread"),
        ([(None, 0.6, 0.63)], "not defined"),
    ],
)
def test_the_verdict_follows_the_figures(banks, says):
    assert says in verdict(figures_of([_Scored(*bank) for bank in banks]))


def test_a_value_that_the_template_lacks_is_no_silent_gap():
    with pytest.raises(UndefinedError, match="n_train"):
        html_page("cutswap.commands", "demo_report.html", result={"category": "nut"}, pictures={})


def test_the_page_shows_every_figure_three_ways(tmp_path):
    line = {"loss": 1.25, "accuracy": 0.75}
    result = {
        "scores": figures_of([_Scored(0.5, None, 0.7)]),
        "weights": [0.1, 1 / 3],
        "curve": [line, line],
        "training": {"loss": 0.5, "accuracy": 0.9, "chance": 0.5},
        "layers": ["4"], "patchcore_layers": ["layer2"], "category": "<b>nut</b>",
        "n_train": 40, "n_test": 10, "n_defective": 5, "seed": 0, "seconds": 9, "device": "cpu",
        "saliency_backbone": "resnet18", "k": 2, "coreset": 0.001, "bank_size": 40, "banks": 1,
        "phi_weights": "a", "saliency_weights": "b", "command": "c",
    }  # fmt: skip
    picture = np.zeros((4, 4, 3), np.uint8)
    names = ("saliency", "clusters", "negatives", "heatmaps")
    page = write_report(tmp_path, result, dict.fromkeys(names, picture)).read_text()
    assert page.count("0.500 ± 0.000") == page.count("0.700 ± 0.000") == len(FIGURES)
    assert page.count('<td class="n">–</td>') == len(FIGURES)
    assert "1.25 to 0.50" in page
    assert "10%, 33%" in page
    assert "<b>nut" not in page
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == sorted(
        f"{name}.jpg" for name in names
    )
