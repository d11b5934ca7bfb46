"""Labels and ground truth through the commands: out, in again and scored; and what is no fit is one line."""

import json
import zipfile

import pandas as pd
import pytest
from click.testing import CliRunner

from annotate.log.store import LABELS, LabelStore
from annotate.operations import NewIdentity
from pipeline.cli import main
from pipeline.workspace.manifest import StageFolder
from pipeline.workspace.stage import Stage

FRAMES = 12


def run(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture
def workspace(make_workspace, walk):
    """Two persons in ten of twelve frames, a third unlabelled."""
    folder = make_workspace({"f": [walk(0, 0, 10), walk(1, 1, 9), walk(2, 0, 5)]})
    (folder / "f" / "frames").mkdir()
    rows = [{"frame": frame, "width": 640, "height": 360} for frame in range(FRAMES)]
    pd.DataFrame(rows).to_parquet(folder / "f" / "frames" / "frames.parquet", index=False)
    table = folder / "f" / "detections" / "detections.parquet"
    rows = pd.read_parquet(table).sort_values(["frame", "rank"])
    table.unlink()
    table.mkdir()
    rows.to_parquet(table / "part-00000000.parquet", index=False)
    for stage, place in (("frames", "frames"), ("detect", "detections"), ("tracks", "tracks")):
        Stage(stage, StageFolder(folder / "f" / place), {}, {}).finish({"frames": FRAMES}, 0, [])
    return folder


def import_(workspace, path, *more):
    return run("annotate", "import", path, "--workspace", workspace, "--user", "ann", *more)


def labels_of(workspace):
    with LabelStore(workspace / LABELS, write=False) as store:
        return dict(store.state.labelled())


@pytest.mark.parametrize("name", ["f.txt", "f.json", "f.xml", "F.XML"])
def test_labels_go_out_come_in_and_score_the_same_in_all_formats(workspace, tmp_path, name):
    run("annotate", "import", write_truth(tmp_path / "first.txt"), "--workspace", workspace, "--user", "ann")
    before = labels_of(workspace)
    shown = run("annotate", "export", tmp_path / name, "--workspace", workspace, "--flight", "f")
    assert shown.exit_code == 0, shown.output
    for labels in workspace.glob(f"{LABELS}*"):
        labels.unlink()
    shown = import_(workspace, tmp_path / name)
    assert shown.exit_code == 0, shown.output
    assert "19 boxes read, 19 used; 2 identities, 19 of 24 detections" in shown.output
    assert labels_of(workspace) == before
    lines = run("score", workspace / "f", tmp_path / name).output.splitlines()
    assert "10 of 12 frames are annotated, others are not scored" in lines[0]
    assert (
        lines[1] == "score ≥ 0.5: recall 1.000 of 19 persons, precision 0.792, 0.50 boxes a frame that match nobody"
    )
    assert lines[3].startswith("tracklets: HOTA")
    assert lines[3].endswith("0 switches, purity 1.0000; 2 tracklets of 2 persons")


def write_truth(path, tail="1,1,1", first=1, shift=0.0):
    """The persons of the first two walks."""
    rows = []
    for number, begin, count in ((0, 0, 10), (1, 1, 9)):
        for place in range(count):
            left = 60 * number + place + shift
            rows.append(f"{begin + place + first},{number + 1},{left},20,20,40,{tail}\n")
    path.write_text("".join(rows))
    return path


def test_score_names_the_rule_of_hidden_persons_and_can_do_without(workspace, tmp_path):
    path = write_truth(tmp_path / "f.txt", "1,1,1")
    path.write_text(path.read_text().replace("1,1,0.0,20,20,40,1,1,1\n", "1,1,0.0,20,20,40,1,1,0.2\n", 1))
    shown = run("score", workspace / "f", path).output
    assert "not evaluated: 1 boxes of persons visible by less than 0.25 (--min-visibility 0" in shown
    assert "of 18 persons" in shown
    shown = run("score", workspace / "f", path, "--min-visibility", "0").output
    assert "not evaluated" not in shown
    assert "of 19 persons" in shown


def test_one_target_has_neither_precision_nor_mota(workspace, tmp_path):
    path = tmp_path / "target.txt"
    path.write_text("".join(f"{place},20,20,40\n" for place in range(10)) + "NaN,NaN,NaN,NaN\n")
    shown = run("score", workspace / "f", path).output
    assert "one target, visible in 10 of 11 frames" in shown
    assert "recall 1.000 of 10 persons\n" in shown
    assert "precision" not in shown
    assert "MOTA 0" not in shown
    path.write_text(path.read_text() + "1,2,3,4\n" * 2)
    assert "13 lines, one a frame; the flight f has 12 frames" in run("score", workspace / "f", path).output


def test_boxes_after_the_flight_are_left_out_of_the_score_with_a_word_and_not_imported(workspace, tmp_path):
    path = write_truth(tmp_path / "f.txt")
    path.write_text(path.read_text() + "99,1,0,20,20,40,1,1,1\n")
    shown = run("score", workspace / "f", path).output
    assert "left out: 1 after the flight's last frame 11 (the file's is 98)" in shown
    assert "has frame 98 (from 0), the flight f has 12 frames" in import_(workspace, path).output


@pytest.mark.parametrize("command", ["import", "score"])
@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        ({"shift": 300.0}, "flight"),
        ({"tail": "1,3,1"}, r"'car' (19)"),
        ({"first": 0}, "line 1: expected frames from 1 up, found frame 0"),
        ({"tail": "0,1,1"}, "left out: 19 marked as not to be used"),
    ],
)
def test_what_matches_nothing_is_an_error_and_labels_nothing(workspace, tmp_path, command, made, complaint):
    path = write_truth(tmp_path / "f.txt", **made)
    shown = import_(workspace, path) if command == "import" else run("score", workspace / "f", path)
    assert shown.exit_code == 1
    assert complaint in shown.output
    assert len(shown.output.splitlines()) <= 2
    assert not (workspace / LABELS).exists()


