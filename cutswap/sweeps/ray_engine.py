"""Cells on a Ray cluster: its scheduling, retries and GPU fractions; `pip install cutswap[ray]`.

Every node needs cutswap installed, the photos under the same path and the store within reach: a
shared folder or a URL. The task's text goes through the object store once; results do not come back
but go to the results' store, so a driver that dies loses nothing that was finished.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cutswap.errors import CutSwapError
from cutswap.sweeps.engines import Outcome, Task, run_task, words_of
from cutswap.sweeps.store import REACHED_WITHIN, within

_CONNECT = 4.0  # seconds for a TCP connection
_LOOK = 0.5  # seconds between two looks at `stop`
_OFFER = "start one (ray start --head), correct --address, or use --engine local: it needs none"

# What a HTTP/2 client says first, with empty settings; a gRPC server, as Ray's is, answers its own.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


class RayEngine:
    """Tasks of a running cluster.

    Args:
        address: auto, host:port or ray://host:port.
        retries: further attempts of a task that failed or whose node died.
        cpus: cores a task.
        gpus: GPUs a task; a fraction shares one.

    Raises:
        CutSwapError: Ray is not installed, or the cluster cannot be reached.
    """

    def __init__(self, address: str, retries: int, cpus: float, gpus: float) -> None:
        try:
            import ray
        except ImportError:
            raise CutSwapError(
                "--engine ray",
                expected="the package ray",
                found="none",
                fix="pip install 'cutswap[ray]', or leave it out: --engine local needs none",
            ) from None
        self._ray: Any = ray
        self._options = {
            "num_cpus": cpus,
            "num_gpus": gpus,
            "max_retries": retries,
            "retry_exceptions": True,
        }
        self._retries = retries
        began = time.monotonic()
        _need_server(address)
        kept = {n: os.environ[n] for n in ("CUTSWAP_CACHE",) if n in os.environ}
        try:
            within(
                # What is left of ten seconds: one who only greets like Ray is found out here.
                max(1.0, REACHED_WITHIN - (time.monotonic() - began)),
                lambda: ray.init(
                    address=address,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    ignore_reinit_error=True,
                    runtime_env={"env_vars": kept},
                ),
                address,
            )
        except CutSwapError:
            raise
        except Exception as error:  # Ray has many
            raise _unreachable(address, words_of(error)) from error

    def run(self, tasks: Sequence[Task], stop: Callable[[], bool]) -> Iterator[Outcome]:
        """See `engines.Engine`."""
        ray = self._ray
        remote = ray.remote(**self._options)(_compute)
        flying = {remote.remote(ray.put(task.to_json())): task for task in tasks}
        try:
            while flying and not stop():
                ready, _ = ray.wait(list(flying), num_returns=1, timeout=_LOOK)
                for one in ready:
                    task = flying.pop(one)
                    try:
                        ray.get(one)
                        yield Outcome(task)
                    except Exception as error:  # the last of Ray's attempts
                        cause = getattr(error, "cause", None) or error
                        yield Outcome(task, words_of(cause), self._retries + 1)
        finally:
            for one in flying:
                ray.cancel(one, force=True)
            ray.shutdown()


def _compute(text: str) -> bool:
    """Entry of a Ray worker."""
    return run_task(text)


def _need_server(address: str) -> None:
    """Refuse an address without an answer at once: Ray itself would try for a minute.

    Raises:
        CutSwapError: no cluster is there.
    """
    place = address
    if address == "auto":
        known = Path("/tmp/ray/ray_current_cluster")  # noqa: S108 - where `ray start` writes it
        place = os.environ.get("RAY_ADDRESS") or (
            known.read_text(encoding="utf-8").strip() if known.is_file() else ""
        )
        if not place:
            raise _unreachable(address, "no cluster was started on this machine")
    host, _, port = place.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise CutSwapError(
            "--address", expected="auto, host:port or ray://host:port", found=place, fix=_OFFER
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT) as link:
            link.settimeout(_CONNECT)
            link.sendall(_HELLO)
            said = link.recv(9)
    except (OSError, OverflowError) as error:
        raise _unreachable(place, str(error)) from error
    if len(said) < 4 or said[3] != 4:  # type 4: settings
        raise _unreachable(place, "somebody who is not Ray")


def _unreachable(place: str, found: str) -> CutSwapError:
    return CutSwapError(
        f"Ray cluster {place}",
        expected="one that answers",
        found=found.splitlines()[0][:300],
        fix=_OFFER,
    )
