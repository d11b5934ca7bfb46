"""The parts of the report against counts by hand."""

import math
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.models import ReportConfig
from pipeline.errors import PipelineError
from pipeline.report import flight
from pipeline.report.against_truth import _figure
from pipeline.report.clip import fullest
from pipeline.report.flight import _stretches
from pipeline.report.people import Strip, covered
from pipeline.report.records import clock
from pipeline.report.reidentification import _groups, _lists, _open_set, read_log, read_table1
from pipeline.report.timeline import timeline
from pipeline.stages.evaluation import StoredEvaluation
from tests.pipeline.report.conftest import TABLE1


def frames(*rows):
    """Rows of the table of frames, ten a second: index, lost, corrupt, damage."""
    return pd.DataFrame(
        [
            {"frame": index, "pts_s": 5 + index / 10, "lost": lost, "corrupt": corrupt, "damage": damage}
            for index, lost, corrupt, damage in rows
        ]
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00.0"),
        (59.96, "1:00.0"),
        (61.25, "1:01.2"),
        (3661.5, "1:01:01.5"),
        (-0.31, "-0:00.3"),
        (-0.01, "0:00.0"),
    ],
)
def test_times_are_read_like_a_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("stays", "seconds"),
    [
        ([], 0),
        ([(1, 2), (4, 6)], 3),
        ([(4, 6), (1, 5), (2, 3)], 5),  # two tracklets at once are one person in one second
        ([(1, 9), (1, 9)], 8),
    ],
)
def test_a_person_is_seen_no_longer_than_the_video(stays, seconds):
    assert covered(stays) == seconds


def test_a_figure_that_there_is_none_of_is_a_dash():
    assert [_figure(value) for value in (0.25, None, math.nan)] == ["0.250", "–", "–"]


def test_damage_is_told_by_stretches_of_frames():
    damaged = frames(
        (3, True, False, "no packet"),
        (4, True, False, "no packet"),
        (5, False, True, "corrupt: made up"),
        (9, True, False, "no packet"),
    )
    damaged.loc[3, "pts_s"] = math.nan
    assert list(_stretches(damaged, 5.0)) == [
        "frames 3 to 4 at 0:00.3: lost: no packet",
        "frame 5 at 0:00.5: corrupt: made up",
        "frame 9: lost: no packet",
    ]


def test_the_clip_shows_the_stretch_with_most_persons():
    table = frames(*((index, index == 31, False, "") for index in range(60)))
    boxes = pd.DataFrame({"frame": [2, 30, 30, 32, 33, 50]})
    found = fullest(table, boxes, 0.35)
    assert found.frames == (30, 32, 33)  # the first of those with three of the four
    assert (found.begin_s, found.end_s) == pytest.approx((3.0, 3.3))
    late = fullest(table, pd.DataFrame({"frame": [59] * 9}), 1.0)
    assert late.frames == tuple(range(49, 60))  # as long as asked, not cut by the end
    assert fullest(table, boxes, 100).frames == tuple(index for index in range(60) if index != 31)
    assert fullest(table[31:32], boxes, 1) is None
    table.loc[59, "pts_s"] = math.nan  # the container does not say
    assert fullest(table, boxes, 100).end_s == pytest.approx(5.8)


@given(st.lists(st.tuples(st.floats(0, 99), st.floats(0, 40)), max_size=40))
def test_bars_of_a_lane_do_not_touch(spans):
    strips = [Strip(f"f/{n}", 10 + begin, 10 + begin + length, None) for n, (begin, length) in enumerate(spans)]
    drawn = timeline(sorted(strips, key=lambda strip: strip.begin_s), 10.0, 139.0)
    assert sum(map(len, drawn.lanes)) == len(spans)
    for lane in drawn.lanes:
        for first, second in pairwise(lane):
            assert first.left + first.width < second.left
    # As few lanes as there are bars, wider by the gap, side by side at one moment: begins are where that is most.
    gap = 0.004 * 139
    side_by_side = [sum(begin <= moment < begin + length + gap for begin, length in spans) for moment, _ in spans]
    assert len(drawn.lanes) <= max(side_by_side, default=0) + 1


def test_bars_lead_to_the_identity_and_have_its_colour():
    strips = [Strip("f/0", 0, 5, 7), Strip("f/1", 5, 10, 7), Strip("f/2", 5, 10, "junk")]
    bars = [bar for lane in timeline(strips, 0.0, 10.0).lanes for bar in lane]
    first, second, junk = sorted(bars, key=lambda bar: bar.title)
    assert first.colour == second.colour != ""
    assert (first.person, junk.person, junk.colour) == (7, None, "")
    assert first.title == "f/0: identity 7, 0:00.0 to 0:05.0"
    assert junk.title == "f/2: junk, 0:05.0 to 0:10.0"


def evaluation(folder, precisions):
    queries = pd.DataFrame(
        {
            "query": range(len(precisions)),
            "repeat": 0,
            "identity": 1,
            "camera": 2,
            "path": [f"q{n}.jpg" for n in range(len(precisions))],
            "average_precision": precisions,
            "first_hit": [0 if math.isnan(each) else n + 1 for n, each in enumerate(precisions)],
            "positives": [0 if math.isnan(each) else 1 for each in precisions],
        }
    )
    ranked = pd.DataFrame(
        [
            {
                "query": n,
                "place": place,
                "path": f"g{place}.jpg",
                "camera": 1,
                "distance": place,
                "right": place == 2,
            }
            for n in range(len(precisions))
            for place in (2, 1)
        ]
    )
    return StoredEvaluation(folder, {}, queries, ranked)