def test_frames_annotated_now_and_then_label_whole_tracklets(workspace, tmp_path):
    boxes = [
        (frame, number, [60 * number + frame - number, 20, 20, 40]) for frame in (1, 5, 9) for number in (0, 1)
    ]
    content = {
        "videos": [{"id": 1, "name": "somewhere"}],
        "images": [{"id": frame, "video_id": 1, "frame_index": frame} for frame in (1, 5, 9)],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"image_id": frame, "category_id": 1, "track_id": number, "bbox": box} for frame, number, box in boxes
        ],
    }
    (tmp_path / "tao.json").write_text(json.dumps(content))
    shown = import_(workspace, tmp_path / "tao.json")
    assert "6 boxes read, 6 used; 2 identities, 6 of 7 detections" in shown.output, shown.output
    assert "2 tracklets labelled" in shown.output
    assert "3 of 12 frames are annotated" in run("score", workspace / "f", tmp_path / "tao.json").output


@pytest.mark.parametrize(
    ("numbered", "images", "told"),
    [
        (True, (0, 5, 9), "tracklets: not scored, as the ground truth has no tracks"),
        (False, range(FRAMES), "tracklets: not scored, as the ground truth has no tracks"),
        (False, (0, 5, 9), "for a video of 3 frames, the flight f has 12"),  # which of them is not known
    ],
)
def test_coco_without_tracks_scores_detections_and_labels_nothing(workspace, tmp_path, numbered, images, told):
    content = {
        "images": [
            {"id": frame, "file_name": f"f/{frame:06d}.jpg"} | ({"frame_id": frame} if numbered else {})
            for frame in images
        ],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"image_id": frame, "category_id": 1, "bbox": [frame, 20, 20, 40]} for frame in images if frame < 10
        ],
    }
    (tmp_path / "f.json").write_text(json.dumps(content))
    shown = run("score", workspace / "f", tmp_path / "f.json")
    assert told in shown.output
    assert ("recall 1.000" in shown.output) == (shown.exit_code == 0) == told.startswith("tracklets")
    shown = import_(workspace, tmp_path / "f.json")
    assert shown.exit_code == 1
    assert ("without a track; export tracks" in shown.output) == told.startswith("tracklets")
    assert not (workspace / LABELS).exists()


def test_labels_come_from_a_zip_and_persons_by_name(workspace, tmp_path):
    write_truth(tmp_path / "gt.txt", "1,2,1")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.write(tmp_path / "gt.txt", "gt/gt.txt")
        archive.writestr("gt/labels.txt", "boat\nSwimmer\n")
    shown = import_(workspace, tmp_path / "export.zip")
    assert "its labels are 'Swimmer' (19): name each that is a person by --person" in shown.output
    assert "2 tracklets labelled" in import_(workspace, tmp_path / "export.zip", "--person", "swimmer").output
    assert "of 19 persons" in run("score", workspace / "f", tmp_path / "export.zip", "--person", "Swimmer").output


def test_labels_stay_where_a_file_is_refused(workspace, tmp_path):
    import_(workspace, write_truth(tmp_path / "f.txt"))
    with LabelStore(workspace / LABELS) as store:
        store.apply(NewIdentity(tracklets=("f/2",)), user="ann", id="a")
    before = labels_of(workspace)
    assert import_(workspace, write_truth(tmp_path / "g.txt", shift=300.0)).exit_code == 1
    assert labels_of(workspace) == before
