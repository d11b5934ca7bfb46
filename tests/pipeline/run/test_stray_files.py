"""Files that others put into a finished workspace: nothing stops, nothing of them is lost or counted."""

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.workspace.entries import is_leftover
from tests.faults.chain import _SETTINGS, make_video, run

SETTINGS = [part for setting in _SETTINGS for part in ("--set", setting)]
STRAY = (
    *(".DS_Store", "Thumbs.db", "desktop.ini", "._x.jpg", "._part-00000000.parquet", ".nfs0001"),
    *("lost+found/x.jpg", "@eaDir/0.jpg/t.jpg", ".Trash-1000/f1/tracks/tracklets.parquet"),
    *("notes.txt", "photo.jpg", "mine.parquet"),
)


def command(*arguments):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.timeout(300)
def test_stray_files_stop_nothing_and_are_kept(tmp_path):
    video, workspace = make_video(tmp_path / "flight.mp4"), tmp_path / "runs"
    run(video, workspace)
    stray = [
        folder / name
        for folder in (workspace, *(path for path in workspace.rglob("*") if path.is_dir()))
        for name in STRAY
    ]
    for path in stray:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"stray {path}")

    def kept(path):
        return path.is_file() and path.read_text() == f"stray {path}"

    again = ("run", video, "--workspace", workspace, *SETTINGS)
    said = command(*again, "--verify", "--until", "evaluate")
    stages = [line.split()[0] for line in said.splitlines() if "up to date" in line]
    assert stages == ["frames", "detect", "crops", "motion", "appearance", "tracks", "dataset", "evaluate"]
    command(*again, "--dry-run")
    said = command(*again, "--set", "crops.padding=0.3")
    made = {line.split()[0] for line in said.splitlines() if "up to date" not in line}
    assert {"crops", "dataset", "evaluate", "report"} <= made
    assert not made & {"frames", "detect", "motion", "appearance", "tracks"}
    command("annotate", "log", "--workspace", workspace)
    assert all(map(kept, stray))
    said = command("forget", 2, "--workspace", workspace, "--yes")
    assert "identity 2 is erased" in said
    for path in stray:
        name = path.relative_to(workspace).as_posix()
        assert kept(path) or is_leftover(name)
        if name.startswith(("dataset/", "report/")) and not is_leftover(name):
            assert name in said
    command(*again, "--set", "crops.padding=0.3", "--verify", "--until", "dataset")
    images = workspace / "flight" / "crops" / "images" / "00000000"
    images.rename(tmp_path / "disk")
    images.symlink_to(tmp_path / "disk")
    result = CliRunner().invoke(main, [*map(str, again), "--until", "crops"])
    assert result.exit_code == 1
    assert f"{images}: a link; only all of {images.parents[1]} may be one" in result.output
