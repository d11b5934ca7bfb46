"""What the documentation promises about itself."""

import re
import shlex
from graphlib import TopologicalSorter
from pathlib import Path

import click
import grimp
import pytest

from docs import configuration, modules
from pipeline.chain.table import CHAIN
from pipeline.cli import main
from pipeline.dataset.labelled import COLUMNS
from pipeline.stages import appearance, crops, detect, frames, motion

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
PACKAGES = ("uavpipe", "pipeline", "annotate", "detector", "reid")
MODULES = [
    path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name not in ("__init__.py", "__main__.py")
]
_LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def test_the_configuration_reference_is_the_models():
    assert configuration.PAGE.read_text("utf-8") == configuration.reference(), "python -m docs.configuration"


def test_every_module_is_in_its_packages_row():
    page = modules.PAGE.read_text("utf-8")
    assert page == modules.modules_page(), "python -m docs.modules"
    rows = dict(re.findall(r"^\| \[([\w/]+)\]\(\.\./\1\) \| [^|].* \| ([\w, ]*) \|$", page, re.MULTILINE))
    listed = {f"{package}/{name}.py" for package, names in rows.items() for name in names.split(", ") if name}
    assert listed == {path.relative_to(ROOT).as_posix() for path in MODULES}


def test_the_architectures_table_is_the_chain():
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| `uavpipe (.*)` \|$", page, re.MULTILINE)
    assert rows == [
        (
            stage.name,
            " | ".join(
                (
                    stage.scope.value,
                    ", ".join(stage.needs),
                    f"`{stage.section}`" if stage.section else "",
                    f"`{stage.folder}/`" if stage.folder else "",
                )
            ),
            stage.command,
        )
        for stage in CHAIN
    ]


def test_makes_help_is_the_chains_summaries():
    texts = dict(re.findall(r"^([\w-]+):.*## (.*)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    inner = {"motion", "appearance", "embeddings", "clip"}  # made by the targets of other stages, or by none
    summaries = {stage.name: stage.summary.removesuffix(".") for stage in CHAIN if stage.name not in inner}
    assert {name: texts.get(name) for name in summaries} == summaries


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *PAGES],
    ids=lambda page: page.name,
)
def test_no_line_of_prose_is_longer_than_116(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL).splitlines()
    assert [line for line in prose if len(line) > 116 and not line.startswith(("|", "    "))] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_no_text_runs_into_a_table(page):
    assert re.findall(r"^\|.*\n(?!\|)\S.*", page.read_text("utf-8"), re.MULTILINE) == []


@pytest.mark.parametrize("name", ["architecture.md", "extending.md"])
def test_the_modules_and_tests_that_a_page_names_exist(name):
    named = set(re.findall(r"`((?:\w+/)+\w+\.(?:py|html))`", (ROOT / "docs" / name).read_text("utf-8")))
    assert len(named) > 5
    there = {each for each in named if (ROOT / each).exists() or (ROOT / "pipeline" / each).exists()}
    assert {each for each in named - there if "NAME" not in each} == set()


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in _LINK.findall(page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_reached_from_the_readme(page):
    assert f"docs/{page.name}" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/architecture.md", "docs/privacy.md"])
def test_the_tests_that_hold_a_promise_exist(name):
    page = (ROOT / name).read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)`", page)
    assert len(named) >= 3
    promises = re.search(r"^\| promise \| held by \|\n\|---\|---\|\n((?:\|.*\n?)+)", page, re.MULTILINE)
    without = [row for row in (promises[1].splitlines() if promises else ()) if "`tests/" not in row]
    assert without == []
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_no_module_imports_itself_by_way_of_others():
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    TopologicalSorter({each: graph.find_modules_directly_imported_by(each) for each in graph.modules}).prepare()


def test_no_file_is_longer_than_500_lines():
    assert {path: lines for path in MODULES if (lines := len(path.read_text("utf-8").splitlines())) > 500} == {}


def test_the_tables_have_the_columns_that_the_formats_page_tells():
    page = (ROOT / "docs" / "formats.md").read_text("utf-8")
    told = {
        section.split("\n", 1)[0]: dict(re.findall(r"^\| (\w+) \| ([^|]+) \|", section, re.MULTILINE)[1:])
        for section in re.split("^### ", page, flags=re.MULTILINE)[1:]
    }
    for path, schema in {
        "frames/frames.parquet": frames.SCHEMA,
        "detections/detections.parquet": detect.SCHEMA,
        "crops/crops.parquet": crops.IN_SHARDS,
        "motion/motion.parquet": motion.SCHEMA,
        "appearance/appearance.parquet": appearance.SCHEMA,
    }.items():
        assert told[path] == {field.name: str(field.type) for field in schema}, path
    assert told["dataset/dataset.parquet"] == {"name": "str", "split": "str"} | COLUMNS


def commands():
    """Each `uavpipe …` of the pages' code blocks, lines that go on joined: (page, words)."""
    for page in PAGES:
        text = page.read_text("utf-8").replace("\\\n", " ")
        for line in re.findall(r"^ {4,}(?:srun (?:.* -- +)?)?(?:\.venv/bin/)?uavpipe (.*)", text, re.MULTILINE):
            yield page.name, shlex.split(line, comments=True)


@pytest.mark.parametrize(
    ("page", "words"), list(commands()), ids=lambda value: value if isinstance(value, str) else value[0]
)
def test_the_commands_of_the_pages_have_the_options_that_are_shown(page, words):
    command, context = main, click.Context(main)
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        command = command.get_command(context, words.pop(0))
        assert command is not None, page
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.split("=")[0] for word in words if re.match("--?[a-z]", word)}
    assert used <= known | {"--help", "-h"}, page
