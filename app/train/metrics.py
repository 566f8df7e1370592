"""Curves of runs for the pages: each file is read once, then only new lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from cutswap.runs.metrics_log import MetricsTail, RunSeries, run_series
from cutswap.utils.folder_names import METRICS

RUNS = 10  # kept in memory, eight compared and some to spare; one of 100,000 updates takes 64 MB


def updates(run: Path) -> list[dict[str, Any]]:
    """All complete updates of a run, as `cutswap.runs.find.training_curve` gives them.

    Raises:
        CutSwapError: metrics.jsonl cannot be read, or was edited into something else.
    """
    return _tail(run).read()


def series(run: Path, samples: int) -> RunSeries:
    """The same in columns, made anew when the file has changed.

    Args:
        run: the run folder.
        samples: an update sees, all classes counted; 0 where unknown.

    Raises:
        CutSwapError: as `updates`.
    """
    try:
        status = (run / METRICS).stat()
    except OSError:
        return run_series(updates(run), samples)
    return _series(run, samples, status.st_size, status.st_mtime_ns)


@st.cache_resource(max_entries=RUNS, show_spinner=False)
def _tail(run: Path) -> MetricsTail:
    return MetricsTail(run)


@st.cache_resource(max_entries=RUNS, show_spinner=False)
def _series(run: Path, samples: int, size: int, modified: int) -> RunSeries:
    del size, modified  # of the file: they renew the entry
    return run_series(updates(run), samples)
