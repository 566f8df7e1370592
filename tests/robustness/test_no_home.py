"""A user without a home: commands and pages work with a temporary cache, and say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.shared import workspace
from cutswap.commands.parser import main
from cutswap.utils import files
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.datasets import build_category

TINY = [
    *("--image-size", "64", "--weights", "random", "--saliency-backbone", "squeezenet1_0"),
    *("--saliency-weights", "random", "--epochs", "1", "--steps-per-epoch", "2"),
    *("--batch-size", "2", "--hidden", "8", "--device", "cpu", "--precision", "float32", "--quiet"),
]


@pytest.fixture(params=["a file for home", "nothing writable"])
def homeless(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The temporary cache that must be used."""
    home = tmp_path / "home"
    if request.param == "a file for home":
        home.write_text("")
    else:
        home.mkdir()
        allowed = os.access
        monkeypatch.setattr(os, "access", lambda p, m: Path(p) != home and allowed(p, m))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(files, "_said", set())
    monkeypatch.setenv("HOME", str(home))
    for name in ("CUTSWAP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "tmp" / f"cutswap-{os.getuid()}"


def test_a_command_works_and_says_it_once(homeless: Path, tmp_path: Path, caplog):
    data = build_category(tmp_path / "bolt", train=3)
    words = ["finetune", "--data", str(data), "--out", str(tmp_path / "run"), *TINY]
    assert main(words) == 0
    assert [m for m in caplog.messages if "CUTSWAP_CACHE" in m and str(homeless) in m]
    assert len(caplog.messages) == 1
    assert len(list((homeless / "saliency").iterdir())) == 3


@pytest.mark.parametrize("named", ["home", "home/below", "~nobody-here/cache", "locked/below"])
def test_a_named_cache_that_cannot_be_written_is_no_end_either(
    homeless: Path, tmp_path: Path, monkeypatch, caplog, named: str
):
    (tmp_path / "locked").mkdir()
    allowed = os.access
    locked = (tmp_path / "locked", tmp_path / "home")
    monkeypatch.setattr(os, "access", lambda p, m: Path(p) not in locked and allowed(p, m))
    named = named if named.startswith("~") else str(tmp_path / named)
    monkeypatch.setenv("CUTSWAP_CACHE", named)
    assert files.cache_folder() == files.cache_folder() == homeless
    (told,) = caplog.messages
    assert named in told


def test_a_page_works_and_names_the_folder(homeless: Path, tmp_path: Path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    monkeypatch.delenv("CUTSWAP_CACHE")
    at = open_page("data")
    assert_alive(at)
    assert f"In {homeless}; the variable CUTSWAP_CACHE" in texts(at).replace("\\", "")
    workspace.dataset_of.clear()
