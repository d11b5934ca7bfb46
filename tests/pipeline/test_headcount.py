"""The number of people that was counted is in status and report, until something that it was counted by changes."""

import json
import re

import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Mark, NewIdentity, SetMark
from annotate.project import Project
from pipeline.cli import main
from pipeline.config.models import ReportConfig
from pipeline.engine.progress import progress_bar
from pipeline.headcount import HEADCOUNT, Headcount, read_headcount, write_headcount
from pipeline.report import write_report


@pytest.fixture
def workspace(make_workspace, walk):
    """Three tracklets: one person, a distractor, and junk."""
    workspace = make_workspace({"f1": [walk(1, 0, 9), walk(2, 0, 9)], "f2": [walk(3, 0, 9)]})
    project = Project(workspace)
    project.store.apply(NewIdentity(tracklets=("f1/0",), name="Ann"), user="ann", id="a")
    project.store.apply(SetMark(tracklets=("f1/1",), mark=Mark.DISTRACTOR), user="ann", id="b")
    project.store.apply(SetMark(tracklets=("f2/0",), mark=Mark.JUNK), user="ann", id="c")
    project.close()
    return workspace


def run(*arguments):
    ran = CliRunner().invoke(main, [*map(str, arguments)])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def head(workspace):
    """The figures at the top of the report, by name."""
    page = write_report(workspace, ReportConfig(clip_s=0), progress_bar).read_text()
    top = page[: page.index('id="people"')]
    found = re.findall(r"<dd>(?:<a [^>]*>)?([^<]*)(?:</a>)?</dd><dt>([^<]*)</dt>", top)
    return {name: value for value, name in found}, "uavpipe people --workspace" in page


def test_what_was_counted_is_shown_until_a_label_changes(workspace):
    assert f"people      not counted since the last change: uavpipe people --workspace {workspace}" in run(
        "status", "--workspace", workspace
    )
    figures, hint = head(workspace)
    assert (figures.keys() & {"different people"}, hint) == (set(), True)
    assert "2 different people; 2 labelled, 0 tracklets open" in run("people", "--workspace", workspace)
    assert "people      2 different people\n" in run("status", "--workspace", workspace)
    assert json.loads(run("status", "--json", "--workspace", workspace))["people"]["people"] == 2
    figures, hint = head(workspace)
    assert (figures["different people"], hint) == ("2", False)
    with LabelStore(workspace / LABELS) as store:
        store.apply(SetMark(tracklets=("f1/1",), mark=Mark.JUNK), user="ann", id="d")
    assert "not counted since" in run("status", "--workspace", workspace)
    assert head(workspace)[1]


def test_an_interval_is_beside_the_number_and_other_flights_make_it_stale(workspace, tmp_path):
    counted = Headcount(7, 5, 9, decided=2, open=4, without=0, origin="80 persons")
    with LabelStore(workspace / LABELS, write=False) as store:
        labels = store.chain
    write_headcount(workspace, counted, labels)
    assert read_headcount(workspace, labels) == counted
    assert "people      7 different people (95 %: 5 to 9)\n" in run("status", "--workspace", workspace)
    assert head(workspace)[0]["different people (95 %: 5 to 9)"] == "7"
    (workspace / "f3/tracks").mkdir(parents=True)
    table = pd.read_parquet(workspace / "f2/tracks/tracklets.parquet")
    table.to_parquet(workspace / "f3/tracks/tracklets.parquet")
    assert read_headcount(workspace, labels) is None
    (workspace / HEADCOUNT).write_text("damaged")
    assert read_headcount(workspace, labels) is None
