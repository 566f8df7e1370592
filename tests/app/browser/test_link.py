"""The link's parameters: at once on a page, in one message at the end of a change of page."""

from __future__ import annotations

import pytest
from streamlit.runtime.state import query_params
from streamlit.testing.v1 import AppTest

from tests.helpers.app import assert_alive, open_page, small_app


def _script() -> None:
    import streamlit as st

    from app.browser import link

    try:
        with link.written_last(waits=st.session_state["waits"]):
            link.write("k", "5")
            link.write("gone", None)
            st.session_state["meanwhile"] = st.query_params.to_dict()
            if st.session_state["fails"]:
                raise LookupError
    except LookupError:
        pass
    link.write("later", "1")  # as a fragment does
    st.session_state["after"] = st.query_params.to_dict()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("waits", [False, True])
def test_parameters_wait_for_the_end_of_another_page(waits, fails):
    at = AppTest.from_function(_script)
    at.session_state.waits, at.session_state.fails = waits, fails
    at.query_params.update({"gone": "1", "other": "2"})
    at.run()
    assert not at.exception
    before = {"gone": "1", "other": "2"} if waits else {"k": "5", "other": "2"}
    assert at.session_state.meanwhile == before
    assert at.session_state.after == {"k": "5", "other": "2", "later": "1"}


def test_a_change_of_page_writes_its_link_by_one_message(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    sent = []
    send = query_params.QueryParams._send_query_param_msg
    monkeypatch.setattr(
        query_params.QueryParams,
        "_send_query_param_msg",
        lambda self: (sent.append(dict(self.to_dict())), send(self))[1],
    )
    wanted = {"cat": "part · mine", "img": "train/good/002", "k": "5", "size": "192"}
    at = open_page("saliency", **wanted)
    assert_alive(at)
    sent.clear()
    at.query_params.clear()  # as a link of the menu does
    at.switch_page("../pages/negatives.py").run()
    assert_alive(at)
    assert sent == [{name: wanted[name] for name in ("img", "k", "size")}]
