"""The arguments that pages and the Makefile give to the benchmarks are those that they take; none is run."""

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "Makefile", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
_COMMAND = re.compile(r"python (?:-m )?(benchmarks|docs)[./](\w+)(?:\.py)?([^\n`&]*)")


class _ParsedError(Exception):
    """In place of what follows the arguments."""


def commands():
    """Each command of a benchmark, or of a script of docs/, that a page shows: page, module, words."""
    for page in PAGES:
        for package, name, words in _COMMAND.findall(page.read_text("utf-8")):
            given = words.replace("$(call quote,$(CARD_DATA))", "cards")
            yield page.name, f"{package}.{name}", shlex.split(given, comments=True)


def parse(module, words, monkeypatch):
    """Have the script's `main` read `words`, and no more."""
    read = argparse.ArgumentParser.parse_args

    def parse_only(parser):
        read(parser)
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    monkeypatch.setattr("sys.argv", [module, *words])
    importlib.import_module(module).main()


@pytest.mark.parametrize(("page", "module", "words"), list(commands()))
def test_a_command_has_the_arguments_of_its_script(page, module, words, monkeypatch):
    if "parse_args" not in (ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8"):
        assert words == [], page  # it takes none
        return
    with pytest.raises(_ParsedError):
        parse(module, words, monkeypatch)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_benchmark_says_what_it_measures_and_how_it_is_called(name, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="0"):
        parse(f"benchmarks.{name}", ["--help"], monkeypatch)
    shown = capsys.readouterr().out
    about = importlib.import_module(f"benchmarks.{name}").__doc__
    assert about.strip() in shown
    assert name in {script for _, script, _ in _COMMAND.findall(about)}
