import pytest

from annotate.log.store import LABELS, LabelStore
from annotate.operations import Mark
from pipeline.labelling.from_ground_truth import label_by_ground_truth


@pytest.fixture
def workspace(make_workspace, walk):
    """Two people in f1, the second and a third in f2, and a tracklet that is on nobody."""
    return make_workspace(
        {"f1": [walk(1, 0, 6), walk(2, 0, 6)], "f2": [walk(3, 0, 6), walk(2, 0, 6), walk(4, 0, 6)]}
    )


def write_truth(path, persons):
    """MOTChallenge text, frames from 1; a person for each tracklet of `persons`, where the tracklet is."""
    rows = [
        f"{place + 1},{person},{60 * number + place},20,20,40,1,1,1"
        for number, person in enumerate(persons)
        for place in range(6)
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


def labels(workspace):
    with LabelStore(workspace / LABELS) as store:
        return dict(store.state.labels), len(store.entries)


def test_the_truth_answers_for_the_hand(workspace, tmp_path):
    truths = {
        "f1": write_truth(tmp_path / "f1.txt", [11, 12]),
        "f2": write_truth(tmp_path / "f2.txt", [13, 12]),
    }
    answered = label_by_ground_truth(workspace, truths)
    assert answered.identities.keys() == {11, 12, 13}
    assert (answered.right, answered.detections) == (24, 24)
    found, operations = labels(workspace)
    assert found == {"f1/0": 1, "f1/1": 2, "f2/0": 3, "f2/1": 2, "f2/2": Mark.JUNK}
    assert label_by_ground_truth(workspace, truths) == answered  # again: nothing is done twice
    assert labels(workspace) == (found, operations)
