"""The checks in a real browser: the right tracklet is taken out, other corrections are offered, page by page."""

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.operations import Mark, NewIdentity
from annotate.project import Project
from tests.annotate.app.hand import labels, opened, press, toast


@pytest.fixture
def checks(context, make_workspace, walk, make_app, serving, tmp_path):
    """Called with walks and the tracklets of each identity, gives the checks' page and the project."""
    opens = []

    def open_checks(walks, *identities):
        project = Project(make_workspace({"c": walks}, tmp_path / "checks"))
        for number, tracklets in enumerate(identities):
            these = tuple(f"c/{each}" for each in tracklets)
            project.store.apply(NewIdentity(tracklets=these), user="bob", id=f"b{number}")
        server = serving(make_app(of=project))
        page = opened(context.new_page(), server.__enter__())
        opens.append((server, page, project))
        page.keyboard.press("c")
        expect(page.locator(".finding").first).to_be_visible()
        return page, project

    yield open_checks
    for server, page, project in opens:
        page.close()
        server.__exit__(None, None, None)
        project.close()


@pytest.fixture
def mixed(checks, walk):
    """Person 1 has the long c/0, which turns from 1 into 2, and beside it the short c/1; c/2 is 1 elsewhere."""
    walks = [walk(1, 0, 40, then=2), walk(1, 20, 12), walk(1, 100, 20), walk(4, 200, 5)]
    return checks(walks, (0, 1, 2))


def test_the_tracklet_that_fits_less_is_taken_out_not_the_shorter(mixed):
    page, project = mixed
    expect(page.locator(".findings .actions .primary")).to_have_text("↵ take c/0 out of person 1")
    expect(page.locator(".findings .why")).to_have_text("would be taken out")
    press(page, "Enter")
    toast(page, "take c/0 out of person 1")
    assert labels(project)["c/0"] is Mark.OPEN
    assert labels(project)["c/1"] == 1


def test_of_two_the_mixed_one_is_taken_out(checks, walk):
    page, project = checks([walk(1, 0, 40, then=2), walk(1, 0, 12), walk(4, 200, 5)], (0, 1))
    press(page, "Enter")
    toast(page, "take c/0 out of person 1")
    assert labels(project)["c/1"] == 1


def test_the_other_one_is_taken_out_or_is_not_a_person(mixed):
    page, project = mixed
    press(page, "2")
    toast(page, "take c/1 out of person 1")
    assert labels(project)["c/1"] is Mark.OPEN
    expect(page.locator(".finding")).to_have_count(0)
    page.keyboard.press("z")
    toast(page, "taken back")
    expect(page.locator(".finding")).to_have_count(1)
    press(page, "4")
    toast(page, "c/1 is not a person")
    assert labels(project)["c/1"] is Mark.JUNK


def test_a_late_answer_does_not_replace_a_newer_one(mixed):
    page, _ = mixed
    held = []
    page.route("**/api/findings?*", lambda route: held.append((route, route.fetch())))
    for key, told in (("2", "take c/1 out of person 1"), ("z", "taken back")):
        page.keyboard.press(key)
        toast(page, told)
        page.wait_for_timeout(50)  # here the route is served
    (early, nothing), (late, one) = held
    late.fulfill(response=one)
    expect(page.locator(".finding")).to_have_count(1)
    with page.expect_response("**/api/findings?*"):
        early.fulfill(response=nothing)
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.locator(".finding")).to_have_count(1)


def test_either_is_split_in_the_checks(mixed):
    page, project = mixed
    page.keyboard.press("v")
    strip = page.get_by_role("dialog", name="c/0: 40 crops")
    expect(strip.locator(".cell").first).to_be_visible()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    press(page, "p")
    toast(page, "c/0 is split")
    expect(page.locator("main h1")).to_have_text("Nothing looks wrong.")  # the tail was the other person
    assert len(project.store.state.tracklets["c/0"]) == 20
    page.keyboard.press("z")
    page.get_by_role("button", name="split c/1").click()
    expect(page.get_by_role("dialog", name="c/1: 12 crops")).to_be_visible()


@pytest.fixture
def alike(checks, walk):
    """Twenty identities of one look, never seen together, and one identity with two tracklets in one frame."""
    walks = [
        *(walk(1, 50 * number, 8) for number in range(20)),
        walk(3, 2000, 9),
        walk(4, 2000, 9),
        walk(5, 3000, 9),
    ]
    return checks(walks, *((number,) for number in range(20)), (20, 21))


def test_findings_come_page_by_page_and_by_kind_with_their_total(alike):
    page, _ = alike
    expect(page.locator("main h1")).to_have_text("31 findings")  # each of the twenty is in three of them
    expect(page.locator(".finding")).to_have_count(20)
    expect(page.get_by_role("group", name="Pages")).to_contain_text("1 to 20 of 31")
    page.keyboard.press("PageDown")
    expect(page.get_by_role("group", name="Pages")).to_contain_text("21 to 31 of 31")
    expect(page.locator(".finding")).to_have_count(11)
    kinds = page.get_by_label("Kind of findings")
    kinds.select_option("twice")
    expect(page.locator("main h1")).to_have_text("1 finding")
    expect(page.locator(".finding")).to_have_count(1)
    page.locator(".finding").first.focus()
    press(page, "a")
    expect(kinds).to_have_value("")  # that kind is done
    expect(page.locator("main h1")).to_have_text("30 findings")
