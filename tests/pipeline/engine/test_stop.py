import signal

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.engine import stop
from pipeline.stages.frames import FramesStage
from tests.pipeline.video.samples import write_video


def test_nobody_hears_where_nothing_can_stop():
    assert not stop.ask()
    stop.check()


def test_it_is_heard_once_and_forgotten_at_the_end():
    with stop.stoppable():
        assert stop.ask()
        assert not stop.ask()
        with pytest.raises(KeyboardInterrupt):
            stop.check()
    assert not stop.ask()
    with stop.stoppable():
        stop.check()


@pytest.mark.parametrize("times", [1, 2])
def test_the_first_interrupt_finishes_the_segment_and_the_second_does_not(tmp_path, monkeypatch, times):
    write_video(tmp_path / "a.mp4", frames=40)  # a key frame every 8
    monkeypatch.chdir(tmp_path)
    writer = FramesStage.writer
    add, seen = writer.add, []

    def interrupted(self, frame, detections):
        add(self, frame, detections)
        seen.append(frame.index)
        if frame.index == 12:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # as `pipeline.__main__` leaves it
    try:
        monkeypatch.setattr(writer, "add", interrupted)
        result = CliRunner().invoke(main, ["frames", "a.mp4", "--set", "frames.segment_frames=8"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.exit_code == 130, result.output
    assert "stopping after this segment …; Ctrl-C again stops at once" in result.output
    assert result.output.endswith("uavpipe: stopped; finished work is kept, run again to resume\n")
    parts = sorted(path.name for path in tmp_path.glob("runs/a/frames/frames.parquet/part-*"))
    if times == 1:
        assert len(parts) == 2  # of five
    else:
        assert len(parts) < 5
