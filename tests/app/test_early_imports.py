"""What the server imports early is what the first page needs, and pages wait for it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def imported_by(file: Path) -> set[str]:
    """Modules of ours that a file imports at its top."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("app", "cutswap")):
            for alias in node.names:
                inner = ROOT / str(node.module).replace(".", "/") / f"{alias.name}.py"
                found.add(f"{node.module}.{alias.name}" if inner.is_file() else str(node.module))
    return found


def test_all_that_the_first_page_imports_is_there_before_it_and_torch_is_not():
    needed = imported_by(ROOT / "app/main.py") | imported_by(ROOT / "pages/start.py")
    assert len(needed) > 8
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from app import early_imports as e; e.begin(); e.finish();"
            "print(*sys.modules)",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert needed - set(told) == set()
    assert "torch" not in told  # two seconds, which Start does not need


def test_a_page_waits_for_nothing_where_nothing_was_begun():
    from app import early_imports

    early_imports.finish()
