"""The pages' source, without a browser."""

from importlib.resources import files

import pytest

STATIC = files("annotate.app") / "static"
SOURCES = sorted(each.name for each in STATIC.iterdir() if each.name.endswith((".js", ".css", ".html")))


@pytest.mark.parametrize("name", SOURCES)
def test_no_line_is_longer_than_those_of_the_python_code(name):
    lines = (STATIC / name).read_text("utf-8").splitlines()
    assert lines
    assert {number: len(line) for number, line in enumerate(lines, start=1) if len(line) > 116} == {}


def test_the_sources_are_found():
    assert {"index.html", "style.css", "app.js"} <= set(SOURCES)
