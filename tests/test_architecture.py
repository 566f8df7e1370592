"""Imports run one way, the core knows nothing of screens, and what is public is explained."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "cutswap"


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sources(PACKAGE)}


def imported(path: Path, tree: ast.AST) -> Iterator[str]:
    """Every module a file may import, wherever that stands; `from a import b` may mean a.b."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imports_of(path: Path) -> set[str]:
    return set(imported(path, ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [("cutswap", {"streamlit", "app", "pages"}), ("app", {"pages"})],
)
def test_layers_import_only_downwards(folder: str, forbidden: set[str]):
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(folder)
        for name in imports_of(path)
        if name.split(".")[0] in forbidden
    }
    assert not found


def edges() -> dict[str, set[str]]:
    """Which modules of the core each one imports, inside functions too.

    The package itself is left out: `cutswap/__init__` imports nothing until a name is asked for.
    """
    return {
        name: {other for other in imports_of(path) if other in MODULES} - {name, PACKAGE}
        for name, path in MODULES.items()
        if name != PACKAGE
    }


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """One cycle as a path back to its beginning, or nothing."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph[name]):
            if found := visit(other, [*path, name]):
                return found
        done.add(name)
        return []

    for name in sorted(graph):
        if found := visit(name, []):
            return found
    return []


def test_no_module_imports_one_that_imports_it_back():
    assert len(MODULES) > 20
    assert " -> ".join(cycle_in(edges())) == ""


def test_the_cycle_finder_finds_cycles():
    # none; itself by way of two others; two that only meet
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert cycle_in({"a": {"c"}, "b": {"c"}, "c": set()}) == []


def test_imports_are_found_wherever_they_stand():
    text = (
        "import os.path\n"
        "from cutswap import errors\n"
        "from . import files\n"
        "from .weights import read_state\n"
        "def f():\n    from cutswap.networks.backbone import Backbone\n"
    )
    found = set(imported(ROOT / "cutswap" / "x.py", ast.parse(text)))
    assert {"os.path", "cutswap.errors", "cutswap.files", "cutswap.weights"} <= found
    assert "cutswap.networks.backbone" in found


# Floors

# A package imports only packages of lower floors; the photo travels upwards.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("settings", "utils", "installation"),
    ("config", "flags", "data", "figures", "strokes"),
    ("networks",),
    ("saliency", "patchcore", "runs", "lessons"),
    ("negatives", "padim", "intra", "results"),
    ("heads",),
    ("evaluation",),
    ("training", "decision"),
    ("analysis", "sweeps", "benchmark", "reports"),
    ("studies",),
    ("commands",),
    ("__main__",),
)
# The same for the app; below `main` each page's folder stands for itself.
APP_FLOORS: tuple[tuple[str, ...], ...] = (
    ("access", "browser", "memory", "uploads", "viewer", "waiting"),
    ("shared",),
    ("figures",),
    (
        "data",
        "features",
        "inspect_heatmaps",
        "negatives",
        "results",
        "saliency",
        "start",
        "study",
        "train",
    ),
    ("lesson",),
    ("spot", "stages"),
    ("main", "server"),
)


def rooms_of(package: str) -> dict[str, set[str]]:
    """Which rooms (packages, or modules of the root) of a package each room imports."""
    found: dict[str, set[str]] = {}
    for path in sources(package):
        parts = path.relative_to(ROOT / package).with_suffix("").parts
        room = parts[0]
        if room == "__init__":
            continue
        names = {n.split(".")[1] for n in imports_of(path) if n.startswith(f"{package}.")}
        found.setdefault(room, set()).update(names - {room})
    return found


def climbing(rooms: dict[str, set[str]], floors: tuple[tuple[str, ...], ...]) -> list[str]:
    """Imports of the same floor or a higher one, and rooms that stand on no floor."""
    floor = {room: level for level, names in enumerate(floors) for room in names}
    wrong = [f"{room} stands on no floor" for room in rooms if room not in floor]
    return wrong + [
        f"{room} imports {other}"
        for room, others in rooms.items()
        for other in others
        if room in floor and other in floor and floor[other] >= floor[room]
    ]


@pytest.mark.parametrize(("package", "floors"), [("cutswap", FLOORS), ("app", APP_FLOORS)])
def test_a_package_imports_only_lower_ones(package: str, floors: tuple[tuple[str, ...], ...]):
    rooms = rooms_of(package)
    assert len(rooms) > 10
    assert climbing(rooms, floors) == []


def test_the_finder_of_climbing_imports_finds_them():
    floors = (("a", "b"), ("c",))
    assert climbing({"a": set(), "c": {"a", "b"}}, floors) == []
    assert climbing({"a": {"b"}}, floors) == ["a imports b"]
    assert climbing({"b": {"c"}}, floors) == ["b imports c"]
    assert climbing({"d": set()}, floors) == ["d stands on no floor"]


MOST_MODULES = 15


def test_a_package_fits_on_a_screen():
    """Commands are as many as there are; the root holds what every package needs, and no more."""
    for package in ("cutswap", "app"):
        folders = {p.parent for p in sources(package)} - {ROOT / package}
        sizes = {
            str(folder.relative_to(ROOT)): len(
                [p for p in folder.glob("*.py") if p.name != "__init__.py"]
            )
            for folder in folders
        }
        sizes.pop("cutswap/commands", None)
        assert {name: size for name, size in sizes.items() if size > MOST_MODULES} == {}
    root = {p.stem for p in (ROOT / "cutswap").glob("*.py")}
    assert root == {"__init__", "__main__", "config", "errors", "flags", "settings"}
    root = {p.stem for p in (ROOT / "app").glob("*.py")}
    assert root == {"__init__", "main", "memory", "server", "waiting"}


def test_a_page_imports_its_own_folder_and_what_is_shared():
    for page in sources("pages"):
        rooms = {name.split(".")[1] for name in imports_of(page) if name.startswith("app.")}
        assert rooms <= {page.stem, "shared"}, page.name
        assert not [n for n in imports_of(page) if n.split(".")[0] == PACKAGE], page.name


def test_packages_hold_nothing_but_a_docstring():
    """`import cutswap.saliency.clusters` must not load what the package's other modules need."""
    for path in [*sources("cutswap"), *sources("app")]:
        if path.name == "__init__.py" and path != MODULES[PACKAGE]:
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert [type(node).__name__ for node in body] == ["Expr"], path


