"""The program as users get it: built, installed far from the repository, and used.

`make test-wheel` runs it, as `.ci/run` does (some minutes). The new environment sees the packages
of the one that runs the tests, so that torch is not installed twice; CUTSWAP_WHEEL=alone installs
everything anew, as the weekly matrix does.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.shared.public import NOTES
from cutswap.commands.parser import COMMANDS
from cutswap.data.images import save_png
from tests.commands.test_app import answer, free_port
from tests.helpers.datasets import write_image
from tests.helpers.small_photos import photo_of
from tests.test_docs import blocks
from tests.test_notebooks import NOTEBOOKS, code_of, printed, read

ROOT = Path(__file__).resolve().parents[2]
HOW = os.environ.get("CUTSWAP_WHEEL", "")
LARGEST = 40_000_000  # bytes; PyPI takes 100 MB
pytestmark = pytest.mark.skipif(not HOW, reason="make test-wheel, or CUTSWAP_WHEEL=1")


@dataclass(frozen=True)
class Installed:
    """A new environment with the wheel in it, and an empty folder to work in."""

    bin: Path
    work: Path

    def run(self, *words: object, status: int = 0, seconds: float = 600) -> str:
        """A command of the environment, in the folder; what it printed."""
        line = [str(self.bin / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(
            line, cwd=self.work, env=self.env(), capture_output=True, text=True, timeout=seconds
        )
        assert done.returncode == status, f"{shlex.join(line)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def env(self) -> dict[str, str]:
        """The user's variables, with nothing that leads to the repository."""
        ours = ("PYTHON", "CUTSWAP", "STREAMLIT", "VIRTUAL_ENV")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return {**kept, "CUTSWAP_CACHE": str(self.work / "cache")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an sdist, and of the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    line = [sys.executable, "-m", "build", "--no-isolation", "-o", str(folder), str(ROOT)]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("user")
    venv.create(folder / "env", with_pip=True)
    found = Installed(folder / "env" / ("Scripts" if os.name == "nt" else "bin"), folder / "work")
    found.work.mkdir()
    if HOW == "alone":
        found.run("python", "-m", "pip", "install", "-q", f"{wheel}[export]", seconds=3000)
    else:
        place = found.run(
            "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
        ).strip()
        packages = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
        (Path(place) / "shared.pth").write_text("\n".join(sorted(packages)), encoding="utf-8")
        found.run("python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel))
    for name in ("train/good/0", "train/good/1", "train/good/2", "test/good/0", "test/crack/0"):
        photo = photo_of(len(name) + int(name[-1]), (96, 96))
        save_png(found.work / "parts/bolt" / f"{name}.png", photo)
    mask = photo_of(0, (96, 96))[..., 0] > 128
    write_image(found.work / "parts/bolt/ground_truth/crack/0_mask.png", mask)
    save_png(found.work / "part.png", photo_of(7, (96, 96)))
    return found


# What is in it


def test_it_holds_the_program_and_nothing_else(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.stat().st_size < LARGEST
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"cutswap"}
    assert not [n for n in names if re.search(r"(^|/)(tests?|docs|benchmarks|readme)/", n)]
    others = [n for n in names if n.endswith((".pyc", ".gitkeep", ".md"))]
    lesson = ["cutswap/assets/lesson/exercises.md", "cutswap/assets/lesson/lesson.md"]
    assert sorted(others) == lesson
    inside = {n.removeprefix("cutswap/") for n in names}
    for name in ("vgg16.safetensors", "vgg16.json", "resnet18.safetensors", "resnet18.json"):
        assert f"assets/weights/{name}" in inside
    assert {"assets/icon.png", "assets/paper_tables.csv"} <= inside
    recorded = ("features.json", "features.npz", "over_time.json", "over_time.npz")
    assert {f"assets/lesson/{n}" for n in ("lesson.md", *recorded)} <= inside
    assert {"studies/study.html", "commands/demo_report.html", "reports/page.html"} <= inside
    assert {f"explorer/pages/{name}.py" for name in NOTES} <= inside
    assert "explorer/app/.streamlit/config.toml" in inside
    assert {"explorer/app/viewer/viewer.js", "explorer/app/viewer/viewer.css"} <= inside


def test_it_holds_every_file_of_the_program_byte_for_byte(wheel: Path):
    """Also those that came after this test was written."""
    moved = {"cutswap": "cutswap", "app": "cutswap/explorer/app", "pages": "cutswap/explorer/pages"}
    moved["assets"] = "cutswap/assets"
    git = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run([*git, *moved], cwd=ROOT, capture_output=True, text=True).stdout.split()
    if not listed:
        pytest.skip("no git repository to compare with")
    with zipfile.ZipFile(wheel) as archive:
        there = {n: hashlib.sha256(archive.read(n)).digest() for n in archive.namelist()}
    wanted = [n for n in listed if n and not n.startswith("assets/readme/")]
    wanted = [n for n in wanted if not n.endswith(".gitkeep") and (ROOT / n).exists()]
    assert len(wanted) > 300
    for name in wanted:
        top, _, rest = name.partition("/")
        content = (ROOT / name).read_bytes()
        assert there.pop(f"{moved[top]}/{rest}") == hashlib.sha256(content).digest(), name
    assert all(".dist-info/" in name for name in there), sorted(there)


def test_its_metadata_asks_users_for_no_tools_of_developers(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().splitlines()
    needs = [line for line in lines if line.startswith("Requires-Dist: ")]
    always = [line for line in needs if "extra ==" not in line]
    assert len(always) > 10
    for tool in ("pytest", "ruff", "mypy", "hypothesis", "playwright", "build", "hatchling"):
        assert not [line for line in always if line.startswith(f"Requires-Dist: {tool}")]
        assert [line for line in needs if re.match(rf"Requires-Dist: {tool}\b", line)]


def test_the_source_archive_holds_what_its_tests_need(built: Path):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("pages/start.py", "assets/weights/vgg16.safetensors", "tests/conftest.py"):
        assert name in names
    assert not [n for n in names if n.startswith((".venv", "runs/", "out/", "shared/"))]


# What it does, far from the repository


def test_nothing_leads_back_to_the_repository(installed: Installed):
    said = installed.run("python", "-c", "import cutswap, sys; print(cutswap.__file__, sys.path)")
    assert str(ROOT) + os.sep not in said.replace(sysconfig.get_path("purelib"), "")
    assert str(installed.bin.parent) in said.split()[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, installed: Installed):
    assert "usage: cutswap" in installed.run("cutswap", command, "--help")


def test_the_commands_of_readme_run_in_order(installed: Installed):
    """Its `sh` blocks, with one epoch where it says twenty; `make` and pip's lines are left out."""
    lines = []
    for language, content in blocks((ROOT / "README.md").read_text("utf-8")):
        if language == "sh":
            lines += [shlex.split(line, comments=True) for line in content.splitlines()]
    ran = []
    for words in [w for w in lines if w]:
        if "cutswap" not in words and not words[0].endswith("cutswap"):
            continue
        at = next(i for i, w in enumerate(words) if w.endswith("cutswap"))
        rest = [("1" if words[i - 1] == "--epochs" else w) for i, w in enumerate(words)][at + 1 :]
        if rest[0] == "app":
            continue  # below
        installed.run("python", "-m", "cutswap", *rest, "--quiet")
        ran.append(rest[0])
    assert {"check-data", "finetune", "evaluate", "demo"} <= set(ran)
    assert (installed.work / "runs/demo/report.html").stat().st_size > 10_000
    assert (installed.work / "out/bolt").is_dir()


def test_the_python_of_readme_runs(installed: Installed):
    text = (ROOT / "README.md").read_text("utf-8")
    (code,) = [content for language, content in blocks(text) if language == "python"]
    installed.run("python", "-c", code + "\nassert negative.mask.any()")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebooks_run(path: Path, installed: Installed):
    said = installed.run("python", "-c", code_of(read(path)))
    assert len(said.splitlines()) == len(printed(read(path)).splitlines())


@pytest.mark.parametrize(
    "words",
    [
        "saliency part.png --out out/saliency",
        "augment part.png --layer 16 --count 2 --out out/negatives",
        "finetune --data parts --category bolt --epochs 1 --out runs/exported",
        "export model --run runs/exported --out out/model",
        "benchmark --help",
    ],
)
def test_weights_and_templates_are_found(words: str, installed: Installed):
    installed.run("cutswap", *words.split())


def test_a_job_runs_in_the_queue(installed: Installed):
    job = "finetune --data parts --category bolt --epochs 1 --out runs/queued"
    # A file in the runs folder that is called as a package of ours is not run by the worker.
    (installed.work / "runs").mkdir(exist_ok=True)
    (installed.work / "runs/torch.py").write_text("raise SystemExit('the wrong file')")
    installed.run("cutswap", "jobs", "add", *job.split())
    installed.run("cutswap", "jobs", "follow", "queued")
    assert (installed.work / "runs/queued/result.json").is_file()
    (installed.work / "runs/torch.py").unlink()


PAGES = """
import sys
from streamlit.testing.v1 import AppTest
from cutswap.installation.shipped import explorer
at = AppTest.from_file(str(explorer()), default_timeout=300).run()
assert not at.exception, at.exception
for name in sys.argv[1:]:
    at.switch_page(f"../pages/{name}.py").run()
    said = " ".join(str(e.value) for kind in (at.error, at.markdown) for e in kind)
    assert not at.exception and "went wrong" not in said, (name, at.exception, said)
    assert not [e for e in at.error], (name, said)
    print(name, len(at.main))
"""


def test_every_page_opens(installed: Installed):
    said = installed.run("python", "-c", PAGES, *[name for name in NOTES if name != "start"])
    assert len(said.splitlines()) >= len(NOTES) - 1


@pytest.mark.parametrize("how", ["cutswap", "python -m cutswap"])
def test_the_app_opens_with_one_word(how: str, installed: Installed):
    port = free_port()
    first, *rest = how.split()
    line = [str(installed.bin / first), *rest, "app", "--no-browser", "--port", str(port)]
    with subprocess.Popen(
        [*line, "--data", "parts"],
        cwd=installed.work,
        env=installed.env(),
        stdout=subprocess.PIPE,
        text=True,
    ) as a:
        try:
            assert a.stdout is not None
            said = next(words for words in a.stdout if words.startswith("CutSwap Explorer: "))
            path = said.split(f":{port}", 1)[1].strip()
            assert path.startswith("/?token=")
            assert "Streamlit" in answer(port, path)
            assert "Streamlit" not in answer(port, "/")
        finally:
            a.send_signal(signal.SIGTERM)
        assert a.wait(60) == (1 if os.name == "nt" else 0)


def test_what_is_missing_is_said_without_git(installed: Installed):
    """A wheel that lost a file: restored by pip, not by git."""
    place = json.loads(
        installed.run(
            "python",
            "-c",
            "import json; from cutswap.installation.shipped import assets;"
            " print(json.dumps(str(assets())))",
        )
    )
    card = Path(place) / "weights" / "vgg16.safetensors"
    aside = card.rename(card.with_suffix(".aside"))
    try:
        line = [str(installed.bin / "cutswap"), "saliency", "part.png", "--out", "out/without"]
        done = subprocess.run(
            line, cwd=installed.work, env=installed.env(), capture_output=True, text=True
        )
    finally:
        aside.rename(card)
    assert done.returncode == 2
    assert "--force-reinstall --no-deps cutswap" in done.stderr
    assert "git" not in done.stderr.replace("site-packages", "")
