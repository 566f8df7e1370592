"""Which tensors of a file are the network's own: under which prefix, and whether of this network.

People save a network as they hold it: Lightning puts `model.` before every name, DataParallel
`module.`, torch.compile `_orig_mod.`, and these nest. They also give it a head of their own.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from cutswap.errors import CutSwapError, first_names
from cutswap.networks.lean_torchvision import import_torchvision, shapes_only
from cutswap.networks.timm_networks import is_timm, timm_module

COUNTER = "num_batches_tracked"  # of a batch norm; decides nothing in eval mode
_SHOWN = 3


@dataclass(frozen=True)
class Unwrapped:
    """A file's tensors under the names that the network has.

    Attributes:
        tensors: what stood under the prefix.
        prefix: what stood before every name; empty where the names are the network's own.
        besides: names of the file that do not begin with the prefix.
    """

    tensors: dict[str, Tensor]
    prefix: str
    besides: tuple[str, ...]


@functools.cache
def names_of(network: str) -> frozenset[str]:
    """Names of the tensors of a network, without memory for them."""
    if is_timm(network):
        with shapes_only():
            return frozenset(timm_module(network).state_dict())
    torchvision = import_torchvision()
    with shapes_only():
        return frozenset(torchvision.models.get_model_builder(network)(weights=None).state_dict())


def unwrap(tensors: dict[str, Tensor], own: Collection[str], source: str) -> Unwrapped:
    """Take the prefix off under which most of the network's names stand in the file.

    Args:
        tensors: as read.
        own: the network's names.
        source: of the file, for the message.

    Raises:
        CutSwapError: the file holds two such networks that differ, so nobody knows which is meant.
    """
    counts: Counter[str] = Counter()
    for name in tensors:
        parts = name.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in own:
                counts["".join(f"{part}." for part in parts[:start])] += 1
    most = max(counts.values(), default=0)
    best = sorted(prefix for prefix, count in counts.items() if count == most)
    # Names like `weight` alone are met by chance in any network.
    if not best or "" in best or 2 * most < min(len(own), len(tensors)):
        return Unwrapped(tensors, "", ())
    taken = [_under(tensors, prefix) for prefix in best]
    if any(not _is_same(taken[0], other) for other in taken[1:]):
        raise CutSwapError(
            f"weights {source}",
            expected="one network in the file",
            found=f"{len(best)}, below {' and '.join(best[:_SHOWN])}",
            fix="save the one that is meant alone: safetensors.torch.save_file(its.state_dict(),"
            " ...)",
        )
    besides = tuple(sorted(n for n in tensors if not n.startswith(tuple(best))))
    return Unwrapped(taken[0], best[0], besides)


def need_this_network(
    network: str, own: dict[str, Tensor], tensors: dict[str, Tensor], source: str
) -> None:
    """Refuse the weights of another network, also where most of its names and shapes are ours.

    ResNet34 has every tensor of ResNet18 and more blocks beside them; the other way round, blocks
    are missing between those that are there. Whole parts may be missing at the end, and the head
    may be another.

    Args:
        network: its name.
        own: the network's tensors, in forward order.
        tensors: the file's, under the network's names.
        source: of the file.

    Raises:
        CutSwapError: not of this network; the message names the first tensor that shows it.
    """
    head = head_of(own)
    body = [n for n in own if not n.startswith(head) and not n.endswith(COUNTER)]
    there = [n for n in body if n in tensors]
    misfit = next((n for n in there if own[n].shape != tensors[n].shape), None)
    parts = {n.split(".")[0] for n in body}
    too_many = sorted(n for n in tensors if n not in own and n.split(".")[0] in parts)
    gaps = [n for n in body[: body.index(there[-1])] if n not in tensors] if there else []
    expected = f"a state dict of {network}"
    if misfit is not None:
        expected += f", {misfit} of shape {tuple(own[misfit].shape)}"
        found = f"{misfit} of shape {tuple(tensors[misfit].shape)}"
    elif not there:
        found = f"no tensor of that name among {len(tensors)}"
    elif too_many:
        expected += ", nothing else in its parts"
        found = f"another network's, {first_names(too_many)} besides"
    elif gaps:
        expected += ", without gaps"
        found = f"another network's or an incomplete one, {first_names(gaps)} missing"
    else:
        return
    raise CutSwapError(
        f"weights {source}",
        expected=expected,
        found=found,
        fix="pass the backbone these weights belong to",
    )


def head_of(own: Collection[str]) -> str:
    """Beginning of the names of the last part, which gives the class scores: `fc.`."""
    return list(own)[-1].split(".")[0] + "."


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n[len(prefix) :]: v for n, v in tensors.items() if n.startswith(prefix)}


def _is_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)
