"""Coverage-guided fuzzing of the readers of images, CSV, records and settings (`make fuzz`).

Each runs for a bounded time in a process of its own; an input that ends in anything but a refusal
is kept in `--keep` and the exit status is 1. Needs atheris, which not every Python has; without it
the exit status is 2, for nothing was looked at.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

TARGETS = ("photo", "split", "record", "settings")


def main() -> int:
    """Start one process a target, or be one."""
    parser = argparse.ArgumentParser(prog="tests.robustness.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--target", choices=TARGETS, help="one alone, in this process")
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed (pip install atheris): nothing was fuzzed")
        return 2
    if options.target:
        _fuzz(options.target, options.seconds, options.keep)
    failed = 0
    for target in TARGETS:
        line = [sys.executable, "-m", "tests.robustness.fuzz", "--target", target]
        line += ["--seconds", str(options.seconds), "--keep", str(options.keep)]
        code = subprocess.run(line, check=False).returncode
        print(f"{target}: {'no finding' if code == 0 else f'exit status {code}'}")
        failed += code != 0
    return int(failed > 0)


def _fuzz(target: str, seconds: int, keep: Path) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["cutswap", "PIL", "csv", "json"]):
        from cutswap.errors import CutSwapError
        from tests.robustness.hostile import corpus
        from tests.robustness.hostile_readers import READERS

    home = Path(tempfile.mkdtemp(prefix="cutswap-fuzz-"))
    seeds = home / "seeds"
    seeds.mkdir()
    for number, case in enumerate(c for c in corpus() if c.reader == target and not c.is_heavy):
        folder = home / "make"
        folder.mkdir(exist_ok=True)
        try:
            path = case.make(folder)
            if path.is_file() and path.stat().st_size < 20_000:
                (seeds / str(number)).write_bytes(path.read_bytes())
        except OSError:  # the next link or folder of the same name
            continue
    keep.mkdir(parents=True, exist_ok=True)
    file = home / "input"

    def one(data: bytes) -> None:
        file.write_bytes(data)
        with contextlib.suppress(CutSwapError):
            READERS[target](file)

    flags = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=4000", "-max_len=20000"]
    atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={keep}/{target}-", str(seeds)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
