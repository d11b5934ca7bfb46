"""The colours of a video: by its tag where it has one; HD without a tag by BT.709, as players do."""

import av
import numpy as np
import pytest

from pipeline.chain.table import FRAMES
from pipeline.config.models import FlightConfig
from pipeline.engine.progress import progress_bar
from pipeline.run.flight import run_stages
from pipeline.run.plan import plan_flights
from pipeline.stages.overlay import write_video as encode_video
from pipeline.video import colours_of, open_video
from tests.pipeline.video.samples import write_video

HD, SD = (1280, 720), (640, 480)
BT709, BT601, BT2020 = (0.2126, 0.0722), (0.299, 0.114), (0.2627, 0.0593)  # weights of red and blue in the luma
UNTAGGED = 2
COLOURS = [(200, 60, 40), (30, 160, 60), (40, 60, 200)]


def in_yuv(colour, weights, full=False):
    """8-bit Y, Cb, Cr of an RGB `colour`, by hand: ITU-R BT.601 and BT.709, section 3."""
    red, green, blue = (value / 255 for value in colour)
    of_red, of_blue = weights
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    chroma = (blue - luma) / (2 * (1 - of_blue)), (red - luma) / (2 * (1 - of_red))
    if full:
        return [round(255 * luma), *(round(128 + 255 * each) for each in chroma)]
    return [round(16 + 219 * luma), *(round(128 + 224 * each) for each in chroma)]


def write_colour(path, colour, size, weights, tag, full=False):
    """One frame of a single colour, its planes written as they are."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"qp": "0", "preset": "ultrafast"}
        stream.codec_context.colorspace = tag
        stream.codec_context.color_range = 2 if full else 1
        frame = av.VideoFrame(*size, "yuv420p")
        for plane, value in zip(frame.planes, in_yuv(colour, weights, full), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.colorspace, frame.color_range = tag, 2 if full else 1
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("size", "weights", "tag", "full"),
    [
        (HD, BT709, UNTAGGED, False),
        ((640, 578), BT709, UNTAGGED, False),
        ((1280, 534), BT709, UNTAGGED, False),
        (HD, BT709, UNTAGGED, True),
        (SD, BT601, UNTAGGED, False),
        ((720, 576), BT601, UNTAGGED, False),
        (HD, BT601, 6, False),
        (HD, BT601, 5, True),
        (SD, BT709, 1, False),
        (HD, BT2020, 9, False),
    ],
)
def test_a_known_colour_is_read_as_it_was(size, weights, tag, full, tmp_path):
    for colour in COLOURS[: 1 if size == HD else None]:
        path = write_colour(tmp_path / "a.mp4", colour, size, weights, tag, full)
        (frame,) = open_video(path).read_all()
        assert np.abs(frame.image.astype(int) - colour).max() <= 2
        assert bool(colours_of(path)) is (tag == UNTAGGED and weights is BT709)


def test_pictures_that_are_rgb_already_have_no_matrix(tmp_path):
    path = write_video(tmp_path / "a.mov", 1, HD, codec="png", pixel_format="rgb24")
    assert colours_of(path) == ""
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert [colours_of(each) for each in (tmp_path, tmp_path / "broken.mp4", tmp_path / "none")] == ["", "", ""]


def test_what_is_written_says_by_which_matrix(tmp_path):
    colour = np.full((720, 1280, 3), COLOURS[0], np.uint8)
    written = write_colour(tmp_path / "a.mp4", COLOURS[0], HD, BT709, 1)
    frames = list(open_video(written).read_all())
    options = {"fps": 25, "crf": 1, "max_width": 1280, "advance": lambda _: None}
    encode_video(tmp_path / "b.mp4", frames, lambda _: colour, **options)
    (frame,) = open_video(tmp_path / "b.mp4").read_all()
    assert np.abs(frame.image.astype(int) - COLOURS[0]).max() <= 3
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].codec_context.colorspace == 5


def test_results_of_other_colours_are_made_again_and_it_says_why(tmp_path, monkeypatch, caplog):
    video = write_colour(tmp_path / "a.mp4", COLOURS[0], HD, BT709, UNTAGGED)
    config = FlightConfig(workspace=tmp_path / "runs")
    with monkeypatch.context() as before:
        before.setattr("pipeline.run.flight.colours_of", lambda _: "")  # as it was in earlier versions
        run_stages(config, video, FRAMES, progress_bar)
    assert "colours" not in caplog.text
    (planned,) = plan_flights(config.model_copy(update={"video": video}), FRAMES)
    assert planned.reason == "with colours BT.709, as HD without a tag"
    run_stages(config, video, FRAMES, progress_bar)
    assert "frames runs again: with colours BT.709, as HD without a tag" in caplog.text
    caplog.clear()
    assert run_stages(config, video, FRAMES, progress_bar)[0].skipped
    assert not caplog.text
