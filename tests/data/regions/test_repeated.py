"""What repeats a run or an evaluation looks where it has looked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutswap.commands.parser import parse
from cutswap.config import FineTuningSettings, PatchCoreSettings
from cutswap.data.images import save_png
from cutswap.data.loading import check_category
from cutswap.data.regions.region_of_interest import region_flags
from cutswap.reports.repeat import evaluate_again
from cutswap.training.flags import repeat_arguments
from tests.helpers.datasets import build_category


def flags_after(root: Path, given: str | Path | None) -> list[str]:
    checked = check_category(root, None, skip_bad=False, region=given)
    data = {"root": str(root), **checked.to_dict()}
    flags = region_flags(data)
    settings = FineTuningSettings().to_dict()
    run = parse(repeat_arguments({**settings, "seed": 0, "data": data}, Path("run")))
    summary = {"weights": {"source": "embedded"}, "data": data, "seed": 0}
    line = evaluate_again({**summary, "patchcore": PatchCoreSettings().to_dict()})
    asked = parse([str(word) for word in line or []])
    said = flags[1] if flags else None
    assert [run.region, asked.region] == [said, said]
    return flags


def test_the_folder_s_own_is_found_again_and_another_is_named(tmp_path):
    root = build_category(tmp_path)
    own, other = root / "region.png", tmp_path / "other.png"
    save_png(other, np.tile(np.arange(16) < 9, (12, 1)))
    assert flags_after(root, None) == []
    assert flags_after(root, other) == ["--region", str(other)]
    save_png(own, np.tile(np.arange(16) < 5, (12, 1)))
    assert flags_after(root, None) == []
    assert flags_after(root, other) == ["--region", str(other)]
    assert flags_after(root, "none") == ["--region", "none"]


@pytest.mark.parametrize("region", [5, [], {}, {"path": None}, {"path": 7}, "x"])
def test_a_record_that_is_none_asks_for_none(region, tmp_path):
    assert region_flags({"root": str(tmp_path), "region": region}) == []
