"""The engine that a command's flags ask for."""

from __future__ import annotations

import argparse

from cutswap.engines import Engine


def engine_of(options: argparse.Namespace) -> Engine:
    """The engine a command asks for, ready to work.

    Args:
        options: with engine, processes, retries, address, cpus and gpus.

    Raises:
        CutSwapError: a cluster that cannot be reached.
    """
    if options.engine == "ray":
        from cutswap.engine_ray import RayEngine

        return RayEngine(options.address, options.retries, options.cpus, options.gpus)
    from cutswap.engine_local import LocalEngine

    return LocalEngine(options.processes, options.retries)
