"""A person's page in a real browser: everything about the person, and what is decided from there."""

import re

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.operations import Mark
from tests.annotate.app.hand import labels, press, toast


@pytest.fixture
def person(page, address, labelled):
    """Person 1, of f1/0 and f2/0; persons 2 and 3 are beside them in f1."""
    page.goto(f"{address}/#/person/1")
    expect(page.locator("main h1")).to_have_text("Person 1")
    return page


def test_sightings_with_time_and_who_was_seen_with_them(person):
    expect(person.locator(".member")).to_have_count(2)
    expect(person.locator("[data-sighting='f1/0']")).to_have_text("2030-01-01 14:30:05 · frames from 0")
    expect(person.locator(".member .quiet:first-child")).to_have_text(["1", "2"])  # as on the map
    expect(person.locator(".map text")).to_have_text(["1", "2"])
    expect(person.locator(".map figcaption")).to_have_text("1")
    seen_with = person.get_by_role("article", name="Seen with")
    expect(seen_with.locator(".card strong")).to_have_text(["Person 2", "Person 3"])
    expect(seen_with.locator(".card small")).to_have_text(["in 29 frames of f1", "in 28 frames of f1"])
    seen_with.locator(".card").first.click()
    expect(person.locator("main h1")).to_have_text("Person 2")


def test_notes_and_tags_are_kept_found_and_taken_back(person, project):
    person.get_by_label("Tags").fill("red, child , red")
    person.get_by_label("Notes").fill("limps\n<b>alone</b>")
    person.get_by_role("button", name="Save").click()
    toast(person, "saved; Z takes it back")
    assert project.store.state.tags == {1: ("child", "red")}
    assert project.store.state.notes == {1: "limps\n<b>alone</b>"}
    person.reload()
    expect(person.get_by_label("Notes")).to_have_value("limps\n<b>alone</b>")
    person.keyboard.press("g")
    expect(person.locator(".wall .card .tags")).to_have_text("child, red")
    person.get_by_label("Tag", exact=True).select_option("child")
    expect(person.locator(".wall .card strong")).to_have_text("Person 1")
    person.get_by_role("button", name="no filter").click()
    expect(person.locator(".wall .card")).to_have_count(3)
    person.keyboard.press("/")
    person.keyboard.type("limps")
    expect(person.locator(".wall .card")).to_have_count(1)
    expect(person).to_have_url(re.compile("find=limps"))
    person.keyboard.press("Enter")
    press(person, "z", "z")
    assert project.store.state.tags == project.store.state.notes == {}


def test_typing_a_note_is_no_command(person, project):
    before = len(project.store.entries)
    person.get_by_label("Notes").click()
    person.keyboard.type("nurmv")
    expect(person.get_by_label("Notes")).to_have_value("nurmv")
    assert len(project.store.entries) == before


def test_merging_from_there(person, project):
    person.keyboard.press("m")
    dialog = person.get_by_role("dialog", name="Person 1 is the same as …")
    expect(dialog).to_contain_text("All others were seen together with them.")
    dialog.get_by_label("Number of the person").fill("3")
    dialog.get_by_role("button", name="Merge").click()
    expect(person.get_by_role("dialog")).to_contain_text("f1/2 and f1/0 are both in frame 0")
    press(person, "y")
    toast(person, "3 is 1")
    expect(person.locator(".member")).to_have_count(3)
    assert labels(project)["f1/2"] == 1


def test_taking_out_renaming_and_undo(person, project):
    person.keyboard.press("r")
    person.keyboard.type("Ann")
    press(person, "Enter")
    expect(person.locator("main h1")).to_have_text("Ann (1)")
    person.keyboard.press("ArrowDown")
    press(person, "u")
    toast(person, "f2/0 waits in the queue again")
    expect(person.locator(".member")).to_have_count(1)
    assert labels(project)["f2/0"] is Mark.OPEN
    press(person, "z")
    expect(person.locator(".member")).to_have_count(2)
    person.keyboard.press("l")
    expect(person.get_by_role("dialog").locator("figure")).to_have_count(2)


def test_a_tracklet_is_labelled_on_its_own_page(page, address, project, labelled):
    page.goto(f"{address}/#/tracklet/f2/2")
    expect(page.locator("main h1")).to_have_text("f2/2")
    expect(page.locator("main p").first).to_contain_text("without a label · 12 detections")
    expect(page.locator("#sighting")).to_contain_text("frames from 90")
    press(page, "j")
    expect(page.locator("main p").first).to_contain_text("not a person")
    assert labels(project)["f2/2"] is Mark.JUNK
    page.keyboard.press("g")
    page.get_by_label("Kind of label").select_option("junk")
    expect(page.locator(".wall .card strong")).to_have_text("f2/2")
