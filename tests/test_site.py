"""The documentation as a site: built without a warning, whole, and without a request to another machine."""

import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import uavpipe

pytest.importorskip("material", reason="the site is built by mkdocs-material: pip install '.[docs]'")
pytest.importorskip("mkdocstrings", reason="the reference is made by mkdocstrings: pip install '.[docs]'")
from docs.site_pages import PLACES, notebook_page, place_of, with_links_of_the_site  # needs MkDocs

ROOT = Path(__file__).parents[1]
# An element that is fetched with the page: its tag -> the attribute with the address.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}


class Tags(HTMLParser):
    """What a page fetches, the links on it, and the anchors that it has."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.links, self.anchors, self.number = [], [], set(), Counter()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.number[tag] += 1
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if found.get(FETCHED.get(tag)):
            self.fetched.append(found[FETCHED[tag]])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the site, and what its build printed."""
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


@pytest.fixture(scope="module")
def pages(built):
    return {path: Tags(path.read_text("utf-8")) for path in sorted(built[0].rglob("*.html"))}


def test_it_is_built_without_a_warning(built):
    assert [line for line in built[1].splitlines() if re.match("WARNING|ERROR", line)] == []


def test_every_page_of_the_docs_is_on_it(built):
    names = {path.stem for path in (ROOT / "docs").glob("*.md")} | {"index", "api", "changelog", "first-flight"}
    assert {name for name in names if not (built[0] / f"{name}.html").exists()} == set()
    assert list(built[0].rglob("*.py")) == []


def test_every_link_leads_to_a_file_and_an_anchor_of_it(built, pages):
    checked = 0
    for path, page in pages.items():
        if path.name == "404.html":  # its links are for the root of a server
            continue
        for link in page.links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = path if not address.path else (path.parent / unquote(address.path)).resolve()
            assert target.is_file(), f"{path.name}: {link}"
            if address.fragment and target in pages:
                assert unquote(address.fragment) in pages[target].anchors, f"{path.name}: {link}"
            checked += 1
    assert checked > 1000


def test_a_page_has_the_same_parts_as_on_a_code_host(built):
    """Both read Markdown, and differ in lists, code in lists, and what looks like the number of a list."""
    markdown_it = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    sources = [name for name in PLACES if name.endswith(".md")]
    sources += [f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")]
    parts = ("h2", "h3", "ol", "ul", "li", "pre", "table", "tr", "td", "kbd")
    for source in sources:
        html = (built[0] / Path(place_of(source)).with_suffix(".html")).read_text("utf-8")
        there = Tags(re.search(r"<article.*?</article>", html, re.DOTALL)[0]).number
        here = Tags(markdown_it.render((ROOT / source).read_text("utf-8"))).number
        assert {part: there[part] for part in parts} == {part: here[part] for part in parts}, source


def test_it_fetches_nothing_from_elsewhere(built, pages):
    addresses = {each for page in pages.values() for each in page.fetched}
    assert len(addresses) > 10
    assert {each for each in addresses if urlsplit(each).netloc} == set()
    styles = "".join(path.read_text("utf-8") for path in built[0].rglob("*.css"))
    assert re.findall(r"(?:url\(|@import)\s*[\"']?https?:[^)]*", styles) == []


def test_the_reference_has_every_name_of_the_interface(built, pages):
    anchors = pages[built[0] / "api.html"].anchors
    names = {f"uavpipe.{name}" for name in uavpipe.__all__} - {"uavpipe.FlightConfig"}
    assert names - anchors == set()
    assert {"uavpipe.Workspace.find", "uavpipe.Detections.to_coco", "uavpipe.Detections.above"} <= anchors


@pytest.mark.parametrize(("words", "title"), [("mINP", "Glossary"), ("erase", "Erasing a person")])
def test_the_search_works_where_the_site_is_opened_as_files(built, browser, words, title):
    from playwright.sync_api import expect

    requests = []
    page = browser.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.goto((built[0] / "index.html").as_uri() + f"?q={words}")  # as typed, but not before the page listens
    expect(page.locator(".md-search-result__item").first).to_be_visible()
    expect(page.locator(".md-search-result__item", has_text=title)).not_to_have_count(0)
    page.close()
    assert {urlsplit(each).scheme for each in requests} <= {"file", "data", "blob", "about"}


@pytest.mark.parametrize(
    ("source", "markdown", "expected"),
    [
        ("README.md", "[a](docs/find.md#sightings)", "[a](find.md#sightings)"),
        ("README.md", "![a](docs/images/x.png)", "![a](images/x.png)"),
        ("docs/find.md", "[all `x`](../README.md)", "[all `x`](index.md)"),
        ("docs/find.md", "[gallery.py](../pipeline/find/gallery.py)", "gallery.py"),
        ("docs/find.md", "[gone](../pipeline/find/gone.py)", "[gone](../pipeline/find/gone.py)"),
        ("detector/embedded/MODEL_CARD.md", "[a\nb](../../docs/detector.md)", "[a\nb](detector.md)"),
        ("README.md", "[a](https://example.org/docs/find.md)", "[a](https://example.org/docs/find.md)"),
        ("README.md", "`[a](docs/find.md)`", "`[a](docs/find.md)`"),
        ("README.md", "```\n[a](docs/find.md)\n```", "```\n[a](docs/find.md)\n```"),
        ("docs/python.md", "[here](#tables), [a](first-flight.ipynb)", "[here](#tables), [a](first-flight.md)"),
    ],
)
def test_links_of_a_page_lead_to_their_places_on_the_site(source, markdown, expected):
    assert with_links_of_the_site(markdown, source) == expected


def test_a_notebook_becomes_a_page_with_its_outputs():
    table = '<table border="1" class="dataframe"><tr><td>7</td></tr></table>'
    cells = [
        {"cell_type": "markdown", "source": ["# Title"]},
        {
            "cell_type": "code",
            "source": ["a = 1\n", "a"],
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": ["printed\n"]},
                {"output_type": "display_data", "data": {"image/png": "AAEC", "text/plain": ["<Figure>"]}},
                {"output_type": "execute_result", "data": {"text/plain": ["7"], "text/html": [table]}},
            ],
        },
    ]
    text, pictures = notebook_page({"cells": cells})
    assert pictures == {"first-flight/1-1.png": b"\0\1\2"}
    assert text.startswith("# Title\n\n<a href=")
    order = ["```python\na = 1\na\n```", "```text\nprinted\n```", "](first-flight/1-1.png)", "<table><tr><td>7"]
    assert [text.count(each) for each in order] == [1, 1, 1, 1]
    assert sorted(order, key=text.index) == order
