"""Help, errors, pages and module docstrings use the field's words, and none of a private dialect."""

import ast
import re
from pathlib import Path

import click
import pytest

from pipeline.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "Makefile",
    *sorted((ROOT / "docs").glob("*.md")),
]
PACKAGES = ("uavpipe", "pipeline", "annotate", "detector", "reid")
MODULES = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
# What is not said, and what is said instead.
BANNED = {
    r"anew": "again",
    r"lies": "is",
    r"stands(?! (?:for|in|out|on|upright)\b)": "is; is intact",
    r"told": "reported, named",
    r"learnt": "trained",
    r"whom": "the person that",
    r"so many": "that many; a number",
    r"at hand": "available",
    r"br(?:ing|ings|inging|ought) up": "run, update",
    r"veil\w*": "redact",
    r"who is who": "identities",
    r"(?:its|their|persons'|people's|the|by) looks": "descriptors",
    r"go(?:es)? on(?! (?:the|a|one)\b)": "resume, continue",
    r"(?:what|still|no longer) holds?": "is up to date",
    r"(?:the|its|a|by|against|exact) truth": "ground truth",
    r"tak(?:e|es|en|ing) (?:somebody|a person|people|an identity) out": "erase",
}
# The labelling app asks "Who is who?", and its page quotes it.
_MAY_ASK = (ROOT / "annotate" / "app", ROOT / "docs" / "annotate.md")


def found_in(text, path=ROOT):
    """A line for every banned word of `text`, which is in `path`: the words around it, and what to say instead."""
    line = " ".join(text.split())
    for word, instead in BANNED.items():
        if word != "who is who" or not any(path.is_relative_to(place) for place in _MAY_ASK):
            for hit in re.finditer(rf"\b(?:{word})\b", line, re.IGNORECASE):
                yield f"…{line[max(0, hit.start() - 30) : hit.end() + 30]}… ({instead})"


def commands(command=main, name="uavpipe"):
    """Every command: its name and the command itself."""
    yield pytest.param(name, command, id=name)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            yield from commands(command.get_command(context, each), f"{name} {each}")


def error_texts(tree):
    """The literal parts of what is given to the errors that are raised."""
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else None
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(("Error", "Exception", "BadParameter")):
            for part in ast.walk(call):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def test_the_list_finds_its_words_and_no_others():
    assert len([*found_in("It is made\nanew; the weights whom nobody was told of.")]) == 3
    assert [*found_in("RGB stands for red, green, blue; the ground truth is complete.")] == []
    assert [*error_texts(ast.parse("raise UserError(f'{path}: lies', hint=name('there')) from None"))] == [
        ": lies",
        "there",
    ]


@pytest.mark.parametrize(("name", "command"), [*commands()])
def test_help(name, command):
    help_text = command.get_help(click.Context(command, info_name=name, max_content_width=10_000))
    assert "\n".join(found_in(help_text)) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages(page):
    text = page.read_text("utf-8")
    if page.name == "Makefile":
        text = "\n".join(re.findall("# .*", text))
    prose = re.sub(r"^```.*?^```|^ {4}[^\n]*|`[^`]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "\n".join(found_in(prose, page)) == ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_errors_and_module_docstrings(path):
    tree = ast.parse(path.read_text("utf-8"))
    about = ast.get_docstring(tree) or ""
    assert "\n".join(hit for text in (about, *error_texts(tree)) for hit in found_in(text, path)) == ""
    assert not re.match(r"(?:What|Whether|How|Who|Whose)\b", about), "say what the module holds"
