"""The notebooks: whole files with their outputs, and code that runs on the installed package."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 200_000  # bytes
WIDEST = 130  # characters of a line of text


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def text_of(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def code_of(notebook: dict[str, Any]) -> str:
    cells = [text_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return "\n\n".join(cells)


def printed(notebook: dict[str, Any]) -> str:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    return "".join("".join(one["text"]) for one in outputs if one.get("name") == "stdout")


def test_there_are_three():
    names = [path.stem for path in NOTEBOOKS]
    assert names == ["first_steps", "repeat_a_table", "your_own_negatives"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_whole_and_says_nothing_of_the_machine(path: Path):
    notebook = read(path)
    assert notebook["nbformat"] == 4
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert path.stat().st_size < LARGEST
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert kinds <= {"stream", "execute_result", "display_data"}
    assert not re.search(r"/(home|root|tmp|work|Users)/", path.read_text(encoding="utf-8"))
    for cell in code:
        ast.parse(text_of(cell))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_links_to_is_there(path: Path):
    words = "\n".join(text_of(c) for c in read(path)["cells"] if c["cell_type"] == "markdown")
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", words):
        assert (FOLDER / link).is_file(), link
    assert max(len(line) for line in words.splitlines()) <= WIDEST


def test_smear_fits_into_twenty_lines():
    tree = ast.parse(code_of(read(FOLDER / "your_own_negatives.ipynb")))
    (smear,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "smear"]
    assert smear.end_lineno is not None
    assert smear.end_lineno - smear.lineno + 1 <= 20


@pytest.mark.journey
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_as_much_as_it_shows(path: Path, tmp_path: Path):
    """Its code cells in one process, as a kernel runs them, away from the repository."""
    notebook = read(path)
    script = tmp_path / "cells.py"
    script.write_text(code_of(notebook), encoding="utf-8")
    own = {name: text for name, text in os.environ.items() if not name.startswith("CUTSWAP_")}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**own, "CUTSWAP_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,  # of a busy machine; an idle one needs less than two minutes
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown = printed(notebook)
    assert len(done.stdout.splitlines()) == len(shown.splitlines())
    for line in shown.splitlines():
        if line.endswith(": True"):
            assert line in done.stdout
