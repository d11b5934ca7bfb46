import cv2
import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.labelling import clips
from pipeline.labelling.clips import cut_clip
from pipeline.video import open_video
from tests.pipeline.video.samples import write_video

WALK = {frame: (40.0 + frame, 30.0, 50.0 + frame, 50.0) for frame in range(20, 31)}  # 20 px tall


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """200 frames at 25 a second, with a key frame each 12 frames."""
    options = {"x264-params": "keyint=12:min-keyint=12:scenecut=0"}
    return open_video(write_video(tmp_path_factory.mktemp("clips") / "f.mp4", 200, options=options))


def windows(clip):
    image = cv2.cvtColor(cv2.imdecode(np.frombuffer(clip.data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return image.reshape(len(clip.frames), image.shape[1], image.shape[1], 3)


def frames(video):
    return [frame.image for segment in video.segments for frame in video.read(segment)]


def test_three_seconds_before_and_after(video, monkeypatch):
    monkeypatch.setattr(clips, "_WINDOWS", 1000)
    found = cut_clip(video, WALK, 100)
    assert [frame for frame, _ in found.frames] == list(range(25, 176))
    assert [time for _, time in found.frames] == pytest.approx([frame / 25 for frame in range(25, 176)])


def test_of_many_frames_some_are_left_out_evenly(video):
    assert [frame for frame, _ in cut_clip(video, WALK, 25).frames] == list(range(0, 101, 2))


@pytest.mark.parametrize("frame", [20, 24, 30])
def test_a_window_is_cut_from_its_frame_around_the_box(video, frame):
    found = cut_clip(video, WALK, 25)
    assert found.side == 60.0  # three times as tall as the person
    at = [each for each, _ in found.frames].index(frame)
    left, top = 40 + frame + 5 - 30, 40 - 30
    expected = cv2.resize(frames(video)[frame][top : top + 60, left : left + 60], (240, 240))
    inside = (slice(90, 150), slice(108, 132))  # of the outline
    assert np.abs(windows(found)[at][inside].astype(int) - expected[inside]).mean() < 6
    outside = np.abs(windows(found)[at][:60].astype(int) - expected[:60])
    assert outside.mean() < 6


def test_the_person_is_outlined_where_the_tracklet_has_a_box(video):
    found = cut_clip(video, WALK, 25)
    shown = windows(found)
    # The left side of a box of 10 x 20 px in the middle of a window of 60 px, which is 240 px on the screen.
    yellow = [bool(np.abs(each[85:155, 100].astype(int) - (255, 196, 0)).mean() < 60) for each in shown]
    assert yellow == [20 <= frame <= 30 for frame, _ in found.frames]


def test_a_window_stays_in_the_picture(video):
    corner = {0: (0.0, 0.0, 8.0, 16.0)}
    found = cut_clip(video, corner, 0)
    expected = cv2.resize(frames(video)[0][:48, :48], (240, 240))
    assert np.abs(windows(found)[0][120:].astype(int) - expected[120:]).mean() < 6
    giant = cut_clip(video, {0: (0.0, 0.0, 100.0, 90.0)}, 0)
    assert giant.side == 90.0


def test_what_cannot_be_shown_says_why(video):
    with pytest.raises(PipelineError, match="frame 900 cannot be shown; the video has 200 frames"):
        cut_clip(video, WALK, 900)
