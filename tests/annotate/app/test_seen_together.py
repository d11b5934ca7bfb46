"""People who were seen together, in a real browser: shown with the reason, and chosen only after a question."""

import pandas as pd
import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.operations import Mark, NewIdentity
from annotate.project import Project
from tests.annotate.app.hand import asked, labels, opened, press, toast


@pytest.fixture
def beside(page, project):
    """f1/1 is asked about; f1/0 and f2/1, seen beside it and elsewhere, are persons 1 and 2."""
    for number, tracklet in enumerate(("f1/0", "f2/1")):
        project.store.apply(NewIdentity(tracklets=(tracklet,)), user="bob", id=f"b{number}")
    page.reload()
    expect(page.locator(".question p")).to_contain_text("f1/1")
    return page


def test_the_reason_is_shown_and_a_question_comes_first(beside, project):
    aside = beside.locator(".aside .card")
    expect(aside).to_have_count(1)
    expect(aside).to_contain_text("Person 1")
    expect(aside).to_contain_text("seen together in frame 0")
    expect(beside.locator(".card").first).to_contain_text("Person 2")
    beside.keyboard.press("2")
    question = beside.get_by_role("dialog", name="Is f1/1 Person 1 all the same?")
    expect(question).to_contain_text("f1/1 and f1/0 are both in frame 0 of f1")
    expect(question.locator(".box.meant")).to_have_count(2)
    beside.keyboard.press("Enter")  # the answer that changes nothing
    expect(question).to_have_count(0)
    assert labels(project)["f1/1"] is Mark.OPEN
    beside.keyboard.press("ArrowRight")
    expect(beside.locator(".card.apart")).to_have_attribute("aria-current", "true")
    expect(beside.locator("#said")).to_have_text("Person 1, 2 of 2, seen together in frame 0")
    beside.keyboard.press("Enter")
    expect(question).to_be_visible()
    press(beside, "y")
    toast(beside, "f1/1 is Person 1")
    assert labels(project)["f1/1"] == 1


def test_all_of_them_are_among_more_people(context, make_workspace, walk, make_app, serving, tmp_path):
    crowd = [walk(person, 0, 9) for person in range(11)]
    project = Project(make_workspace({"c": [*crowd, walk(3, 5, 30)]}, tmp_path / "crowd"))
    for number in range(11):
        project.store.apply(NewIdentity(tracklets=(f"c/{number}",)), user="bob", id=str(number))
    with serving(make_app(of=project)) as address:
        page = opened(context.new_page(), address)
        expect(page.locator(".answers h2")).to_have_text("Nobody it could be yet")
        expect(page.locator(".card.apart")).to_have_count(9)
        expect(page.locator(".card").first).to_contain_text("Person 4")  # the most similar
        expect(page.locator(".card[aria-current]")).to_have_count(0)  # not proposed
        page.keyboard.press("m")
        expect(page.locator(".card.apart")).to_have_count(2)
        page.close()
    project.close()


def test_persons_who_were_seen_together_are_merged_only_after_a_question(beside, project):
    project.store.apply(NewIdentity(tracklets=("f1/1",)), user="bob", id="b2")
    beside.keyboard.press("g")
    expect(beside.locator(".wall .card")).to_have_count(3)
    beside.keyboard.press(" ")
    beside.keyboard.press("ArrowRight")
    beside.keyboard.press("ArrowRight")
    beside.keyboard.press(" ")
    beside.keyboard.press("m")
    question = beside.get_by_role("dialog", name="Are person 3 and person 1 one person all the same?")
    expect(question).to_contain_text("f1/1 and f1/0 are both in frame 0 of f1")
    beside.keyboard.press("n")
    expect(question).to_have_count(0)
    assert labels(project)["f1/1"] == 3
    beside.keyboard.press("m")
    toast(beside, "Select two or more")


def test_one_person_boxed_twice_is_offered(context, make_workspace, walk, make_app, serving, tmp_path):
    """With the shadow and without: the boxes are on each other, but in the two frames in which one jumps."""
    workspace = make_workspace({"c": [walk(1, 0, 30), walk(1, 10, 12)]}, tmp_path / "shadow")
    table = workspace / "c/detections/detections.parquet"
    boxes = pd.read_parquet(table)
    second = boxes["rank"] == 1
    boxes.loc[second, ["x1", "x2"]] = boxes.loc[second, ["x1", "x2"]] - 50  # from x = 60 to where the first is
    boxes.loc[second & boxes["frame"].isin([12, 13]), ["x1", "x2"]] += 17
    boxes.to_parquet(table, index=False)
    project = Project(workspace)
    project.store.apply(NewIdentity(tracklets=("c/0",)), user="bob", id="b")
    with serving(make_app(of=project)) as address:
        page = opened(context.new_page(), address)
        assert asked(page) == "c/1"
        expect(page.locator(".candidates .card.apart")).to_have_count(0)
        press(page, "1")
        toast(page, "c/1 is Person 1")
        page.close()
    project.close()


def test_a_key_in_a_dialog_that_is_closed_and_about_to_go_is_the_pages(beside):
    beside.evaluate(
        """() => {
            const closed = "<dialog><p class=actions><button>no</button></p></dialog>";
            document.body.insertAdjacentHTML("beforeend", closed);
            const key = new KeyboardEvent("keydown", { key: "Enter", bubbles: true });
            document.querySelector("dialog button").dispatchEvent(key);
        }"""
    )
    toast(beside, "f1/1 is Person 2")
