"""Batches in a real browser: proposed answers are confirmed at once, wrong ones taken out, all in one decision."""

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.operations import Mark, NewIdentity
from annotate.project import Project
from tests.annotate.app.hand import asked, labels, opened, press, toast

CROWD = 10  # people who walk beside each other


@pytest.fixture
def project(make_workspace, walk, tmp_path):
    """c/0 to c/9 walk beside each other for 30 frames, then c/10 to c/19, the same people in the same order."""
    walks = [walk(person, 100 * turn, 30) for turn in (0, 1) for person in range(CROWD)]
    project = Project(make_workspace({"c": walks}, tmp_path / "crowd"))
    yield project
    project.close()


@pytest.fixture
def batch(page):
    page.keyboard.press("b")
    expect(page.locator("main h1")).to_have_text("Are these 10 answers right?")
    return page


def names(page):
    return page.locator(".batch .card small:first-of-type").all_inner_texts()


def test_people_seen_together_become_new_people_in_one_decision_and_back(batch, project):
    expect(batch.get_by_role("list", name="New people").get_by_role("button", pressed=True)).to_have_count(CROWD)
    expect(batch.locator("main")).to_contain_text("Seen together, so each of them is somebody else.")
    assert len(labels(project).keys() & {*names(batch)}) == CROWD
    batch.keyboard.press("ArrowRight")
    batch.keyboard.press(" ")
    batch.locator(".card").nth(4).click()
    expect(batch.locator(".card[aria-pressed=true]")).to_have_count(CROWD - 2)
    out = [names(batch)[place] for place in (1, 4)]
    expect(batch.locator("#confirm")).to_have_text("↵ these 8 are right")
    press(batch, "Enter")
    toast(batch, "8 answers confirmed, 2 to be asked one by one; Z takes it back")
    assert sorted(label for label in labels(project).values() if isinstance(label, int)) == list(range(1, 9))
    assert len(project.store.entries) == 2  # the flight, and one decision
    with project.reading() as state:
        assert state.taken_out == dict.fromkeys(out, "new")
        assert not {each.tracklet for each in project.proposals(state)} & {*out}
    batch.keyboard.press("z")
    toast(batch, "taken back: 8 confirmed answers")
    assert set(labels(project).values()) == {Mark.OPEN}
    expect(batch.locator("main h1")).to_have_text("Are these 10 answers right?")


def test_what_was_taken_out_comes_alone_in_the_queue(batch, project):
    batch.keyboard.press("s")
    toast(batch, "0 answers confirmed, 10 to be asked one by one")
    with project.reading() as state:
        out = set(state.taken_out)
    assert len(out) == CROWD
    batch.keyboard.press("q")
    expect(batch.locator(".question h1")).to_have_text("Who is this?")
    assert asked(batch) in labels(project)


def test_the_queue_says_how_many_answers_wait(page):
    hint = page.get_by_role("button", name="confirm 10 answers at once")
    hint.click()
    expect(page.locator("main h1")).to_have_text("Are these 10 answers right?")


def test_what_another_labeller_has_before_them_is_not_in_the_batch(batch, context, address):
    mine = {*names(batch)}
    other = context.new_page()
    other.goto(address)
    other.keyboard.press("b")
    expect(other.locator("main h1")).to_contain_text("answers right?")
    assert not mine & {*names(other)}


def test_what_another_labelled_meanwhile_is_refused_and_named_and_the_rest_is_asked_again(batch, project):
    taken = names(batch)[0]
    project.store.apply(NewIdentity(tracklets=(taken,)), user="bob", id="bob")
    press(batch, "Enter")
    toast(batch, rf"tracklet {taken} was changed meanwhile by operation 2 \(new identity by bob\)")
    expect(batch.get_by_role("list", name="New people").get_by_text(taken, exact=True)).to_have_count(0)
    expect(batch.locator("main h1")).to_contain_text("answers right?")
    assert [label for label in labels(project).values() if label is not Mark.OPEN] == [1]


def test_the_frame_shows_all_rows_that_are_in_it(batch):
    batch.keyboard.press("f")
    expect(batch.locator("dialog .box.meant")).to_have_count(CROWD)


@pytest.fixture
def known(project, make_app, serving, context):
    """The ten people are known by two tracklets each but four of them; those four wait."""
    for person in range(CROWD):
        names = (f"c/{person}", f"c/{person + CROWD}")[: 2 if person < 6 else 1]
        project.store.apply(NewIdentity(tracklets=names), user="bob", id=f"b{person}")
    with serving(make_app()) as address:
        page = opened(context.new_page(), address)
        page.keyboard.press("b")
        yield page
        page.close()


def test_known_people_are_beside_the_tracklets_with_their_own_pictures(known, project):
    expect(known.locator("main h1")).to_have_text("Are these 4 answers right?")
    cards = known.get_by_role("list", name="Known people").get_by_role("button")
    expect(cards).to_have_count(4)
    for card in cards.all():
        number = int(card.locator("small").first.inner_text().split("/")[1]) - CROWD + 1
        expect(card.locator("strong")).to_have_text(f"Person {number}")
        assert card.locator(".beside img").count() >= 1
        heights = card.locator("img").evaluate_all("each => each.map((one) => one.clientHeight)")
        assert len(set(heights)) == 1  # one scale
    press(known, "Enter")
    toast(known, "4 answers confirmed; Z takes it back")
    known.get_by_role("button", name="go on in the queue").wait_for()
    known.keyboard.press("Enter")
    expect(known.locator("main h1")).to_have_text("Nothing is left to label.")
    assert all(labels(project)[f"c/{person + CROWD}"] == person + 1 for person in range(CROWD))


def test_no_width_scrolls_sideways_and_the_answers_stay_in_sight(batch):
    for width in (320, 390, 820, 1920):
        batch.set_viewport_size({"width": width, "height": 720})
        root = "document.documentElement"
        assert batch.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), width
        batch.keyboard.press("End")
        expect(batch.locator("#confirm")).to_be_in_viewport()
        card, foot = batch.locator(".card").last.bounding_box(), batch.locator(".foot").bounding_box()
        assert card["y"] < foot["y"]
        batch.keyboard.press("Home")
