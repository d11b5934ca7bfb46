import numpy as np
import pytest

from annotate.operations import Accept, Assign, Mark, Merge, NewIdentity, SecondLook, SetMark
from annotate.project import Project
from annotate.suggestions.ground import Ground

STILL = {frame: np.eye(2, 3, dtype=np.float32) for frame in range(100)}


@pytest.fixture
def project(make_workspace, walk):
    """f1: persons 1 and 2 side by side, each once more later; f2: 1, 2 and 3, far from each other in time."""
    workspace = make_workspace(
        {
            "f1": [walk(1, 0, 8), walk(2, 4, 6), walk(1, 20, 8), walk(2, 40, 8)],
            "f2": [walk(1, 0, 8), walk(2, 20, 8), walk(3, 40, 8)],
        }
    )
    project = Project(workspace, lambda flight: Ground(STILL))
    yield project
    project.close()


def decide(project, *operations, user="ann"):
    for operation in operations:
        project.store.apply(operation, user=user, id=f"n{len(project.store.entries)}")


def found(project):
    with project.reading() as state:
        return project.findings(state)


def test_right_labels_have_nothing_wrong(project):
    decide(
        project,
        NewIdentity(tracklets=("f1/0", "f1/2", "f2/0")),
        NewIdentity(tracklets=("f1/1", "f1/3", "f2/1")),
        NewIdentity(tracklets=("f2/2",)),
    )
    assert found(project) == []


def test_one_identity_twice_in_a_frame(project):
    decide(project, NewIdentity(tracklets=("f1/0", "f1/1")))
    (finding,) = found(project)
    assert (finding.kind, finding.frame, finding.tracklets) == ("twice", 4, ("f1/0", "f1/1"))
    decide(project, finding.corrections[0].decision)  # the shorter one goes
    assert project.store.state.labels["f1/1"] is Mark.OPEN
    assert found(project) == []


def test_too_far_away_a_moment_later(make_workspace, walk):
    # Tracklet number n starts at x = 60 n: 60 px at 40 px height are 2.5 m, in 0.1 s.
    project = Project(make_workspace({"f": [walk(1, 0, 8), walk(1, 8, 8)]}), lambda flight: Ground(STILL))
    decide(project, NewIdentity(tracklets=("f/0", "f/1")))
    (finding,) = found(project)
    metres = (60 - 7) / 40 * 1.7  # from the end of the first walk to the begin of the second
    assert finding.message == f"person 1 would have moved {(metres - 1) / 0.1:.0f} m/s between frames 7 and 8 of f"
    project.close()


def test_without_the_cameras_motion_nobody_is_too_fast(make_workspace, walk):
    project = Project(make_workspace({"f": [walk(1, 0, 8), walk(1, 8, 8)]}))
    decide(project, NewIdentity(tracklets=("f/0", "f/1")))
    assert found(project) == []
    project.close()


def test_across_a_cut_nobody_is_too_fast(make_workspace, walk):
    workspace = make_workspace({"f": [walk(1, 0, 8), walk(1, 8, 8)]})
    project = Project(workspace, lambda flight: Ground(STILL, cuts={8}))
    decide(project, NewIdentity(tracklets=("f/0", "f/1")))
    assert found(project) == []
    project.close()


def test_a_tracklet_that_looks_like_another_identity(project):
    decide(
        project,
        NewIdentity(tracklets=("f1/0", "f1/2", "f2/1")),  # f2/1 is person 2
        NewIdentity(tracklets=("f1/1", "f1/3")),
    )
    finding = found(project)[0]
    assert (finding.kind, finding.tracklets, finding.identities) == ("unlike", ("f2/1",), (1, 2))
    assert finding.corrections[0].decision == Assign(tracklets=("f2/1",), identity=2)


def test_two_identities_that_look_like_one(project):
    decide(project, NewIdentity(tracklets=("f1/0", "f1/2")), NewIdentity(tracklets=("f2/0",)))
    (finding,) = found(project)
    assert finding.corrections[0].decision == Merge(source=2, into=1)
    decide(project, finding.corrections[0].decision)
    assert found(project) == []


def test_a_second_look_that_said_otherwise(project):
    decide(project, NewIdentity(tracklets=("f1/0", "f1/2")), NewIdentity(tracklets=("f1/1",)))
    decide(project, SecondLook(tracklet="f1/2", answer=2), user="bob")
    (finding,) = found(project)
    assert (finding.kind, finding.identities) == ("disagreement", (1, 2))
    decide(project, SetMark(tracklets=("f1/2",), mark=Mark.JUNK))  # decided otherwise: the question is gone
    assert found(project) == []


def test_what_was_accepted_is_not_asked_again_until_taken_back(project):
    decide(project, NewIdentity(tracklets=("f1/0", "f1/1")))
    decide(project, Accept(finding=found(project)[0].key))
    assert found(project) == []
    project.store.undo(user="ann", id="back")
    assert len(found(project)) == 1
