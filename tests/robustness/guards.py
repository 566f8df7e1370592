"""Takes each guard out, one at a time, and asks its test: `make test-guards`.

A guard that could go without a red test is held by nobody. Each entry names the lines that guard,
what they become, and the test of the default suite that must fail then. It runs on a copy of the
sources; `test_guards` looks in the suite whether every entry still fits.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("app", "benchmarks", "cutswap", "pages", "tests", "pyproject.toml", "README.md")
LINKED = ("assets", "docs", "Makefile", "CHANGELOG.md", "CONTRIBUTING.md")
FAILED = 1  # pytest's exit status where tests have run and some have failed


@dataclass(frozen=True)
class Guard:
    """One guard.

    Attributes:
        name: what it keeps out.
        file: where it stands.
        old: its text, once in that file.
        new: what an attacker would like it to be.
        test: what must then be red, file and function.
    """

    name: str
    file: str
    old: str
    new: str
    test: str


_GATE, _GATE_TESTS = "app/access/gate.py", "tests/app/access/test_gate.py::"
_CONFIG, _SERVED = "app/.streamlit/config.toml", "tests/app/access/test_served.py::"
_HEADERS = "cutswap/data/picture_headers.py"
_HEADER_TEST = (
    "tests/data/test_picture_headers.py::test_a_header_that_makes_work_out_of_nothing_is_refused"
)
_BESIDE = "tests/robustness/test_beside_a_run.py::"
GUARDS = (
    Guard(
        "DNS rebinding",
        _GATE,
        'if not patterns or "*" in patterns:',
        "if True:",
        _GATE_TESTS + "test_other_names_do_not",
    ),
    Guard(
        "sockets and writes of other origins",
        _GATE,
        'return urlsplit(origin).netloc.lower() == headers.get(b"host", "").lower()',
        "return True",
        _GATE_TESTS + "test_pages_of_other_origins_open_no_socket_and_write_nothing",
    ),
    Guard(
        "framing",
        _GATE,
        '(b"x-frame-options", b"SAMEORIGIN"),',
        "",
        _GATE_TESTS + "test_every_answer_forbids_framing_by_others",
    ),
    Guard(
        "other accounts of the machine",
        _GATE,
        "elif self._token and not self._known(scope, headers):",
        "elif False:",
        _SERVED + "test_without_the_token_there_is_no_page_and_no_socket",
    ),
    Guard(
        "a token on the command line",
        "cutswap/commands/app.py",
        "opened.enter_context(_unseen(link)) if link != address else link",
        "link",
        "tests/commands/test_app.py"
        "::test_the_link_has_a_new_token_each_time_that_no_command_line_shows",
    ),
    Guard(
        "uploads without the cross-site token",
        _CONFIG,
        "enableXsrfProtection = true",
        "enableXsrfProtection = false",
        _SERVED + "test_uploads_need_the_cross_site_token",
    ),
    Guard(
        "listening to other machines",
        _CONFIG,
        'address = "127.0.0.1"',
        'address = "0.0.0.0"',
        _SERVED + "test_it_listens_on_this_machine_alone",
    ),
    Guard(
        "telemetry",
        _CONFIG,
        "gatherUsageStats = false",
        "gatherUsageStats = true",
        _SERVED + "test_browsers_are_not_told_to_send_statistics",
    ),
    Guard(
        "public scoring of uploads",
        "app/shared/evaluations.py",
        " or _is_upload(wanted.category):",
        ":",
        "tests/app/test_public.py::test_uploads_are_not_scored_though_they_lie_in_the_cache",
    ),
    Guard(
        "large maps in public mode",
        "app/shared/public.py",
        "if backbone not in NETWORKS or len(layers) > MOST_LAYERS or size > LARGEST:",
        "if False:",
        "tests/app/test_public.py::test_strangers_get_no_large_maps",
    ),
    Guard(
        "maps of all visitors at once in public mode",
        "app/shared/public.py",
        "    with _turn:",
        "    with contextlib.nullcontext():",
        "tests/app/test_public.py::test_strangers_maps_are_computed_one_at_a_time",
    ),
    Guard(
        "pictures of all sessions decoded at once",
        "app/uploads/store.py",
        "                with _decoding:",
        "                with contextlib.nullcontext():",
        "tests/app/uploads/test_store.py::test_of_all_sessions_one_picture_is_decoded_at_a_time",
    ),
    Guard(
        "a disk full of uploads",
        "app/uploads/store.py",
        "if all_of_them is not None and self._taken(self._home.parent) >= all_of_them:",
        "if False:",
        "tests/app/uploads/test_store.py::test_the_disk_is_limited_by_session_and_in_all",
    ),
    Guard(
        "other starting weights under the same name",
        "cutswap/runs/folder.py",
        "        refuse_other_weights(self.path, weights)",
        "        del weights",
        "tests/runs/test_provenance.py::test_a_run_goes_on_from_the_same_start_and_from_no_other",
    ),
    Guard(
        "evaluations without end in public mode",
        "app/shared/evaluations.py",
        "if wanted.key not in running and len(running) >= public.MOST_WAITING:",
        "if False:",
        "tests/app/test_public.py::test_strangers_wait_in_a_short_line_and_are_told_their_place",
    ),
    Guard(
        "evaluations that nobody waits for",
        "app/shared/evaluations.py",
        "if public.is_public() and time.monotonic() - work.asked > public.LEFT:",
        "if False:",
        "tests/app/test_public.py::test_what_nobody_waits_for_any_more_is_given_up",
    ),
    Guard(
        "uploads that fill the memory",
        "app/access/upload_limits.py",
        "if sum(map(sum, sizes.values())) + size > room.all_bytes:",
        "if False:",
        "tests/app/access/test_upload_limits.py::test_all_sessions_together_have_room_for_so_much",
    ),
    Guard(
        "deleting a run that is written",
        "cutswap/runs/edits.py",
        "    with exclusive_lock(run):\n        yield",
        "    yield",
        "tests/runs/test_other_machines.py"
        "::test_a_run_whose_lock_is_held_is_neither_deleted_nor_renamed",
    ),
    Guard(
        "jobs in public mode",
        "app/shared/jobs.py",
        'public.need_private("the queue")',
        "",
        "tests/app/test_public.py::test_what_is_off_is_refused_by_the_functions_themselves",
    ),
    Guard(
        "painted defects measured in public mode",
        "app/inspect_heatmaps/detectable/work.py",
        'public.need_private("measuring how small a defect is found")',
        "",
        "tests/app/inspect_heatmaps/test_detectable.py::test_in_public_what_was_measured_can_be_read_and_no_more",
    ),
    Guard(
        "a file beside an evaluation that detectable did not write",
        "cutswap/decision/detectable/measured.py",
        "if not is_ours:",
        "if False:",
        "tests/decision/detectable/test_measuring.py::test_a_file_of_another_origin_is_never_replaced",
    ),
    Guard(
        "folders outside the roots",
        "app/shared/workspace.py",
        "return roots is None or any(is_inside(path, root) for root in roots)",
        "return True",
        "tests/app/shared/test_workspace.py"
        "::test_a_path_out_of_the_roots_is_refused_and_not_remembered",
    ),
    Guard(
        "session ids that are paths",
        "app/uploads/store.py",
        "if not _SESSION.fullmatch(session):",
        "if False:",
        "tests/app/uploads/test_store.py::test_only_a_session_id_names_a_folder",
    ),
    Guard(
        "a queue file that is a link",
        "cutswap/runs/queue.py",
        "if path.is_symlink():",
        "if False:",
        "tests/runs/test_queue.py::test_a_queue_file_that_is_a_link_is_not_followed",
    ),
    Guard(
        "links beside a run",
        "cutswap/utils/files.py",
        "flags | _NO_LINK | _NO_WAIT | _BINARY",
        "flags | _NO_WAIT | _BINARY",
        _BESIDE + "test_a_log_that_is_none_is_not_shown",
    ),
    Guard(
        "links and devices beside a run, read",
        "cutswap/utils/files.py",
        'return _opened_own(path, os.O_RDONLY, "rb")',
        'return path.open("rb")',
        _BESIDE + "test_a_log_that_is_none_is_not_shown",
    ),
    Guard(
        "links beside a run, written into",
        "cutswap/utils/files.py",
        'return _opened_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, "ab")',
        'return path.open("ab")',
        _BESIDE + "test_a_log_that_is_none_is_not_written_into",
    ),
    Guard(
        "code in weights",
        "cutswap/networks/weights.py",
        'map_location="cpu", weights_only=True)',
        'map_location="cpu", weights_only=False)',
        "tests/networks/test_weights.py::test_code_in_a_pickle_is_never_run",
    ),
    Guard(
        "weights that become more than they are",
        "cutswap/networks/weights.py",
        "if sum(part.file_size for part in parts) > size:",
        "if False:",
        "tests/networks/test_weights.py"
        "::test_a_file_that_becomes_more_than_it_is_is_never_unpacked",
    ),
    Guard(
        "packed arrays",
        "cutswap/utils/array_files.py",
        "if sum(entry.file_size for entry in archive.infolist()) > size:",
        "if False:",
        _BESIDE + "test_arrays_that_overlap_are_not_unpacked",
    ),
    Guard(
        "JPEGs of scan upon scan",
        "cutswap/data/decoding.py",
        "if scans * pixels > MAX_SCANNED and scans > 12:",
        "if False:",
        "tests/data/test_decoding.py::test_a_jpeg_of_scan_upon_scan_is_refused_at_the_limit",
    ),
    Guard(
        "pictures of 50 million pixels and more",
        "cutswap/data/decoding.py",
        " or height * width > MAX_PIXELS:",
        ":",
        "tests/app/uploads/test_store.py::test_a_header_that_promises_too_much_is_not_decoded",
    ),
    Guard(
        "headers that make work out of nothing",
        "cutswap/data/decoding.py",
        "    need_modest(stream, subject)\n",
        "",
        _HEADER_TEST,
    ),
    Guard(
        "tags that fill the memory",
        _HEADERS,
        "        if total > MAX_PIECE:\n            raise _too_large",
        "        if False:\n            raise _too_large",
        _HEADER_TEST,
    ),
    Guard(
        "archives that lead out",
        "cutswap/data/archives.py",
        'if path.is_absolute() or ".." in path.parts or',
        "if",
        "tests/data/test_download.py::TestUnpack::test_members_that_lead_out_leave_nothing",
    ),
    Guard(
        "archives whose headers fill the memory",
        "cutswap/data/archives.py",
        "if found.type in _EXTENDED and found.size > MAX_HEADER:",
        "if False:",
        "tests/data/test_archives.py::test_a_header_that_fills_the_memory_is_not_read",
    ),
    Guard(
        "downloads of another content",
        "cutswap/data/downloads.py",
        "if sha256 is not None and checksum != sha256.lower():",
        "if False:",
        "tests/data/test_download.py::TestFetch::test_a_wrong_checksum_is_never_taken_for_the_file",
    ),
    Guard(
        "names that spreadsheets compute",
        "cutswap/utils/csv_text.py",
        """return f"'{name}" if _FORMULA.match(name) else name""",
        "return name",
        "tests/utils/test_csv_text.py::test_a_formula_gets_an_apostrophe",
    ),
    Guard(
        "names that break a CSV's line",
        "cutswap/utils/csv_text.py",
        '_BOTH = "\\r\\n"',
        '_BOTH = "\\n"',
        "tests/utils/test_csv_text.py::test_a_line_break_in_a_name_stays_in_its_cell",
    ),
    Guard(
        "patches placed by hand where none may lie",
        "cutswap/negatives/by_hand.py",
        "if 0 <= anchor[0] < height and 0 <= anchor[1] < width and places[anchor]:",
        "if True:",
        "tests/negatives/test_by_hand.py::test_where_a_patch_may_not_lie_is_refused",
    ),
    Guard(
        "fuzzing that does not happen",
        "tests/robustness/fuzz.py",
        "        return 2\n",
        "        return 0\n",
        "tests/robustness/test_guards.py::test_without_its_fuzzer_fuzzing_fails",
    ),
)


def misfit(guard: Guard) -> str:
    """Why an entry no longer fits the sources; nothing where it does."""
    text = (ROOT / guard.file).read_text(encoding="utf-8")
    if text.count(guard.old) != 1:
        return f"{guard.file} has its lines {text.count(guard.old)} times"
    file, *names = guard.test.split("::")
    source = ROOT / file
    told = source.read_text(encoding="utf-8") if source.is_file() else ""
    if not names or not all(f"{name}(" in told or f"class {name}:" in told for name in names):
        return f"there is no {guard.test}"
    return ""


def is_red_without(guard: Guard, copy: Path) -> bool:
    """Whether the guard's test fails once it is taken out of the copy, which is mended again."""
    file = copy / guard.file
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace(guard.old, guard.new), encoding="utf-8")
    try:
        return _asked(guard.test, copy) == FAILED
    finally:
        file.write_text(before, encoding="utf-8")


