"""`python -m cutswap download`: VisA in one step; what to do for MVTec AD; a page's runtime."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cutswap.data.archives import unpack
from cutswap.data.downloads import Fetched, fetch
from cutswap.data.published import (
    MVTEC_INSTRUCTIONS,
    VISA_LICENCE,
    VISA_SHA256,
    VISA_URL,
    Count,
    count_archive,
    count_folder,
    data_root,
)
from cutswap.errors import CutSwapError
from cutswap.utils.files import sha256_of
from cutswap.utils.progress import Bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `download`."""
    parser.add_argument(
        "name",
        choices=("visa", "mvtec", "web-runtime"),
        help="which data set; web-runtime is ONNX Runtime Web, for export detector --html",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to unpack into")
    parser.add_argument(
        "--accept-licence",
        action="store_true",
        help="you have read the licence that the command shows",
    )
    parser.add_argument(
        "--archive",
        type=Path,
        metavar="PATH",
        help="an archive fetched by hand; of mvtec also its folder",
    )
    parser.add_argument("--sha256", metavar="HEX", help="what its archive must hash to [the pin]")
    parser.add_argument("--url", help="another address of VisA's archive [the publisher's]")
    parser.add_argument("--keep-archive", action="store_true", help="do not delete it afterwards")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the action; exit status 1 where counts are not the published ones."""
    if options.sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", options.sha256):
        raise CutSwapError(
            "--sha256", expected="64 hex digits", found=options.sha256[:80], fix="see sha256sum"
        )
    actions = {"visa": _visa, "mvtec": _mvtec, "web-runtime": _web_runtime}
    return actions[options.name](options)


def _web_runtime(options: argparse.Namespace) -> dict[str, Any]:
    from cutswap.decision.formats.web_runtime import URL, fetch_web_runtime, read_web_runtime

    with Bars(options.quiet) as bars:
        path = fetch_web_runtime(
            say=_say, progress=lambda done, total: bars("downloading, MB", done >> 20, total >> 20)
        )
    read_web_runtime()
    print(f"{path}: {URL}, as npm has it; export detector --html is built with it")
    return {"file": str(path), "url": URL}


def _visa(options: argparse.Namespace) -> dict[str, Any]:
    print(VISA_LICENCE)
    if not options.accept_licence:
        raise CutSwapError(
            "VisA's licence",
            expected="--accept-licence, once you have read the above",
            found="nothing",
            fix="add --accept-licence to the command",
        )
    if options.out is None:
        raise CutSwapError(
            "--out", expected="a folder for VisA", found="none", fix="pass --out data/visa"
        )
    out: Path = options.out
    if out.exists() and any(out.iterdir()):
        print(f"{out} is there already; it is checked, nothing is downloaded")
        return _told(count_folder(data_root(out), "VisA"), data_root(out), {})
    with Bars(options.quiet) as bars:
        if options.archive is not None:
            archive = _given(options.archive, options.sha256)
        else:
            url = options.url or VISA_URL
            pin = VISA_SHA256 if url == VISA_URL else None  # it says nothing of another's file
            target = out.parent / (url.rsplit("/", 1)[-1] or "visa.tar")
            archive = fetch(
                url,
                target,
                options.sha256 or pin,
                say=_say,
                progress=lambda done, total: bars("downloading, MB", done >> 20, total >> 20),
            )
        bars.close()
        if archive.is_pinned:
            print(f"SHA-256 {archive.sha256}, as expected")
        else:
            print(
                f"SHA-256 {archive.sha256}, ETag {archive.etag or 'none'}: UNPINNED, nothing was"
                " there to compare with; note it and pass it as --sha256 next time"
            )
        if out.is_dir():
            out.rmdir()  # empty, as looked at above
        unpack(
            archive.path,
            out,
            lambda done, total: bars("unpacking, MB", done >> 20, total >> 20),
        )
    if archive.was_there:
        _say(f"{archive.path} was there already and is kept; delete it if you need it no longer")
    elif options.archive is None and not options.keep_archive:
        archive.path.unlink()
    root = data_root(out)
    about = {"sha256": archive.sha256, "is_pinned": archive.is_pinned}
    return _told(count_folder(root, "VisA"), root, about)


def _given(archive: Path, sha256: str | None) -> Fetched:
    """An archive downloaded by hand, checked against the pinned hash if there is one."""
    if not archive.is_file():
        raise CutSwapError(
            archive, expected="VisA's archive", found="no such file", fix="check the path"
        )
    wanted, found = sha256 or VISA_SHA256, sha256_of(archive)
    if found != wanted.lower():
        raise CutSwapError(
            archive,
            expected=f"SHA-256 {wanted.lower()}",
            found=found,
            fix="download it again; pass --sha256 only if you trust this file",
        )
    return Fetched(archive, found, True, "")


def _mvtec(options: argparse.Namespace) -> dict[str, Any]:
    if options.archive is None:
        print(MVTEC_INSTRUCTIONS)
        return {"instructions": MVTEC_INSTRUCTIONS}
    archive: Path = options.archive
    if not archive.exists():
        raise CutSwapError(
            archive, expected="MVTec AD's archive or folder", found="nothing", fix="check the path"
        )
    if options.sha256 is not None and archive.is_file():
        _given(archive, options.sha256)
    if archive.is_dir():
        root = data_root(archive)
        return _told(count_folder(root, "MVTec AD"), root, {})
    if options.out is None:
        return _told(count_archive(archive), archive, {})
    with Bars(options.quiet) as bars:
        unpack(
            archive,
            options.out,
            lambda done, total: bars("unpacking, MB", done >> 20, total >> 20),
        )
    root = data_root(options.out)
    return _told(count_folder(root, "MVTec AD"), root, {})


def _told(counts: Sequence[Count], place: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Print the counts, and the command that goes on from here."""
    for count in counts:
        print(f"  {count.line()}")
    wrong = [c for c in counts if c.wrong]
    if wrong:
        print(f"{len(wrong)} of {len(counts)} categories are not as published, in {place}")
    else:
        print(f"all {len(counts)} categories as published, in {place}")
    if place.is_dir():
        print(f"every photo is opened by: python -m cutswap check-data --data {place}")
    rows = [
        {"category": c.name, "train": c.train, "test": c.test, "wrong": c.wrong} for c in counts
    ]
    return {**about, "place": str(place), "categories": rows, "exit_status": int(bool(wrong))}


def _say(text: str) -> None:
    print(text, file=sys.stderr)
