"""OpenVINO IR: the same scores as the library's, or a line; skipped where the package is not."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from cutswap.decision import export as exporting
from cutswap.decision.export import export_detector
from cutswap.decision.exported import NETWORK, open_detector
from cutswap.decision.formats.openvino_ir import IR_FILES, write_ir
from cutswap.errors import CutSwapError
from tests.decision.test_export import PHOTOS, bank_of, evaluated

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None,
    reason="openvino is an optional extra: pip install cutswap[openvino]",
)


def test_without_the_package_it_is_refused_before_any_file(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != "openvino" or None)
    with pytest.raises(CutSwapError, match=r"cutswap\[openvino\]"):
        export_detector(evaluated(bank_of()), tmp_path, PHOTOS, "photos", openvino=True)
    assert list(tmp_path.iterdir()) == []


@needs_openvino
def test_it_scores_as_the_library_does_and_its_files_are_told(tmp_path):
    own = evaluated(bank_of())
    about = export_detector(own, tmp_path, PHOTOS, "photos", openvino=True)
    assert set(IR_FILES) <= set(about["files"])
    assert about["openvino"]["max_score_difference"] <= 1e-4 * about["openvino"]["largest_score"]
    assert set(about["openvino"]["seconds_per_photo"]) == {"cutswap", "openvino"}
    (tmp_path / "again").mkdir()
    run = write_ir(tmp_path / NETWORK, tmp_path / "again")
    scores = open_detector(tmp_path).scores_of(PHOTOS)[0]
    np.testing.assert_allclose(run(PHOTOS)[0], scores, rtol=1e-4)


@needs_openvino
def test_one_that_differs_is_not_kept(tmp_path, monkeypatch):
    real = write_ir

    def wrong(network, out):
        run = real(network, out)
        return lambda photos: [run(photos)[0] * 1.01, *run(photos)[1:]]

    monkeypatch.setattr(exporting, "write_ir", wrong)
    with pytest.raises(CutSwapError, match="score within"):
        export_detector(evaluated(bank_of()), tmp_path, PHOTOS, "photos", openvino=True)
    assert not [name for name in IR_FILES if (tmp_path / name).exists()]
    assert not (tmp_path / "detector.json").exists()


@needs_openvino
def test_a_file_that_is_no_network_is_told_in_a_line(tmp_path):
    (tmp_path / NETWORK).write_bytes(json.dumps({}).encode())
    with pytest.raises(CutSwapError, match="OpenVINO to convert"):
        write_ir(tmp_path / NETWORK, tmp_path)
