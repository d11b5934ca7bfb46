"""The chain is written down once: nothing else names a stage, and all that lists stages agrees with the table."""

import ast
import re
from pathlib import Path

import pytest

from pipeline.chain.table import CHAIN, SEGMENT_STAGES, STEPS, TRACKS, Scope, is_before, made_together, stage_named
from pipeline.config.models import FlightConfig

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "pipeline").rglob("*.py"))
OURS = {word for stage in CHAIN for word in (stage.name, stage.folder, stage.file) if word}
# Stages whose names are also columns, counts, parts of a data set or sections of a configuration.
EVERYDAY = {"frames", "crops", "detections", "label", "dataset", "train", "report", "reid", "overlay", "index.html"}
_COMMANDS = ROOT / "pipeline" / "cli" / "__init__.py"  # names the functions of commands
_EXTRAS = ROOT / "pipeline" / "cli" / "extras.py"  # of the installation: `detect` is one, too


def literals(tree):
    """(text, parent) of each string in a module."""
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            if isinstance(child, ast.Constant) and isinstance(child.value, str):
                yield child.value, parent


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_name_of_a_stage_stands_in_the_table_alone(source):
    if source in (ROOT / "pipeline" / "chain" / "table.py", _COMMANDS, _EXTRAS):
        return
    for text, parent in literals(ast.parse(source.read_text("utf-8"))):
        assert text not in OURS - EVERYDAY, f"{text!r} in {ast.unparse(parent)}"
        of_a_path = isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Div)
        assert not (of_a_path and text in OURS - {"index.html"}), ast.unparse(parent)
        start = text.split("/")[0] if "/" in text else ""
        assert not (start in OURS and text.endswith(".parquet")), text


def test_that_test_finds_a_name():
    found = list(literals(ast.parse('path = flight / "motion"')))
    assert [text for text, _ in found] == ["motion"]
    assert "motion" in OURS - EVERYDAY


def test_the_chain_is_in_order():
    names = [stage.name for stage in CHAIN]
    assert len(set(names)) == len(names)
    for stage in CHAIN:
        assert stage_named(stage.name) is stage
        assert all(is_before(stage_named(need), stage) for need in stage.needs), stage.name
    assert [stage.name for stage in SEGMENT_STAGES] == ["frames", "detect", "crops", "motion", "appearance"]
    assert [stage.name for stage in STEPS] == [
        *("frames", "detect", "crops", "tracks", "dataset", "train", "evaluate", "report"),
    ]


def test_every_section_is_one_of_the_configuration():
    assert {stage.section for stage in CHAIN if stage.section} <= FlightConfig.model_fields.keys()


def test_a_command_for_a_video_runs_what_its_stage_needs():
    for stage in CHAIN:
        if stage.takes_video:
            run = [each.name for each in made_together(stage)]
            assert {stage.name, *stage.needs} <= set(run), stage.name
    assert [each.name for each in made_together(TRACKS)] == [
        *("frames", "detect", "crops", "motion", "appearance", "tracks"),
    ]


def test_the_makefile_has_a_rule_for_each_stage_of_a_video():
    rules = (ROOT / "Makefile").read_text("utf-8")
    for stage in CHAIN:
        if stage.is_step and stage.scope is not Scope.WORKSPACE:
            rule = rf"^{stage.name}: \$\(FLIGHT\)/{stage.folder}/manifest.json ## (.*)$"
            (help_text,) = re.findall(rule, rules, re.MULTILINE)
            assert help_text.startswith(stage.summary.removesuffix("."))
