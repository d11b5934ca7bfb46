"""Nothing comes up, stays or jumps where it should not, in a real browser."""

import json
import re
import threading
import urllib.error
import urllib.request

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.app.access import Access
from annotate.app.opening import Opening
from annotate.operations import SetMark
from tests.annotate.app.hand import opened, press

LONG = {
    "tracklets": 12345,
    "labelled": 6789,
    "skipped": 0,
    "detections": 1,
    "labelled_detections": 1,
    "identities": 123,
    "per_minute": 23.4,
    "minutes_left": 300.0,
    "second_looks": 20,
    "agreed": 19,
    "elsewhere": 0,
    "seen": 9,
}


def test_somebody_without_a_tracklet_is_gone(page, project, labelled):
    page.keyboard.press("g")
    expect(page.locator(".wall .card")).to_have_count(3)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".member")).to_have_count(1)
    press(page, "u")
    expect(page.locator("main h1")).to_have_text("There is no person 2.")
    page.keyboard.press("g")
    expect(page.locator(".wall .card strong")).to_have_text(["Person 1", "Person 3"])
    expect(page.locator("#progress-text")).to_contain_text("2 people")
    with project.reading() as state:
        assert state.people() == [1, 3]
    page.keyboard.press("z")
    expect(page.locator(".wall .card")).to_have_count(3)


@pytest.fixture
def slow_frame(page):
    """A frame that comes when it is let go."""
    waiting = []
    page.wait_for_load_state("networkidle")
    page.route("**/api/frames/**", lambda route: waiting.append(route))
    with page.expect_request("**/api/frames/**"):
        page.keyboard.press("f")
    page.wait_for_timeout(100)  # until the handler has it

    def let_go():
        (route,) = waiting
        with page.expect_response("**/api/frames/**"):
            route.continue_()
        page.wait_for_timeout(200)

    return let_go


def test_a_slow_frame_does_not_come_up_over_the_next_tracklet(page, slow_frame):
    press(page, "j")
    slow_frame()
    expect(page.locator("dialog")).to_have_count(0)


def test_a_slow_frame_does_not_come_up_over_another_view(page, slow_frame):
    page.keyboard.press("g")
    slow_frame()
    expect(page.locator("dialog")).to_have_count(0)


def test_a_slow_frame_does_not_come_up_over_a_dialog(page, slow_frame):
    page.keyboard.press("?")
    slow_frame()
    expect(page.get_by_role("dialog")).to_have_accessible_name("Keys")


@pytest.mark.parametrize("width", [1280, 820])
def test_the_header_stays_as_high_as_it_is(page, width):
    page.set_viewport_size({"width": width, "height": 720})
    before = page.locator("main").bounding_box()["y"]
    page.route("**/api/progress*", lambda route: route.fulfill(json=LONG))
    page.evaluate("document.dispatchEvent(new Event('decided'))")
    expect(page.locator("#progress-text")).to_have_text(re.compile("95 % agreement"))
    assert page.locator("main").bounding_box()["y"] == before
    clipped = page.evaluate("(e => e.scrollHeight - e.clientHeight)(document.getElementById('progress-text'))")
    assert clipped <= 1


def test_the_end_speaks_of_other_windows_only_where_one_shows_something(page, context, address, project):
    others = tuple(name for name in project.store.state.tracklets if name not in ("f1/0", "f1/1"))
    project.store.apply(SetMark(tracklets=others, mark="junk"), user="bob", id="b")
    other = context.new_page()
    other.goto(address)
    expect(other.locator(".question p")).to_contain_text("f1/1")
    press(page, "j")
    expect(page.locator("main h1")).to_have_text("Nothing is left to label.")
    expect(page.locator(".elsewhere")).to_contain_text("1 tracklet is shown in another window just now")
    press(other, "j")
    expect(other.locator("main h1")).to_have_text("Nothing is left to label.")
    expect(other.locator(".elsewhere")).to_be_hidden()


def test_the_page_shows_what_is_being_opened_and_then_the_app(context, make_app, serving):
    opening = Opening(Access(token=None))
    opening.line = "reading f1 <2>, 1 of 2"
    with serving(opening) as address:
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_role("status")).to_have_text("reading f1 <2>, 1 of 2")
        opening.ready(make_app())
        opened(page, address)
        page.close()


def test_what_waits_for_the_workspace_is_refused_when_the_server_ends(serving):
    opening, answers, ending = Opening(Access(token=None)), [], threading.Event()
    opening.ending = ending.is_set
    with serving(opening) as address:

        def ask():
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{address}/api/session")
            answers.append(refused.value.code)

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(0.2)
        assert answers == []
        ending.set()
        asking.join(10)
        assert answers == [503]


def test_a_request_waits_until_the_workspace_is_open(make_app, serving):
    opening, answers = Opening(Access(token="a-token-of-this-test")), []
    headers = {"authorization": "Bearer a-token-of-this-test"}
    with serving(opening) as address:

        def ask():
            with urllib.request.urlopen(
                urllib.request.Request(f"{address}/api/session", headers=headers)
            ) as answer:
                answers.append(json.load(answer))

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(0.2)
        assert answers == []
        opening.ready(make_app())
        asking.join(5)
        assert answers[0]["flights"] == ["f1", "f2"]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{address}/api/session")
