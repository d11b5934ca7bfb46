"""Addresses of views in a real browser: they can be sent, and the browser goes back."""

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect


def heading(page, text):
    expect(page.locator("main h1")).to_have_text(text)


@pytest.mark.parametrize(
    ("hash", "text"),
    [
        ("#/person/1", "Person 1"),
        ("#/person/99", "There is no person 99."),
        ("#/tracklet/f1/3", "f1/3"),
        ("#/tracklet/f9/3", "There is no tracklet f9/3."),
        ("#/queue?flight=f2", "Who is this?"),
        ("#queue", "Who is this?"),
        ("#gallery", "Identities"),
        ("#/nowhere", "Who is this?"),
        ("#/person/%E0%A4%A", "Who is this?"),
    ],
)
def test_an_address_that_was_sent_shows_its_view(page, address, labelled, hash, text):
    page.goto(f"{address}/{hash}")
    heading(page, text)


def test_back_and_forward(page, address, labelled):
    page.keyboard.press("g")
    expect(page.locator(".wall .card")).to_have_count(3)
    page.keyboard.press("Enter")
    heading(page, "Person 1")
    assert page.url == f"{address}/#/person/1"
    page.locator(".member a").first.click()
    heading(page, "f1/0")
    page.keyboard.press("v")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    heading(page, "Person 1")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.go_back()
    heading(page, "Identities")
    page.go_forward()
    heading(page, "Person 1")
    expect(page).to_have_title("uavpipe: Person 1")
