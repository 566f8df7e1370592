"""A photo of one's own on Inspect: its score, its verdict by the threshold, what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
import streamlit as st
from PIL import Image

from cutswap.evaluation.scored_set import read_scored
from tests.helpers.inspect_page import no_trace, open_page, words


class _File(io.BytesIO):
    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


@pytest.fixture
def bring(monkeypatch):
    """Bring files as the browser would: by name of the field."""

    def given(file: _File | None = None, taken: _File | None = None) -> None:
        monkeypatch.setattr(st, "file_uploader", lambda *_a, **_k: file)
        monkeypatch.setattr(st, "camera_input", lambda *_a, **_k: taken)

    return given


def one_of(saved, index: int) -> tuple[bytes, float, bool]:
    found = read_scored(saved / "first")
    score = float(found.scores[index])
    called = score >= found.summary["threshold"]
    return found.records[index].image.read_bytes(), score, called


@pytest.mark.parametrize("index", [0, 5])
def test_a_test_photo_gets_the_score_it_has(saved, bring, index):
    data, score, called = one_of(saved, index)
    bring(_File(data, "part_7.png"))
    at = open_page(eval="first")
    no_trace(at)
    said = [m.value for m in (at.error if called else at.success)]
    verdict = "defective" if called else "good"
    (line,) = [text for text in said if "part_7.png" in text.replace("\\", "")]
    assert f"{verdict}.** Score {score:.4g}" in line


def test_the_camera_s_photo_comes_first_and_it_is_said(saved, bring):
    data, score, _ = one_of(saved, 0)
    other = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 60, 3), np.uint8)).save(
        other, "JPEG"
    )
    bring(_File(other.getvalue(), "noise.jpg"), _File(data, "camera_input.jpg"))
    at = open_page(eval="first")
    no_trace(at)
    assert "clear it there to see the file" in words(at)
    said = "\n".join(m.value for m in (*at.error, *at.success))
    assert "the camera" in said
    assert f"Score {score:.4g}" in said
    assert "noise" not in said


@pytest.mark.parametrize(
    ("data", "text"), [(b"no picture", "note.png"), (b"", "empty.png")], ids=["text", "empty"]
)
@pytest.mark.usefixtures("saved")
def test_what_is_no_photo_is_refused_in_a_line_and_the_page_goes_on(bring, data, text):
    bring(_File(data, text))
    at = open_page(eval="first")
    no_trace(at)
    assert len([e for e in at.error if text.split(".")[0] in e.value]) == 1
    assert "Pixel threshold" in [s.value for s in at.subheader]


def test_it_is_off_in_the_public_demo(saved, bring, monkeypatch):
    monkeypatch.setenv("CUTSWAP_PUBLIC", "1")
    bring(_File(one_of(saved, 0)[0], "part.png"))
    at = open_page()
    no_trace(at)
    assert not [m for m in (*at.error, *at.success) if "part.png" in m.value]
