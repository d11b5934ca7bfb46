"""Reviews in a real browser: decisions of others are confirmed or questioned."""

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.operations import SetMark
from annotate.review import disagreements
from tests.annotate.app.hand import press, toast


@pytest.fixture
def review(page, project, labelled):
    project.store.apply(SetMark(tracklets=("f2/2",), mark="junk"), user="eve", id="e")
    page.keyboard.press("e")
    expect(page.locator("main")).to_contain_text("5 decisions to review")
    return page


def test_decisions_come_one_by_one_with_their_reason(review, project):
    article = review.get_by_role("article", name="The decision to review")
    expect(article).to_contain_text("decided by")
    for left in (4, 3, 2, 1):
        press(review, "Enter")
        toast(review, "confirmed; Z takes it back")
        what = f"{left} decision{'s' if left > 1 else ''} to review"
        expect(article).to_contain_text(what)
    press(review, "Enter")
    expect(review.locator("main h1")).to_have_text("Nothing is left for you to review.")
    rows = review.locator("tbody tr")
    expect(rows.nth(0).locator("td")).to_have_text(["bob", "4", "4", "0", "0", "0"])
    expect(rows.nth(1).locator("td")).to_have_text(["eve", "1", "1", "0", "0", "0"])
    press(review, "z")
    expect(article).to_contain_text("1 decision to review")


def test_a_questioned_one_is_a_finding_with_the_reason(review, project):
    name = review.locator("main p a").first.inner_text()
    review.keyboard.press("n")
    review.keyboard.type("another hat")
    press(review, "Enter")
    toast(review, "questioned")
    (found,) = disagreements(project.store, project.store.state)
    assert (found.tracklet, found.reason, found.reviewer) == (name, "another hat", "ann")
    review.keyboard.press("c")
    review.get_by_label("Kind of findings").select_option("questioned")
    expect(review.locator(".finding")).to_contain_text("a reviewer questioned it: another hat")
    press(review, "Enter")
    assert disagreements(project.store, project.store.state) == []


def test_passing_over_and_the_reason_of_a_person(review):
    seen = set()
    for _ in range(5):
        name = review.locator("main p a").first.inner_text()
        seen.add(name)
        if name == "f1/0":
            expect(review.get_by_role("list", name="How it was decided")).to_contain_text(
                "named as a new person, with 1 more at once"
            )
            expect(review.get_by_role("list", name="How it was decided")).to_contain_text("by similarity")
        review.keyboard.press("s")
        expect(review.locator("main p a").first).not_to_have_text(name)
    assert seen == {"f1/0", "f1/1", "f1/2", "f2/0", "f2/2"}
