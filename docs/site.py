"""What the documentation site has beside `docs/`, for mkdocs (`make docs`).

The pages at the top of the repository, the exercises, the pictures they show, and a page of
reference for every package, from its docstrings. Links are those of the repository; here they are
turned to the site.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TOP = {
    "README.md": "front.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "assets/lesson/exercises.md": "exercises.md",
}
REFERENCE = "reference/"
_LINK = re.compile(r"(\[[^\]]*\])\(([^)\s]+)\)")
_PICTURE = re.compile(r'(<img src=")([^"]+)(")')


def on_config(config: Any) -> Any:
    """List the pages of reference."""
    for part in config.nav:
        if isinstance(part, dict) and "Reference" in part:
            part["Reference"] = [page for page, _ in _reference()]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages and pictures that lie outside `docs/`."""
    from mkdocs.structure.files import File  # the tests have no mkdocs

    for name, page in TOP.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        # As if it lay in docs/: what was beside it is one folder up.
        text = _turned(text, lambda link: f"../{link}" if _is_inside(link) else link)
        files.append(File.generated(config, page, content=text.replace("(../docs/", "(")))
    for picture in sorted((ROOT / "assets" / "readme").iterdir()):
        uri = f"assets/readme/{picture.name}"
        files.append(File.generated(config, uri, abs_src_path=str(picture)))
    for page, text in _reference():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_others: Any) -> str:
    """Turn links that leave `docs/` to where the site has them; to code, to nothing."""
    if page.file.src_uri.startswith(REFERENCE):
        return markdown
    return _LINK.sub(_without_code, _turned(markdown, _on_site))


def on_post_page(output: str, page: Any, **_others: Any) -> str:
    """Take the one script that the theme would fetch from elsewhere from the site itself."""
    up = "../" * page.url.count("/")
    return output.replace("https://unpkg.com/iframe-worker/shim", f"{up}offline/iframe-worker.js")


def on_post_template(output_content: str, **_others: Any) -> str:
    """The same for pages that are no page of ours, as the one for what is not found."""
    return output_content.replace(
        "https://unpkg.com/iframe-worker/shim", "/offline/iframe-worker.js"
    )


def _is_inside(link: str) -> bool:
    return not link.startswith(("http:", "https:", "#", "mailto:"))


def _turned(text: str, turn: Any) -> str:
    text = _LINK.sub(lambda m: f"{m[1]}({turn(m[2])})", text)
    return _PICTURE.sub(lambda m: f"{m[1]}{turn(m[2])}{m[3]}", text)


def _on_site(link: str) -> str:
    path, mark, anchor = link.removeprefix("../").partition("#")
    if link.startswith("../docs/"):
        return link.removeprefix("../docs/")
    if link.startswith("../") and path in TOP:
        return TOP[path] + mark + anchor
    if link.startswith("../assets/readme/"):
        return path
    return link


def _without_code(match: re.Match[str]) -> str:
    """A file of the repository is not on the site: its name stays, without a link."""
    return match[1][1:-1] if match[2].startswith("../") else match[0]


def _reference() -> list[tuple[str, str]]:
    """A page for every package: its docstring and its modules."""
    pages = []
    for folder in sorted({path.parent for path in (ROOT / "cutswap").rglob("*.py")}):
        dotted = ".".join(folder.relative_to(ROOT).parts)
        about = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        lines = [f"# {dotted}", (about or "").partition("\n")[0]]
        for path in sorted(folder.glob("*.py")):
            if not path.stem.startswith("__"):
                lines.append(f"::: {dotted}.{path.stem}")
        name = "index" if dotted == "cutswap" else dotted.removeprefix("cutswap.")
        pages.append((f"{REFERENCE}{name}.md", "\n\n".join(lines) + "\n"))
    return pages
