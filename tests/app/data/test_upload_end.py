"""Uploads on the real app over a real socket: gone soon after the tab, not while it is there."""

from __future__ import annotations

import asyncio
import io
import time
from pathlib import Path

import pytest
from PIL import Image

from app.data import upload_end
from tests.helpers.small_photos import photo_of
from tests.helpers.streamlit_socket import Visitor
from tests.helpers.waiting import until
from tests.robustness.soak import App, running_app

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="the app's helpers need /proc")
GRACE = 1.5


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photo_of(0, (60, 80))).save(stream, format="PNG")
    return stream.getvalue()


async def live(app: App, folder: Path) -> None:
    """A tab uploads, loses the network and comes back, then is closed."""

    def stored() -> list[Path]:
        return list(folder.glob("*/my_images/*.png"))

    visitor = Visitor(app.address, "data", {})
    await visitor.open()
    answer = await visitor.rerun()
    assert not answer.errors
    await visitor.upload(answer.uploaders[0], "mine.png", png())
    answer = await visitor.rerun()
    await visitor.rerun(click=answer.buttons["Use these pictures"])
    assert len(stored()) == 1
    await asyncio.sleep(GRACE + 1)
    assert stored()  # an idle tab keeps them
    session = visitor.session
    await visitor.close()
    await asyncio.sleep(GRACE / 4)
    await visitor.open()  # the network is back; the browser asks for nothing
    await asyncio.sleep(GRACE + 1)
    assert stored()
    assert not (await visitor.rerun()).errors
    assert visitor.session == session
    await visitor.close()
    closed = time.monotonic()
    await asyncio.to_thread(until, lambda: not any(folder.iterdir()), 3 * GRACE + 20)
    assert time.monotonic() - closed > GRACE / 2


def test_uploads_go_with_their_tab_and_not_before(tmp_path: Path):
    with running_app(
        tmp_path, tmp_path, CUTSWAP_UPLOAD_GRACE=str(GRACE), CUTSWAP_SOAK_DEMO="0"
    ) as app:
        asyncio.run(live(app, tmp_path / "cache/uploads"))


def test_a_reloaded_tab_keeps_what_its_last_session_held(monkeypatch):
    removed: list[str] = []
    monkeypatch.setattr(upload_end, "remove_uploads", removed.append)
    monkeypatch.setattr(upload_end, "grace", lambda: 0.0)
    monkeypatch.setattr(upload_end, "_look_again", lambda *_: None)
    first, second = (upload_end.Holder("a" * 32, session) for session in ("one", "two"))
    upload_end._holding.update({first, second})
    for holder, gone in ((first, []), (second, ["a" * 32])):
        upload_end._released(holder)
        upload_end._look(holder)
        assert removed == gone


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5.0), ("-1", 0.0), ("soon", upload_end.GRACE), ("", upload_end.GRACE)],
)
def test_nonsense_in_the_variable_is_the_default(text: str, seconds: float, monkeypatch):
    monkeypatch.setenv(upload_end.VARIABLE, text)
    assert upload_end.grace() == seconds


def test_the_grace_outlasts_streamlit_s_own():
    assert upload_end.GRACE > 120