def test_the_curve_counts_queries_that_have_an_answer(tmp_path):
    measured = evaluation(tmp_path, [0.5, math.nan, 0.2, 0.3])  # answered at ranks 1, 3 and 4
    assert measured.cmc(5).tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 1, 1])


def test_ranked_lists_go_from_the_worst_to_the_best(tmp_path):
    measured = evaluation(tmp_path, [0.9, math.nan, 0.1, 0.05, 0.7, 0.3])
    lists = list(_lists(measured, {}, 3))
    assert [each.number for each in lists] == [3, 5, 0]
    assert [crop.distance for crop in lists[0].crops] == [1, 2]
    assert [crop.right for crop in lists[0].crops] == [False, True]
    assert lists[0].query.caption == "camera 2"
    assert list(_lists(measured, {}, 0)) == []


def test_a_ranked_list_of_single_shot_has_the_mean_over_the_draws(tmp_path):
    once = evaluation(tmp_path, [0.5, 0.9])
    draws = [once.queries, once.queries.assign(repeat=1, average_precision=[1.0, 0.2])]
    drawn = StoredEvaluation(tmp_path, {}, pd.concat(draws, ignore_index=True), once.ranked)
    lists = list(_lists(drawn, {}, 2))
    assert [(each.number, each.precision) for each in lists] == [(1, pytest.approx(0.55)), (0, 0.75)]
    assert [each.first_hit for each in lists] == [None, None]  # each draw has its own, and the list is of none
    assert [each.first_hit for each in _lists(once, {}, 2)] == [1, 2]


def test_a_log_with_numbers_that_are_none_is_read_up_to_them(tmp_path):
    rows = ['{"iteration": NaN, "loss": 1}', '{"iteration": Infinity}', '{"iteration": 3, "loss": NaN}', '{"iter']
    (tmp_path / "log.jsonl").write_text("\n".join(rows))
    assert read_log(tmp_path / "log.jsonl")["iteration"].tolist() == [3]


def test_the_papers_table_is_read_with_what_is_missing(tmp_path):
    assert read_table1(tmp_path) is None
    (tmp_path / "table1").mkdir()
    (tmp_path / "table1" / "table1.md").write_text(TABLE1)
    assert read_table1(tmp_path) == [
        [
            ["mAP", "triplet, 0.1", "proposed, 0.1"],
            ["random", "9.2 ± 0.1", "7.9 ± 0.3"],
            ["MSMT17", "no data", "no data"],
        ]
    ]


def test_a_truth_that_fits_nothing_costs_no_report_unless_it_was_named(monkeypatch, tmp_path):
    def refuse(folder, truth, threshold):
        raise PipelineError(f"{truth}: none of its 4 boxes is on a detection")

    monkeypatch.setattr(flight, "find_truth", lambda setting, video: tmp_path / "f.gt.txt")
    monkeypatch.setattr(flight, "compare_with_truth", refuse)
    missing = []
    assert flight._against_truth(tmp_path, ReportConfig(), Path("f.mp4"), missing) is None
    (text,) = missing
    assert text.startswith("Not compared with the ground truth: ")
    assert text.endswith("none of its 4 boxes is on a detection")
    with pytest.raises(PipelineError, match="none of its 4 boxes"):
        flight._against_truth(tmp_path, ReportConfig(truth=tmp_path / "f.gt.txt"), Path("f.mp4"), missing)


def test_open_set_figures_and_groups_are_shown_with_their_intervals(tmp_path):
    content = {
        "TPR@FPR=1e-2": 0.75,
        "TPIR@FPIR=5%": 0.5,
        "intervals": {"TPR@FPR=1e-2": [0.7, 0.8], "TPIR@FPIR=5%": [0.4, "x"]},
        "by_height": [
            {"height_px": [0, 32], "queries": 4, "mAP": 0.25, "rank-1": 0.5, "intervals": {"mAP": [0.1, 0.4]}},
            {"height_px": [384, None], "queries": 9, "mAP": 0.75, "rank-1": 1.0},
            "damaged",
        ],
        "by_altitude": [
            {"altitude_m": [10, 20], "queries": 4, "mAP": 0.5, "rank-1": 0.25},
            {"altitude_m": [120, None], "queries": 1, "mAP": 1.0, "rank-1": 1.0},
        ],
    }
    assert [row[:3] for row in _groups(content, "altitude")] == [
        ("10 to 20 m", "4", "0.500"),
        ("120 m and more", "1", "1.000"),
    ]
    assert _open_set(content) == (("0.750", "–", "–", "–", "0.500"), ("0.700 – 0.800", "–", "–", "–", "–"))
    assert list(_groups(content, "height")) == [
        ("0 to 31 px", "4", "0.250", "0.500", "0.100 – 0.400", "–"),
        ("384 px and more", "9", "0.750", "1.000", "–", "–"),
    ]
    assert _open_set({"mAP": 0.5}) == ()
    assert list(_groups({"by_height": content["by_height"][:1]}, "height")) == []
