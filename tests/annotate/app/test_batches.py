"""Batches in a real browser: what is probably no person is answered at once, and taken back at once."""

import pandas as pd
import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.operations import Mark, NewIdentity
from annotate.project import Project
from tests.annotate.app.hand import asked, labels, opened, press, toast


@pytest.fixture
def project(make_workspace, walk, tmp_path):
    """c/0 and c/1 are persons; the 24 others have low scores, the last of them most detections of all."""
    walks = [walk(1, 0, 9), walk(2, 0, 8), *(walk(3, 100 + 20 * number, 5) for number in range(23)), walk(3, 0, 30)]
    workspace = make_workspace({"c": walks}, tmp_path / "junk")
    table = workspace / "c/detections/detections.parquet"
    boxes = pd.read_parquet(table)
    boxes.loc[boxes["x1"] >= 120, "score"] = 0.5
    boxes.to_parquet(table, index=False)
    project = Project(workspace)
    yield project
    project.close()


@pytest.fixture
def batch(page):
    page.keyboard.press("b")
    expect(page.locator("main h1")).to_have_text("Is none of these 20 a person?")
    return page


def test_persons_are_asked_about_before_what_is_longer(page):
    assert asked(page) == "c/0"
    press(page, "n")
    assert asked(page) == "c/1"
    press(page, "n")
    assert asked(page) == "c/25"
    expect(page.locator(".hint")).to_contain_text("24 tracklets are probably not people")


def test_all_at_once_but_those_taken_out_and_taken_back_at_once(batch, project):
    expect(batch.locator(".card[aria-pressed=true]")).to_have_count(20)
    expect(batch.locator("main")).to_contain_text("The next of 24 follow")
    batch.keyboard.press("ArrowRight")
    batch.keyboard.press(" ")
    batch.locator(".card").nth(4).click()
    expect(batch.locator(".card[aria-pressed=true]")).to_have_count(18)
    out = [batch.locator(".card strong").nth(place).inner_text() for place in (1, 4)]
    expect(batch.locator("#confirm")).to_have_text("↵ none of these 18 is a person")
    press(batch, "Enter")
    toast(batch, "18 tracklets: not a person; Z takes it back")
    expect(batch.locator("main h1")).to_have_text("Is none of these 4 a person?")
    shown = batch.locator(".card strong").all_inner_texts()
    assert not {*out} & {*shown}  # they come in the queue
    assert sorted(labels(project).values()) == [Mark.JUNK] * 18 + [Mark.OPEN] * 8
    assert len(project.store.entries) == 2  # the flight, and one decision
    batch.keyboard.press("z")
    toast(batch, "taken back: 18 tracklets: not a person")
    assert set(labels(project).values()) == {Mark.OPEN}


def test_one_by_one_instead(batch):
    batch.keyboard.press("s")
    expect(batch.locator("main h1")).to_have_text("Is none of these 4 a person?")
    batch.keyboard.press("s")
    expect(batch.locator("main h1")).to_have_text("Nothing to answer at once.")


def test_what_another_labeller_has_before_them_is_not_in_the_batch(batch, context, address):
    mine = set(batch.locator(".card strong").all_inner_texts())
    other = context.new_page()
    other.goto(address)
    other.keyboard.press("b")
    expect(other.locator("main h1")).to_have_text("Is none of these 4 a person?")
    assert not mine & set(other.locator(".card strong").all_inner_texts())


def test_the_frame_of_a_tracklet(batch):
    batch.keyboard.press("f")
    expect(batch.locator("dialog .box.meant")).to_have_count(1)


@pytest.fixture
def known(make_workspace, walk, make_app, serving, context, tmp_path):
    """Persons 1 and 2 are known by two tracklets each; five more of 1, two of them side by side, three of 2."""
    walks = [
        *(walk(person, 100 * n, 9) for n, person in enumerate((1, 1, 2, 2))),
        *(walk(1, 1000 + 100 * n, 8) for n in range(4)),
        walk(1, 1300, 6),
        *(walk(2, 2000 + 100 * n, 8) for n in range(3)),
    ]
    project = Project(make_workspace({"c": walks}, tmp_path / "known"))
    for number, tracklets in enumerate((("c/0", "c/1"), ("c/2", "c/3"))):
        project.store.apply(NewIdentity(tracklets=tracklets), user="bob", id=f"b{number}")
    with serving(make_app(of=project)) as address:
        page = opened(context.new_page(), address)
        page.keyboard.press("b")
        yield page, project
        page.close()
    project.close()


def test_likely_matches_of_a_person_are_confirmed_at_once(known):
    page, project = known
    expect(page.locator("main h1")).to_have_text("Are these 4 also Person 1?")
    expect(page.get_by_role("region", name="Person 1").locator("img")).to_have_count(6)
    shown = page.locator(".card strong").all_inner_texts()
    assert {*shown} in ({"c/4", "c/5", "c/6", "c/7"}, {"c/4", "c/5", "c/6", "c/8"})  # c/8 is beside c/7
    page.locator(".card").nth(1).click()
    expect(page.locator("#confirm")).to_have_text("↵ these 3 are Person 1")
    press(page, "Enter")
    toast(page, "3 tracklets are Person 1; Z takes it back")
    expect(page.locator("main h1")).to_have_text("Nothing to answer at once.")  # three are fewer than a batch
    assert {name for name, label in labels(project).items() if label == 1} == {"c/0", "c/1", *shown} - {shown[1]}
    page.keyboard.press("z")
    toast(page, "taken back: 3 tracklets are person 1")
    assert labels(project)[shown[0]] is Mark.OPEN