# One home for each name


def bound_in(path: Path) -> set[str]:
    """Names that a module defines itself: functions, classes, assignments."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


OURS = {
    module_name(path): path
    for folder in ("cutswap", "app", "pages", "tests", "benchmarks")
    for path in sources(folder)
}


def test_names_are_imported_from_where_they_are_defined():
    defined = {module: bound_in(path) for module, path in OURS.items()}
    wrong = [
        f"{module}: {node.module}.{alias.name}"
        for module, path in OURS.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module in OURS and node.module != PACKAGE
        for alias in node.names
        if f"{node.module}.{alias.name}" not in OURS and alias.name not in defined[node.module]
    ]
    assert wrong == []


def test_every_module_that_is_imported_is_there():
    """A test that imports what has moved is found here, not when it is collected."""
    roots = {name.split(".")[0] for name in OURS}
    wrong = [
        f"{module}: {node.module}"
        for module, path in OURS.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        if node.module.split(".")[0] in roots and node.module not in OURS
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", ["cutswap", "app"])
def test_public_class_names_are_unique(folder: str):
    homes: dict[str, list[str]] = {}
    for path in sources(folder):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module_name(path))
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_the_front_door_imports_nothing_of_its_own():
    tree = ast.parse(MODULES[PACKAGE].read_text(encoding="utf-8"))
    assert not {n for n in imported(MODULES[PACKAGE], tree) if n.split(".")[0] == PACKAGE}


# Docstrings

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Definition]]:
    """Public functions, classes and their methods, by their dotted name."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield f"{prefix}.{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{prefix}.{node.name}")


PUBLIC = {
    name: node
    for module, path in MODULES.items()
    for name, node in public(ast.parse(path.read_text(encoding="utf-8")).body, module)
}


def test_everything_public_is_explained():
    assert len(PUBLIC) > 100
    modules = [n for n, p in MODULES.items() if not ast.get_docstring(ast.parse(p.read_text()))]
    assert modules == []
    assert [name for name, node in PUBLIC.items() if not ast.get_docstring(node)] == []


def section(docstring: str, title: str) -> list[str]:
    """Names in one section of a Google-style docstring; a comma lists several."""
    match = re.search(rf"^{title}:\n((?:[ \t]+.*\n?|\n)+)", docstring, re.MULTILINE)
    if not match:
        return []
    indent = re.match(r"[ \t]+", match[1])
    heads = re.findall(rf"^{indent[0] if indent else ''}(\S[^:\n]*):", match[1], re.MULTILINE)
    return [name.strip(" *`") for head in heads for name in head.split(",")]


def names_of(node: Definition) -> set[str]:
    """Arguments of a function; of a class its fields, properties and those of `__init__`."""
    if not isinstance(node, ast.ClassDef):
        a = node.args
        every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
        return {argument.arg for argument in every}
    names: set[str] = set()
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            names.add(part.target.id)
        if isinstance(part, ast.FunctionDef):
            names.add(part.name)
            if part.name == "__init__":
                names |= names_of(part)
                names |= {
                    t.attr
                    for t in ast.walk(part)
                    if isinstance(t, ast.Attribute) and isinstance(t.ctx, ast.Store)
                }
    return names


def test_arguments_named_in_docstrings_exist():
    wrong = [
        f"{name}: {word}"
        for name, node in PUBLIC.items()
        for title in ("Args", "Attributes")
        for word in section(ast.get_docstring(node) or "", title)
        if word not in names_of(node)
    ]
    assert wrong == []


def test_an_args_section_names_every_argument():
    """One that is left out is one whose shape and range nobody knows."""
    wrong = []
    for name, node in PUBLIC.items():
        named = section(ast.get_docstring(node) or "", "Args")
        if named and not isinstance(node, ast.ClassDef):
            wrong += [f"{name}: {a}" for a in names_of(node) - {"self", "cls", *named}]
    assert wrong == []


def test_the_docstring_reader_reads_sections():
    text = (
        "Do.\n\nArgs:\n    a: one\n        more: of it\n    b, c: two\n    **d: rest\n\n"
        "Returns:\n    e: not one\n"
    )
    assert section(text, "Args") == ["a", "b", "c", "d"]
    assert section(text, "Raises") == []


# No code from data


def code_from_data(tree: ast.AST) -> list[str]:
    """Calls and imports by which a file's contents, or a text, could become code."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [n for n in names if n.split(".")[0] in FORBIDDEN_MODULES]
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {k.arg: ast.unparse(k.value) for k in node.keywords}
        needed = SAFE_CALLS.get(name)
        if name in FORBIDDEN_CALLS or name.startswith(("os.spawn", "yaml.")):
            found.append(name)
        elif needed is not None and given.get(needed[0]) != needed[1]:
            found.append(f"{name} without {needed[0]}={needed[1]}")
        elif given.get("shell", "False") != "False" or given.get("allow_pickle") == "True":
            found.append(f"{name}(shell or allow_pickle)")
        elif given.get("weights_only", "True") != "True":
            found.append(f"{name}(weights_only=False)")
    return found


FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "torch.hub.load",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "np.fromregex",
    "torch.jit.load",
}
SAFE_CALLS = {
    "torch.load": ("weights_only", "True"),
    "np.load": ("allow_pickle", "False"),
    "np.save": ("allow_pickle", "False"),
    "np.savez": ("allow_pickle", "False"),
}


@pytest.mark.parametrize("folder", ["cutswap", "app", "pages", "benchmarks"])
def test_nothing_read_becomes_code(folder: str):
    """Weights, arrays, settings and records are numbers and JSON; commands are lists of words."""
    found = {
        f"{path.relative_to(ROOT)}: {what}"
        for path in sources(folder)
        for what in code_from_data(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "eval(text)",
        "exec(text)",
        "os.system(a)",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "yaml.load(f)",
        "subprocess.run(a, shell=True)",
        "subprocess.Popen(a, shell=flag)",
        "np.savez(f, a=a)",
        "torch.hub.load('x', 'y')",
        "f(weights_only=flag)",
    ],
)
def test_the_code_finder_finds(line: str):
    assert code_from_data(ast.parse(line))


def test_the_linter_looks_for_it_too():
    """ruff's S rules (bandit): none of them is switched off for the packages."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    assert "S" in rules["lint"]["select"]
    assert [r for r in rules["lint"]["ignore"] if r.startswith("S")] == ["S311"]  # no secrets here
    assert set(rules["lint"]["per-file-ignores"]) == {"tests/*"}


# Cost of an import


@pytest.mark.parametrize(
    "name",
    [
        "cutswap",
        "cutswap.config",
        "cutswap.data.images",
        "cutswap.negatives.anchors",
        "cutswap.saliency.clusters",
        "cutswap.negatives.draw",
    ],
)
def test_light_modules_load_no_heavy_library(name: str):
    heavy = ("torch", "torchvision", "sklearn", "scipy", "faiss", "cv2", "streamlit", "matplotlib")
    code = f"import sys, {name}; print(*(m for m in {heavy} if m in sys.modules))"
    found = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []


@pytest.mark.parametrize(
    "modules",
    [
        # the Start page, and what the entry itself imports before any page
        "app.data.own_photos, app.memory, app.shared.page_parts",
        "app.shared.workspace, app.shared.selection, app.start.story, app.start.readiness",
        "app.train.view",  # Train: runs are looked at, not computed
        "app.study.view",  # and so are studies
        "cutswap.runs.worker, cutswap.commands.jobs",
    ],
)
def test_what_only_looks_loads_no_torch(modules: str):
    code = f"import sys, {modules}; print(*(m for m in ('torch', 'faiss') if m in sys.modules))"
    found = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []
