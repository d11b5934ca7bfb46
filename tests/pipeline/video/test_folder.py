"""Folders of images: what else is in them, and pictures of more than 8 bits."""

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.video import open_video
from pipeline.video.stretch import Stretch, find_stretch
from tests.pipeline.video.samples import picture, write_video


def write_images(folder, *names):
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(cv2.imencode(".png", picture(number, 32, 24))[1].tobytes())
    return folder


def ramp(low, high, kind):
    return np.linspace(low, high, 64 * 48).reshape(48, 64).astype(kind)


def write_deep(folder, name, image):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(cv2.imencode(".tiff", image)[1].tobytes())


def test_a_folder_of_videos_says_so(tmp_path):
    for name in ("DJI_0001.MP4", "DJI_0001.LRF", "._DJI_0001.MP4", "DJI_0002.MP4"):
        (tmp_path / name).touch()
    with pytest.raises(
        PipelineError, match=r"it holds 2 videos \(DJI_0001\.MP4, DJI_0002\.MP4\); name each itself"
    ):
        open_video(tmp_path)


def test_pictures_that_are_not_read_are_counted(tmp_path, caplog):
    folder = write_images(tmp_path / "mix", "1.png", "3.png", "._1.png", "Thumbs.db")
    assert open_video(folder).frame_count == 2
    assert caplog.messages == []
    for name in ("2.HEIC", "4.jp2", "5.heic", "a.mov"):
        (folder / name).touch()
    assert open_video(folder).frame_count == 2
    (message,) = caplog.messages
    assert "3 pictures are of a kind that is not read (heic, jp2) and it holds 1 video (a.mov)" in message
    for name in ("1.png", "3.png", "a.mov"):
        (folder / name).unlink()
    with pytest.raises(PipelineError, match=r"no image in this folder; 3 pictures .*; convert them to one of bmp"):
        open_video(folder)


@pytest.mark.parametrize(
    ("kind", "low", "high"), [(np.uint16, 7000, 9000), (np.uint16, 0, 4095), (np.float32, 15.5, 36.25)]
)
def test_a_small_range_is_stretched_alike_in_all_frames(tmp_path, caplog, kind, low, high):
    write_deep(tmp_path, "1.tiff", ramp(low, high, kind))
    write_deep(tmp_path, "2.tiff", ramp(low, (low + high) / 2, kind))
    first, second = open_video(tmp_path).read_all()
    assert "are stretched to 0 to 255" in caplog.text
    assert (first.image.min(), first.image.max()) == (0, 255)
    assert second.image.max() == pytest.approx(128, abs=2)
    assert np.array_equal(first.image[..., 0], first.image[..., 2])


def test_a_whole_range_is_not_stretched(tmp_path, caplog):
    image = ramp(0, 65535, np.uint16)
    write_deep(tmp_path, "1.tiff", image)
    (frame,) = open_video(tmp_path).read_all()
    assert np.array_equal(frame.image[..., 0], image // 256)
    assert caplog.messages == []


def test_flat_and_empty_pictures_have_no_range():
    assert find_stretch([]) is None
    assert find_stretch([np.zeros((4, 4), np.uint8)]) is None
    assert find_stretch([np.full((4, 4), 7000, np.uint16)]) is None
    assert find_stretch([np.full((4, 4), np.nan, np.float32)]) is None
    hot = np.full((100, 100), 7000, np.uint16)
    hot[0, 0] = 65535
    assert find_stretch([hot, hot + np.uint16(1)]).high < 7100
    assert Stretch(10, 20)(np.array([np.nan, 0, 15, 99], np.float32)).tolist() == [0, 0, 128, 255]


@pytest.mark.parametrize(("codec", "pixel_format"), [("ffv1", "gray16le"), ("ffv1", "yuv420p10le")])
def test_a_video_of_more_than_8_bits(tmp_path, caplog, codec, pixel_format):
    video = open_video(write_video(tmp_path / "whole.mkv", 8, (64, 48), codec=codec, pixel_format=pixel_format))
    assert video.stretch is None
    assert caplog.messages == []


def test_a_thermal_video_is_stretched(tmp_path, caplog):
    path = write_thermal(tmp_path / "thermal.mkv", 6)
    frames = list(open_video(path, segment_frames=2).read_all())
    assert len(frames) == 6
    assert "thermal.mkv: pictures of more than 8 bits" in caplog.text
    assert all(frame.image.max() > 250 and frame.image.min() < 5 for frame in frames)


def write_thermal(path, count):

    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray16le"
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(ramp(7000, 9000, np.uint16), format="gray16le")
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path
