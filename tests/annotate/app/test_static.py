"""The pages' source, without a browser."""

import re
from importlib.resources import files
from itertools import product

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


def contrast(one, other):
    """WCAG 2.2, by its definitions of contrast ratio and relative luminance."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_a_contrast_of_seven_on_each_background(theme):
    style = (STATIC / "style.css").read_text("utf-8")
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", style)
    colours = {name: values[theme] for name, *values in pairs}
    texts, grounds = ("text", "quiet", "accent", "focus", "bad"), ("ground", "panel", "raised", "marked")
    weak = {pair for pair in product(texts, grounds) if contrast(*(colours[name] for name in pair)) < 7}
    assert weak == set()
    assert contrast(colours["on-accent"], colours["accent"]) >= 7
