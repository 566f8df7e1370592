"""A visitor without a browser: speaks Streamlit's protocol over a real WebSocket.

Twenty browsers would take the two cores for themselves. This sends what the browser sends, widget
values and the address, and reads what it is sent: sliders, the viewer's pictures, errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

TIMEOUT = 120.0  # seconds for one answer
XSRF = "_streamlit_xsrf"


@dataclass
class Answer:
    """What one rerun has sent.

    Attributes:
        seconds: from sending to the end of the script.
        viewers: data of each picture viewer, in page order.
        sliders: (id, value) by label.
        errors: exceptions and red boxes, in words.
        uploaders: ids of the file fields, in page order.
        buttons: ids of buttons by label.
        redirect: where a login sends the browser.
    """

    seconds: float = 0.0
    viewers: list[dict[str, Any]] = field(default_factory=list)
    sliders: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    uploaders: list[str] = field(default_factory=list)
    buttons: dict[str, str] = field(default_factory=dict)
    redirect: str = ""


class Visitor:
    """One session.

    Args:
        address: `http://127.0.0.1:8501/`.
        page: as in the URL; empty for the start page.
        query: the URL's parameters.
        origin: as a browser sends it; None: not at all, as programs do.
        via: where the address's name really is; None: where it says.
    """

    def __init__(
        self,
        address: str,
        page: str,
        query: dict[str, str],
        *,
        origin: str | None = None,
        via: str | None = None,
    ) -> None:
        self.address = address
        self.page, self.query, self.origin, self.via = page, query, origin, via
        self.values: dict[str, Any] = {}  # widget id: protobuf field and value
        self.session = ""
        self.gathers_statistics: bool | None = None  # what the browser is told to do
        self.http = requests.Session()  # its cookies are the browser's
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Visitor:
        await self.open()
        return self

    async def open(self) -> None:
        """Connect; to the same session again where there was one."""
        xsrf = self.http.cookies.get(XSRF, "")
        wanted = ["streamlit", *([xsrf or "none"] if xsrf or self.session else [])]
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.http.cookies)
        self._socket = await connect(
            self.address.replace("http", "ws", 1) + "_stcore/stream",
            subprotocols=[*wanted, *([self.session] if self.session else [])],  # type: ignore[list-item]
            **({"host": self.via} if self.via else {}),
            additional_headers={"Cookie": cookies} if cookies else {},
            max_size=None,
            compression=None,
            open_timeout=TIMEOUT,
            ping_interval=None,  # as browsers: the server pings
            origin=self.origin,  # type: ignore[arg-type]
        )

    async def close(self) -> None:
        """Close the tab, or lose the network: the server cannot tell."""
        assert self._socket is not None
        await self._socket.close()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def move(self, answer: Answer, label: str, value: float) -> Answer:
        """Move a slider of the last answer and wait for the new page."""
        self.values[answer.sliders[label]] = ("double_array_value", [float(value)])
        return await self.rerun()

    async def rerun(self, click: str = "") -> Answer:
        """Send the state of all widgets, with a button pressed perhaps, and wait for the page."""
        assert self._socket is not None
        message = BackMsg()
        state = message.rerun_script
        state.query_string = urlencode(self.query)
        state.page_name = self.page
        for name, (kind, value) in self.values.items():
            widget = state.widget_states.widgets.add(id=name)
            if kind == "double_array_value":
                widget.double_array_value.data.extend(value)
            else:
                getattr(widget, kind).CopyFrom(value)
        if click:
            state.widget_states.widgets.add(id=click, trigger_value=True)
        began = time.perf_counter()
        await self._socket.send(message.SerializeToString())
        answer = await asyncio.wait_for(self._read(), TIMEOUT)
        answer.seconds = time.perf_counter() - began
        return answer

    async def upload(self, field: str, name: str, data: bytes) -> None:
        """Send a file as the browser does; the next rerun holds it.

        Args:
            field: id of the file field.
            name: of the file.
            data: its bytes.
        """
        assert self._socket is not None
        message = BackMsg()
        request = message.file_urls_request
        request.request_id, request.session_id = "one", self.session
        request.file_names.append(name)
        await self._socket.send(message.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(await asyncio.wait_for(self._socket.recv(), TIMEOUT))
            if answer.WhichOneof("type") == "file_urls_response":
                break
        (urls,) = answer.file_urls_response.file_urls
        self.http.get(self.address + "_stcore/health", timeout=TIMEOUT)  # gives the XSRF cookie
        done = self.http.put(
            self.address + urls.upload_url.lstrip("/"),
            files={"file": (name, data)},
            headers={"X-Xsrftoken": self.http.cookies.get(XSRF, "")},
            timeout=TIMEOUT,
        )
        done.raise_for_status()
        state = FileUploaderState()
        state.uploaded_file_info.add(
            name=name, size=len(data), file_id=urls.file_id, file_urls=urls
        )
        self.values[field] = ("file_uploader_state_value", state)

    async def _read(self) -> Answer:
        assert self._socket is not None
        answer = Answer()
        while True:
            data = await self._socket.recv()
            assert isinstance(data, bytes)
            message = ForwardMsg()
            message.ParseFromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.session = message.new_session.initialize.session_id or self.session
                self.gathers_statistics = message.new_session.config.gather_usage_stats
                answer = Answer()  # the script began anew: `st.rerun`, or a second look
            elif kind == "delta":
                _take(message, answer)
            elif kind == "auth_redirect":
                answer.redirect = message.auth_redirect.url
            elif kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    return answer
                if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    answer.errors.append("the script does not compile")
                    return answer


def _take(message: ForwardMsg, answer: Answer) -> None:
    """Keep what matters of one element."""
    if message.delta.WhichOneof("type") != "new_element":
        return
    element = message.delta.new_element
    kind = element.WhichOneof("type")
    if kind == "slider":
        answer.sliders[element.slider.label] = element.slider.id
    elif kind == "exception":
        answer.errors.append(f"{element.exception.type}: {element.exception.message}")
    elif kind == "alert" and element.alert.format == element.alert.ERROR:
        answer.errors.append(element.alert.body)
    elif kind == "file_uploader":
        answer.uploaders.append(element.file_uploader.id)
    elif kind == "button":
        answer.buttons[element.button.label] = element.button.id
    elif kind == "bidi_component" and element.bidi_component.component_name.endswith("viewer"):
        found = element.bidi_component
        text = found.mixed.json if found.WhichOneof("data") == "mixed" else found.json
        with contextlib.suppress(ValueError):
            answer.viewers.append(json.loads(text))
