"""A hook of MkDocs: pages from outside docs/, the notebook as a page, and the reference of the Python interface.

Pages are written for a code host. On the site their links lead to the same pages; of a link to a file that is not
on the site, the text is left.
"""

import base64
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import uavpipe

ROOT = Path(__file__).parents[1]
NOTEBOOK = "docs/first-flight.ipynb"
# Path in the repository -> path on the site. The pages of docs/ keep theirs.
PLACES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "detector/embedded/MODEL_CARD.md": "detector-model.md",
    "reid/embedded/MODEL_CARD.md": "reid-model.md",
    "configs/flight.yaml": "flight.yaml",
    "LICENSE": "LICENSE.txt",
    NOTEBOOK: "first-flight.md",
}
_SOURCES = {place: source for source, place in PLACES.items()}
# Classes whose objects the functions of `uavpipe` return.
_RETURNED = ("uavpipe.chain.Run", "uavpipe.workspace.Person")
_CODE_OR_LINK = re.compile(
    r"^```.*?^```|(?P<ticks>`+)[^`].*?(?P=ticks)"  # code stays as it is
    r"|(?P<image>!?)\[(?P<text>(?:[^\[\]`]|`[^`]*`)*)\]\((?P<target>[^()#\s]+)(?P<anchor>#[^()\s]*)?\)",
    re.MULTILINE | re.DOTALL,
)
_PICTURES = {"image/png": "png", "image/jpeg": "jpg"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what docs/ does not contain."""
    for source, place in PLACES.items():
        if source != NOTEBOOK:
            files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    text, pictures = notebook_page(json.loads((ROOT / NOTEBOOK).read_text("utf-8")))
    for place, content in {PLACES[NOTEBOOK]: text, "api.md": python_reference(), **pictures}.items():
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point the links of a page to the pages of the site."""
    place = page.file.src_uri
    return with_links_of_the_site(markdown, _SOURCES.get(place, f"docs/{place}"))


def with_links_of_the_site(markdown: str, source: str) -> str:
    """The text of the page `source`, a path in the repository, with links as its place on the site needs them."""
    here = posixpath.dirname(place_of(source) or "")

    def changed(match: re.Match[str]) -> str:
        target = match["target"]
        if target is None or "://" in target:
            return match[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        place = place_of(file)
        if place is None:
            return match["text"] if (ROOT / file).exists() else match[0]  # MkDocs reports the missing one
        return f"{match['image']}[{match['text']}]({posixpath.relpath(place, here or '.')}{match['anchor'] or ''})"

    return _CODE_OR_LINK.sub(changed, markdown)


def place_of(file: str) -> str | None:
    """Path on the site of a file of the repository; None if it is not on the site."""
    return PLACES.get(file, file.removeprefix("docs/") if file.startswith("docs/") else None)


def notebook_page(notebook: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    """The page of a notebook with its outputs, and the pictures in them by their path on the site."""
    name = Path(NOTEBOOK).stem
    pictures: dict[str, bytes] = {}
    blocks: list[str] = []
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(source)
            continue
        blocks.append(f"```python\n{source}\n```")
        for place, (kind, content) in enumerate(_outputs(cell)):
            if kind in _PICTURES:
                path = f"{name}/{number}-{place}.{_PICTURES[kind]}"
                pictures[path] = base64.b64decode(content)
                blocks.append(f"![Output of the cell above]({path})")
            elif kind == "text/html":
                blocks.append(content.replace(' border="1" class="dataframe"', ""))  # as the site's other tables
            else:
                blocks.append(f"```text\n{content.rstrip()}\n```")
    download = f'<a href="{name}.ipynb" download>Download this notebook</a>'
    return "\n\n".join([blocks[0], download, *blocks[1:]]) + "\n", pictures


def _outputs(cell: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a cell printed and showed: its type, and its content."""
    for output in cell["outputs"]:
        shown = output.get("data") or {"text/plain": output.get("text", "")}
        kind = next(kind for kind in (*_PICTURES, "text/html", "text/plain") if kind in shown)
        yield kind, "".join(shown[kind])


def python_reference() -> str:
    """The page that mkdocstrings fills: every name of `uavpipe`, and the classes that its functions return."""
    names = [f"uavpipe.{name}" for name in uavpipe.__all__ if name != "FlightConfig"]
    return "\n\n".join(
        [
            "# Python reference",
            "All of `import uavpipe`, from its docstrings. [From Python](python.md) shows it in use and describes "
            "the columns of the tables. `uavpipe.FlightConfig` holds a [configuration](configuration.md).",
            *(f"::: {name}" for name in [*sorted(names, key=_functions_first), *_RETURNED]),
        ]
    )


def _functions_first(name: str) -> tuple[bool, str]:
    return name.rpartition(".")[2][0].isupper(), name
