from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.config.flights import require_flights
from pipeline.config.models import TracksConfig, load_config
from pipeline.errors import PipelineError


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_one_line_is_a_whole_configuration(tmp_path):
    config = load_config(write(tmp_path / "flight.yaml", "video: flight01.mp4\n"))
    assert config.flights == (tmp_path / "flight01.mp4",)
    assert config.detector.threshold == 0.8
    assert config.detector.floor == 0.05


def test_the_example_is_a_configuration():
    path = Path(__file__).parents[3] / "configs" / "flight.yaml"
    config = load_config(path)
    assert [video.name for video in config.flights] == ["flight01.mp4", "DJI_0001.MP4"]
    assert config.reid.recipe is not None


def test_paths_in_a_file_are_relative_to_the_file(tmp_path):
    config = load_config(write(tmp_path / "flight.yaml", "videos: [a.mp4, /b.mp4]\nworkspace: out\n"))
    assert config.flights == (tmp_path / "a.mp4", Path("/b.mp4"))
    assert config.workspace == tmp_path / "out"


def test_paths_of_models_are_relative_to_the_file_too(tmp_path):
    text = "detector: {weights: a/model.pth, detectron2: {config_file: a/config.yaml}}\n"
    detector = load_config(write(tmp_path / "flight.yaml", text)).detector
    assert detector.weights == str(tmp_path / "a" / "model.pth")
    assert detector.detectron2.config_file == tmp_path / "a" / "config.yaml"
    assert load_config(write(tmp_path / "flight.yaml", "detector: {weights: auto}\n")).detector.weights == "auto"
    typed = load_config(tmp_path / "flight.yaml", ["detector.weights=mine.safetensors"])
    assert typed.detector.weights == "mine.safetensors"


def test_the_command_line_lies_over_the_file(tmp_path):
    path = write(tmp_path / "flight.yaml", "video: a.mp4\ndetector: {threshold: 0.7}\n")
    config = load_config(path, ["detector.threshold=0.6"], videos=[Path("b.mp4")], workspace=Path("elsewhere"))
    assert config.flights == (Path("b.mp4"),)
    assert config.workspace == Path("elsewhere")
    assert config.detector.threshold == 0.6


def test_two_videos_of_one_name_are_refused():
    config = load_config(videos=[Path("a/flight.mp4"), Path("b/flight.mov")])
    with pytest.raises(PipelineError, match="shares the name 'flight'"):
        require_flights(config)


def test_no_video_says_how_to_name_one():
    with pytest.raises(PipelineError, match="no video"):
        require_flights(load_config())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PipelineError, match=r"gone\.yaml: no such configuration file"):
        load_config(tmp_path / "gone.yaml")


def test_former_names_of_settings_are_read_and_the_last_one_given_counts(tmp_path):
    path = tmp_path / "flight.yaml"
    path.write_text("tracks: {lost_s: 2, low: 0.2}\ncrops: {every: 3}\n")
    config = load_config(path)
    assert (config.tracks.max_gap_s, config.tracks.min_score, config.crops.stride) == (2, 0.2, 3)
    assert load_config(path, ["tracks.max_gap_s=4"]).tracks.max_gap_s == 4
    assert load_config(path, ["tracks.max_gap_s=4", "tracks.lost_s=5"]).tracks.max_gap_s == 5
    assert load_config(path, ["tracks.lost_s=5", "tracks.max_gap_s=4"]).tracks.max_gap_s == 4


def test_a_flight_has_a_start_and_an_offset(tmp_path):
    noon = datetime(2024, 9, 17, 12, tzinfo=timezone(timedelta(hours=2)))
    text = (
        "videos: [{path: a.mp4, start: 2024-09-17T12:00:00+02:00}, {path: b.mp4, start: auto, offset_s: -3}, c.mp4]"
    )
    config = load_config(write(tmp_path / "flight.yaml", text))
    assert [config.clock_of(video) for video in config.flights] == [(noon, None), ("auto", -3.0), (None, None)]
    typed = load_config(None, ["videos=[{path: a.mp4, start: '2024-09-17 12:00'}]"])
    assert typed.clock_of(Path("a.mp4")) == (datetime(2024, 9, 17, 12), None)
    again = load_config(None, [f"videos={config.model_dump_json(include={'videos'})[10:-1]}"])
    assert again.videos == config.videos


@pytest.mark.parametrize("start", ["noon", "14", "'14:30'", "'2024-13-01T00:00'", "0001-01-01T00:00:00", "[]"])
def test_a_start_that_is_no_date_is_refused(start):
    with pytest.raises(PipelineError, match=r"videos\.0\.start: .*expected a date and time, as 2024-09-17T14:30"):
        load_config(None, [f"videos=[{{path: a.mp4, start: {start}}}]"])


def test_the_start_on_the_command_line_is_of_one_video(tmp_path):
    for arguments in (["a.mp4", "b.mp4"], []):
        ran = CliRunner().invoke(main, ["run", *arguments, "--start", "2024-09-17T14:30:00"])
        assert (ran.exit_code, "--start is of one VIDEO" in ran.stderr) == (2, True)
    ran = CliRunner().invoke(main, ["run", "a.mp4", "--start", "noon"])
    assert (ran.exit_code, ran.stderr.count("\n"), "expected a date and time" in ran.stderr) == (1, 1, True)


def test_a_tracklet_starts_at_the_score_of_a_crop_unless_it_is_set():
    assert TracksConfig().starting_from(0.7).new_track_score == 0.7
    assert TracksConfig(new_track_score=0.5).starting_from(0.7).new_track_score == 0.5