def _asked(test: str, copy: Path) -> int:
    line = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    env = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(  # noqa: S603 - our own interpreter
        line, cwd=copy, env=env, capture_output=True, check=False
    )
    return said.returncode


def copied(folder: Path) -> Path:
    """The sources in a folder of their own."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    return folder


def main() -> int:
    """All of them, or those whose name holds a word; the exit status says whether all are held."""
    parser = argparse.ArgumentParser(prog="tests.robustness.guards", description=__doc__)
    parser.add_argument("words", nargs="*", help="take out only guards whose name holds one")
    words = parser.parse_args().words
    chosen = [g for g in GUARDS if not words or any(word in g.name for word in words)]
    free = 0
    with tempfile.TemporaryDirectory(prefix="cutswap-guards-") as folder:
        copy = copied(Path(folder))
        for guard in chosen:
            wrong = misfit(guard)
            if not wrong and not is_red_without(guard, copy):
                wrong = f"{guard.test} is not red without it"
            print(f"{'FREE' if wrong else 'held':<5} {guard.name}{': ' if wrong else ''}{wrong}")
            sys.stdout.flush()
            free += bool(wrong)
    print(f"{len(chosen) - free} of {len(chosen)} guards are held by their tests")
    return int(free > 0 or not chosen)


if __name__ == "__main__":
    sys.exit(main())
