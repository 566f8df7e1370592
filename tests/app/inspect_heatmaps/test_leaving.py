"""A detector leaves Inspect: one folder in the runs folder, whole, with the page's threshold."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from app.inspect_heatmaps.deciding import leaving
from app.shared.background import tasks
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import read_scored
from tests.helpers.inspect_page import no_trace, open_page, words


def written(at) -> None:
    at.button(key="leaving.write").click().run()
    for work in list(tasks()._works.values()):
        work.thread.join(60)
    at.run()
    no_trace(at)


def test_it_is_written_with_the_threshold_of_the_page(saved):
    pytest.importorskip("onnxruntime", reason="pip install cutswap[export]")
    found = read_scored(saved / "first")
    asked = sum(sorted(found.scores)[1:3]) / 2  # between two photos; the upper one's score acts
    at = open_page(eval="first", thr=f"{asked:.9g}")
    written(at)
    out = saved / "bolt-detector-1"
    about = json.loads((out / "detector.json").read_text())
    assert about["threshold"]["value"] == sorted(found.scores)[2] != found.summary["threshold"]
    assert "Written:" in "\n".join(s.value for s in at.success)
    assert f"python {out / 'run_detector.py'} FOLDER" in [c.value for c in at.code]
    assert not [p for p in saved.iterdir() if p.name.startswith(".new-")]
    left = leaving.Left(out, 1, 0.0, 1.0, False)
    with zipfile.ZipFile(io.BytesIO(left.zipped())) as archive:
        names = {name.removeprefix("bolt-detector-1/") for name in archive.namelist()}
    assert names == {path.name for path in out.iterdir()}


def test_what_fails_is_said_and_leaves_nothing(saved, monkeypatch):
    pytest.importorskip("onnxruntime", reason="pip install cutswap[export]")

    def fails(*_args, **_more):
        raise CutSwapError("ONNX export", expected="room", found="none", fix="free disk space")

    monkeypatch.setattr("cutswap.decision.export.export_detector", fails)
    at = open_page(eval="first")
    written(at)
    assert any("free disk space" in e.value for e in at.error)
    assert [p.name for p in saved.iterdir() if "detector" in p.name] == []


@pytest.mark.usefixtures("saved")
def test_without_the_packages_it_says_what_to_install(monkeypatch):
    def missing():
        raise CutSwapError(
            "ONNX export", expected="onnx", found="none", fix='pip install "cutswap[export]"'
        )

    monkeypatch.setattr("cutswap.networks.export.need_onnx", missing)
    at = open_page(eval="first")
    no_trace(at)
    assert "cutswap[export]" in words(at)
    assert "leaving.write" not in [b.key for b in at.button]
