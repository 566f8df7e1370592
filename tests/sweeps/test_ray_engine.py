"""Sweeps on a Ray cluster of two nodes here; `make test-ray` installs Ray and runs them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if "CUTSWAP_RAY" not in os.environ:
    pytest.skip("minutes: make test-ray", allow_module_level=True)

from ray.cluster_utils import Cluster  # noqa: E402

from cutswap.commands.parser import main  # noqa: E402
from cutswap.errors import CutSwapError  # noqa: E402
from cutswap.sweeps.engines import Task  # noqa: E402
from cutswap.sweeps.ray_engine import RayEngine  # noqa: E402
from tests.helpers.sweeps import CELLS, demo, figures, words  # noqa: E402
from tests.helpers.waiting import until  # noqa: E402

ENV = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80_000_000}


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return demo(tmp_path_factory.mktemp("demo") / "data")


@pytest.fixture(scope="module")
def whole(data, cache, tmp_path_factory) -> dict[str, Any]:
    """Figures of the 24 cells on one process, without Ray."""
    out = tmp_path_factory.mktemp("local") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUTSWAP_CACHE", str(cache))
        assert main(words(data, str(out))) == 0
    return figures(str(out))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    found.add_node(**NODE)
    found.wait_for_nodes()
    yield found
    found.shutdown()


def driver(data: Path, out: Path, cache: Path, cluster: Cluster) -> subprocess.Popen[bytes]:
    line = [*words(data, str(out), "--engine", "ray", "--address", cluster.address)]
    return subprocess.Popen(
        [sys.executable, "-m", "cutswap", *line],
        env={**ENV, "CUTSWAP_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
    )


def cells(out: Path) -> int:
    return len(list((out / "cells").glob("*.json")))


def test_two_nodes_give_what_one_process_gives(cluster, data, whole, cache, tmp_path):
    assert driver(data, tmp_path / "s", cache, cluster).wait(300) == 0
    assert figures(str(tmp_path / "s")) == whole


def test_a_killed_raylet_and_a_killed_driver_lose_no_cell(cluster, data, whole, cache, tmp_path):
    out = tmp_path / "s"
    first = driver(data, out, cache, cluster)
    try:
        until(lambda: cells(out) >= 3, 120)
        lost = next(n for n in cluster.worker_nodes)
        cluster.remove_node(lost, allow_graceful=False)
        at = cells(out)
        assert at < CELLS
        until(lambda: cells(out) >= at + 3, 180)  # the other node goes on
    finally:
        first.kill()
        first.wait()
    assert cells(out) < CELLS
    assert driver(data, out, cache, cluster).wait(300) == 0
    assert figures(str(out)) == whole


def test_a_failing_task_is_retried_then_told(cluster):
    engine = RayEngine(cluster.address, retries=1, cpus=1, gpus=0)
    (outcome,) = engine.run([Task("/nowhere", ("{",))], lambda: False)
    assert outcome.attempts == 2
    assert "JSONDecodeError" in outcome.error


# The second is what a gRPC server says first: settings, none. Then it is silent.
SAID = {"stranger": b"HTTP/1.1 400 Bad\r\n", "http2": b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"}


def greet(server: socket.socket, words: bytes) -> None:
    links = []  # kept, or they would be closed
    with contextlib.suppress(OSError):
        while True:
            links.append(server.accept()[0])
            links[-1].sendall(words)


@pytest.mark.parametrize("kind", ["nobody", "silent", "stranger", "http2"])
def test_an_unreachable_cluster_is_told_within_ten_seconds(kind):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if kind != "nobody":
            server.listen()
        if kind in SAID:
            threading.Thread(target=greet, args=(server, SAID[kind]), daemon=True).start()
        began = time.monotonic()
        with pytest.raises(CutSwapError, match="--engine local"):
            RayEngine(address, 0, 1, 0)
        assert time.monotonic() - began < 10


def test_an_address_that_is_none_is_refused():
    with pytest.raises(CutSwapError, match="host:port"):
        RayEngine("nonsense", 0, 1, 0)
