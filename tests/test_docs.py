"""What the documentation promises about itself."""

import re
from pathlib import Path

import pytest

from docs.configuration import PAGE, reference

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
MODULES = [
    path
    for package in ("pipeline", "annotate", "detector", "reid")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name not in ("__init__.py", "__main__.py")
]
_LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def test_the_configuration_reference_is_the_models():
    assert PAGE.read_text("utf-8") == reference(), "python -m docs.configuration"


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in _LINK.findall(page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_reached_from_the_readme(page):
    assert f"docs/{page.name}" in (ROOT / "README.md").read_text("utf-8")


def test_no_file_is_longer_than_500_lines():
    assert {path: lines for path in MODULES if (lines := len(path.read_text("utf-8").splitlines())) > 500} == {}
