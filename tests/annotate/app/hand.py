"""A labeller's hand at the page: opens it, presses keys, reads what is shown."""

import re

from playwright.sync_api import expect


def opened(page, address):
    page.goto(address)
    expect(page.get_by_role("dialog", name="Who is labelling?")).to_be_visible()
    page.keyboard.press("Enter")  # the name that is proposed
    expect(page.locator(".question h1")).to_have_text("Who is this?")
    return page


def labels(project):
    with project.reading() as state:
        return dict(state.labels)


def asked(page):
    """The tracklet that is shown."""
    return page.locator(".question p").inner_text().split(" ")[0]


def press(page, *keys):
    """Press keys, each when the answer to the one before is there."""
    for key in keys:
        with page.expect_response(lambda answer: "/api/decide" in answer.url or "/api/undo" in answer.url):
            page.keyboard.press(key)
        expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")


def toast(page, text):
    expect(page.locator(".toast").last).to_have_text(re.compile(text))
