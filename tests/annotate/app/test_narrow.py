"""Filters of the queue and the gallery in a real browser, and the wide screen."""

import re

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.operations import SetMark
from tests.annotate.app.hand import press, toast


def asks(page, tracklet):
    expect(page.locator(".question p")).to_contain_text(f"{tracklet} ·")


def test_the_queue_of_one_flight_by_its_address_to_the_end_of_it(page, address):
    page.goto(f"{address}/#/queue?flight=f2")
    for tracklet in ("f2/0", "f2/1", "f2/2"):
        asks(page, tracklet)
        press(page, "j")
    expect(page.locator("main h1")).to_have_text("Nothing of this is left to label.")
    page.get_by_role("button", name="no filter").click()
    asks(page, "f1/0")
    page.go_back()
    expect(page.locator("main h1")).to_have_text("Nothing of this is left to label.")


def test_by_time_and_kind(page, project):
    project.store.apply(SetMark(tracklets=("f1/4",), mark="skipped"), user="bob", id="b")
    page.keyboard.press("/")
    expect(page.get_by_label("Flight")).to_be_focused()
    page.get_by_label("from").fill("00:00:09")
    page.get_by_label("from").press("Enter")
    asks(page, "f2/2")  # from 9 to 10 s; f1/3 ends at 7.9 s
    page.keyboard.press("g")
    page.keyboard.press("q")
    asks(page, "f2/2")  # the filter is kept
    page.get_by_role("button", name="no filter").click()
    asks(page, "f1/0")
    page.keyboard.press("/")
    page.get_by_label("Kind of label").select_option("skipped")
    page.get_by_role("button", name="Look again").click()
    asks(page, "f1/4")


def test_what_may_be_a_person_comes_first_and_nothing_seen_beside_them(page, address, labelled):
    page.goto(f"{address}/#/person/1")
    page.get_by_role("link", name="find more of them").click()
    asks(page, "f1/3")  # the same colours
    press(page, "1")
    toast(page, "f1/3 is Person 1")
    expect(page.locator(".narrow a")).to_have_text("Person 1")
    asks(page, "f2/1")  # never beside them


def test_the_wall_by_flight_and_time(page, address, labelled):
    page.goto(f"{address}/#/gallery?flight=f2")
    expect(page.locator(".wall .card strong")).to_have_text(["Person 1"])
    page.get_by_label("from").fill("00:01:00")
    page.get_by_label("from").press("Enter")
    expect(page.locator(".wall")).to_contain_text("Nobody fits.")


def test_a_wide_screen_has_the_frame_beside_the_crops(page):
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.reload()
    expect(page.locator(".scene .box.meant")).to_have_count(1)
    press(page, "n")
    asks(page, "f1/1")
    expect(page.locator(".scene .box.meant span")).to_have_text("f1/1: open")
    bottom = page.locator(".scene .frame").bounding_box()
    assert bottom["y"] + bottom["height"] <= 1080


def test_a_narrow_screen_asks_for_no_frame(page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    press(page, "n")
    asks(page, "f1/1")
    page.keyboard.press("f")
    expect(page.locator("dialog .box").first).to_be_visible()
    assert len([url for url in asked if "/api/frames/" in url]) == 1


def test_no_frame_tells_the_label_at_a_second_look(page, project, monkeypatch):
    monkeypatch.setattr("annotate.queue.SECOND_LOOKS", 0.5)
    page.set_viewport_size({"width": 1920, "height": 1080})
    press(page, "j", "j")
    expect(page.locator(".question h1")).to_have_text("A second look: who is this?")
    expect(page.locator(".scene .box.meant span")).to_have_text(re.compile(r"^f1/[01]$"))
    page.keyboard.press("f")
    expect(page.locator("dialog .box.meant span")).to_have_text(re.compile(r"^f1/[01]$"))
    expect(page.locator(".question a[href*=tracklet]")).to_have_count(0)
