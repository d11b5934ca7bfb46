"""Writes docs/modules.md: every package with the first sentence of its docstring, and its modules.

python -m docs.modules
"""

import ast
from pathlib import Path

PAGE = Path(__file__).with_suffix(".md")
ROOT = Path(__file__).parents[1]
PACKAGES = ("uavpipe", "pipeline", "detector", "annotate", "reid")


def modules_page() -> str:
    """The page, Markdown."""
    lines = [
        "# Packages and modules",
        "",
        "Written by `python -m docs.modules`. How they work together: [architecture.md](architecture.md).",
    ]
    for package in PACKAGES:
        folders = sorted(path.parent for path in (ROOT / package).rglob("__init__.py"))
        rows = [_row(folder) for folder in folders]
        lines += ["", f"## {package}", "", "| package | what it holds | modules |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _row(folder: Path) -> str:
    name = folder.relative_to(ROOT).as_posix()
    modules = ", ".join(path.stem for path in sorted(folder.glob("*.py")) if not path.name.startswith("__"))
    return f"| [{name}](../{name}) | {_about(folder / '__init__.py')} | {modules} |"


def _about(path: Path) -> str:
    """The first sentence of the module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    sentence, _, _ = " ".join(text.split()).partition(". ")
    return sentence.removesuffix(".").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(modules_page(), "utf-8")
