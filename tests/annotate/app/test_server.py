import json
import sys
import time

import pytest
from starlette.testclient import TestClient

from annotate.app.clips import Clip
from annotate.log.store import LABELS, LabelStore
from annotate.project import Project

from_page = {"base_url": "http://127.0.0.1:8750"}


@pytest.fixture
def client(make_app):
    return TestClient(make_app(), **from_page)


@pytest.fixture
def ask(client):
    """POST as "ann"; gives the answer's content, which must be a good one."""
    ids = iter(range(1000))

    def ask(path, **body):
        if path in ("decide", "undo", "redo"):
            body = {"id": f"n{next(ids)}", **body}
        answer = client.post(f"/api/{path}", json={"user": "ann", **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def new(*tracklets):
    return {"op": "new_identity", "tracklets": tracklets}


def test_the_first_item(ask):
    item = ask("next")["item"]
    assert (item["tracklet"], item["detections"], item["frames"]) == ("f1/0", 30, [0, 29])
    assert 8 <= len(item["crops"]) <= 12
    assert item["candidates"] == []
    assert item["second_look"] is False


def test_deciding_answers_with_what_comes_next(ask):
    answer = ask("decide", operation=new("f1/0"), next=True)
    assert (answer["created"], answer["repeated"]) == (1, False)
    assert answer["item"]["tracklet"] == "f1/1"  # beside the first in every frame: it is somebody else
    assert answer["item"]["candidates"] == []
    item = ask("decide", operation={"op": "mark", "tracklets": ["f1/1", "f1/2"], "mark": "junk"}, next=True)["item"]
    assert item["tracklet"] == "f2/0"
    (candidate,) = item["candidates"]
    assert (candidate["identity"], candidate["flights"], candidate["similarity"]) == (1, ["f1"], 1.0)
    assert len(candidate["crops"]) == 6


def test_the_same_request_again_changes_nothing(client, ask):
    body = {"user": "ann", "id": "once", "operation": new("f1/0")}
    first, again = (client.post("/api/decide", json=body).json() for _ in range(2))
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert first["sequence"] == again["sequence"]
    answer = client.post("/api/decide", json={**body, "operation": new("f1/1")})
    assert (answer.status_code, answer.json()["error"]) == (
        409,
        f"id once was used for operation {first['sequence']}; give each its own",
    )


def test_a_decision_is_in_the_file_before_it_is_answered(client, ask, project):
    ask("decide", operation=new("f1/0"))
    with LabelStore(project.workspace / LABELS, create=False) as other:
        assert other.state.labels["f1/0"] == 1


def test_undo_and_redo(ask, client):
    ask("decide", operation=new("f1/0"))
    ask("undo")
    assert client.get("/api/identities").json()["total"] == 0
    ask("redo")
    assert client.get("/api/identities").json()["total"] == 1
    answer = client.post("/api/redo", json={"user": "ann", "id": "more"})
    assert (answer.status_code, answer.json()["error"]) == (409, "ann has nothing to redo")


def test_what_changed_meanwhile_has_to_be_seen_first(ask, client):
    seen = ask("next")["item"]["seen"]
    client.post("/api/decide", json={"user": "bob", "id": "b", "operation": new("f1/0")})
    body = {
        "user": "ann",
        "id": "a",
        "seen": seen,
        "operation": {"op": "mark", "tracklets": ["f1/0"], "mark": "junk"},
    }
    answer = client.post("/api/decide", json=body)
    assert answer.status_code == 409
    assert "was changed meanwhile by operation 3 (new identity by bob)" in answer.json()["error"]


def test_further_candidates_follow_the_first_nine(make_workspace, walk, make_app, tmp_path):
    crowd = [walk(person, 100 * person, 9) for person in range(14)]
    project = Project(make_workspace({"crowd": [*crowd, walk(3, 3000, 30)]}, tmp_path / "crowd"))
    client = TestClient(make_app(of=project), **from_page)
    for number in range(14):
        client.post("/api/decide", json={"user": "ann", "id": str(number), "operation": new(f"crowd/{number}")})
    item = client.post("/api/next", json={"user": "ann"}).json()["item"]
    assert (item["tracklet"], item["total"], len(item["candidates"])) == ("crowd/14", 14, 9)
    assert item["candidates"][0]["identity"] == 4
    body = {"user": "ann", "tracklet": "crowd/14", "offset": 9}
    more = client.post("/api/candidates", json=body).json()["candidates"]
    together = [each["identity"] for each in item["candidates"] + more]
    assert sorted(together) == list(range(1, 15))
    project.close()


def test_a_split_makes_two_that_are_shown_as_they_are(ask, client):
    answer = ask("decide", operation={"op": "split", "tracklet": "f2/1", "frame": 53})
    assert answer["created"] == "f2/3"
    head, tail = (client.get(f"/api/tracklets/{name}").json() for name in ("f2/1", "f2/3"))
    assert (head["frames"], tail["frames"]) == ([40, 52], [53, 65])
    assert len(head["crops"]) == 13


def test_a_second_look_hides_the_label(ask, make_workspace, project, monkeypatch):
    monkeypatch.setattr("annotate.queue.SECOND_LOOKS", 0.5)
    ask("decide", operation=new("f1/0", "f1/3", "f2/0"))
    ask("decide", operation=new("f1/1", "f1/4"))
    item = ask("next")["item"]
    assert item["second_look"]
    assert "label" not in item
    right = 1 if item["tracklet"] in ("f1/0", "f1/3", "f2/0") else 2
    assert item["candidates"][0]["identity"] == right
    own = {crop["url"] for crop in item["crops"]}
    others = {crop["url"] for each in item["candidates"] for crop in each["crops"]}
    assert own
    assert others
    assert not own & others
    ask("decide", operation={"op": "second_look", "tracklet": item["tracklet"], "answer": right})


def test_the_gallery(ask, client):
    ask("decide", operation=new("f1/0", "f2/0"))
    ask("decide", operation=new("f1/1"))
    ask("decide", operation={"op": "rename", "identity": 2, "name": "<b>Böb</b>"})
    found = client.get("/api/identities", params={"find": "bÖb"}).json()
    assert (found["total"], found["identities"][0]["name"]) == (1, "<b>Böb</b>")
    one = client.get("/api/identities/1").json()
    assert one["flights"] == ["f1", "f2"]
    assert [member["tracklet"] for member in one["members"]] == ["f1/0", "f2/0"]
    assert client.get("/api/identities/7").status_code == 404
    assert client.get("/api/identities", params={"limit": 1, "offset": 1}).json()["identities"][0]["identity"] == 2


def test_findings_progress_boxes_and_pictures(ask, client):
    ask("decide", operation=new("f1/0", "f1/1"))
    (finding,) = client.get("/api/findings").json()["findings"]
    assert (finding["kind"], finding["frame"], len(finding["tracklets"])) == ("twice", 0, 2)
    ask("decide", operation=finding["corrections"][0]["operation"])
    assert client.get("/api/findings").json()["total"] == 0
    now = client.get("/api/progress", params={"user": "ann"}).json()
    assert (now["tracklets"], now["labelled"], now["identities"]) == (8, 1, 1)
    boxes = client.get("/api/boxes/f1/0").json()["boxes"]
    assert {each["tracklet"]: each["label"] for each in boxes} == {"f1/0": 1, "f1/1": "open", "f1/2": "open"}
    assert boxes[0]["box"] == [0.0, 20.0, 20.0, 60.0]
    crop = client.get("/api/crops/f1/0/0.jpg")
    assert (crop.headers["content-type"], crop.content[:2]) == ("image/jpeg", b"\xff\xd8")
    frame = client.get("/api/frames/f1/0.jpg")
    assert (frame.headers["x-frame-size"], frame.content[:2]) == ("320x180", b"\xff\xd8")
    assert client.get("/api/frames/f1/2000.jpg").json() == {"error": "frame 2000 cannot be shown"}


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        (
            "decide",
            {"id": "a", "operation": {"op": "assign", "tracklets": ["f1/0"], "identity": 9}},
            409,
            "no identity 9",
        ),
        ("decide", {"id": "a", "operation": {"op": "conjure"}}, 400, "conjure"),
        ("decide", {"id": "a", "operation": {"op": "undo", "target": 1}}, 400, "undo"),
        (
            "decide",
            {"id": "a", "operation": {"op": "add_flight", "flight": "x", "tracklets": {}}},
            400,
            "add_flight",
        ),
        ("decide", {"id": "a b", "operation": new("f1/0")}, 422, "id"),
        ("decide", {"id": "a", "operation": new("f1/99")}, 409, "no tracklet f1/99"),
        ("decide", {"id": "a", "operation": {"op": "rename", "identity": 1, "name": "a\nb"}}, 400, "name"),
        ("decide", {"id": "a", "operation": []}, 422, "operation"),
        ("next", {"user": ""}, 422, "user"),
        ("next", {"surprise": 1}, 422, "surprise"),
        ("candidates", {"tracklet": "../x"}, 422, "tracklet"),
        ("candidates", {"tracklet": "f1/99"}, 404, "no tracklet f1/99"),
    ],
)
def test_a_bad_request_is_one_line_that_names_the_field(client, project, path, body, status, error):
    answer = client.post(f"/api/{path}", json={"user": "ann", **body})
    assert answer.status_code == status
    assert error in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert len(project.store.entries) == 2  # the flights


