"""Writes docs/modules.md: every module, and the first sentence that it says of itself.

python -m docs.modules
"""

import ast
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).with_suffix(".md")
ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "detector", "annotate", "reid")


def modules_page() -> str:
    """The page, Markdown."""
    lines = [
        "# Every module",
        "",
        "Written by `python -m docs.modules`. How they work together: [architecture.md](architecture.md).",
    ]
    for package in PACKAGES:
        lines += ["", f"## {package}", "", f"{_about(ROOT / package / '__init__.py')}"]
        for folder in [ROOT / package, *sorted(_packages_in(ROOT / package))]:
            lines += list(_table(folder, package))
    return "\n".join(lines) + "\n"


def _packages_in(folder: Path) -> Iterator[Path]:
    return (path.parent for path in folder.rglob("__init__.py") if path.parent != folder)


def _table(folder: Path, package: str) -> Iterator[str]:
    name = folder.relative_to(ROOT).as_posix()
    modules = [path for path in sorted(folder.glob("*.py")) if not path.name.startswith("__")]
    if name != package:
        about = f" {_about(folder / '__init__.py')}"
        yield from ("", f"### [{name}](../{name})", "", about.strip())
    if modules:
        yield from ("", "| | |", "|---|---|")
        for path in modules:
            yield f"| [{path.name}](../{path.relative_to(ROOT).as_posix()}) | {_about(path)} |"


def _about(path: Path) -> str:
    """The first paragraph of the module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(modules_page(), "utf-8")