def test_what_is_no_json_is_refused(client):
    headers = {"content-type": "application/json"}
    for content in (b"[[[", b"\xff", b"[" * 100_000, b"1e999", b'{"user": "\\ud800"}'):
        answer = client.post("/api/next", content=content, headers=headers)
        assert 400 <= answer.status_code < 500, content[:20]
        assert answer.json()["error"]


def test_a_new_model_is_taken_in_when_the_command_is_done(make_app, project):
    write = (
        "import pandas as pd, pathlib\n"
        f"for flight in ('f1', 'f2'):\n"
        f"    folder = pathlib.Path({str(project.workspace)!r}) / flight / 'embeddings'; folder.mkdir()\n"
        "    pd.DataFrame({'frame': [0], 'rank': [0], 'model': ['m'], 'feature': [[1.0, 0.0]]})"
        ".to_parquet(folder / 'embeddings.parquet')\n"
        "    print('embedded', flight)\n"
    )
    client = TestClient(make_app(command=[sys.executable, "-c", write]), **from_page)
    assert client.post("/api/refresh", json={"user": "ann"}).json()["working"]
    assert client.post("/api/refresh", json={"user": "ann"}).status_code == 409  # one at a time
    state = _finished(client)
    assert (state["result"], state["line"]) == ("done", "embedded f2")
    assert client.get("/api/session").json()["source"] == "re-id model m"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ([sys.executable, "-c", "print('no labels yet'); raise SystemExit(1)"], "no labels yet"),
        (["/no/such"], "No such file"),
    ],
)
def test_a_command_that_fails_says_why_and_the_old_suggestions_stay(make_app, command, error):
    client = TestClient(make_app(command=command), **from_page)
    client.post("/api/refresh", json={"user": "ann"})
    assert error in _finished(client)["result"]
    assert client.get("/api/session").json()["source"] == "colours"


def _finished(client):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = client.get("/api/session").json()["refresh"]
        if not state["working"]:
            return state
        time.sleep(0.05)
    raise AssertionError(json.dumps(state))


def test_a_clip_comes_with_its_frames_and_follows_the_tracklets_boxes(make_app, client):
    def cut(flight, boxes, frame):
        asked.append((flight, sorted(boxes), frame))
        return Clip(b"jpeg", 60.0, [(frame, 0.5), (frame + 1, 0.6)])

    asked = []
    answer = TestClient(make_app(cut=cut), **from_page).get("/api/clips/f2/0/5.jpg")
    assert (answer.content, answer.headers["content-type"]) == (b"jpeg", "image/jpeg")
    assert json.loads(answer.headers["x-clip"]) == {"side": 60.0, "frames": [[5, 0.5], [6, 0.6]]}
    assert asked == [("f2", list(range(27)), 5)]
    assert client.get("/api/clips/f2/0/5.jpg").status_code == 204  # no video: the page shows the crops
    assert client.get("/api/clips/f2/99/5.jpg").status_code == 404
