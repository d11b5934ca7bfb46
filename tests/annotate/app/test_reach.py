"""Reach of the pages in a real browser: narrow screens, touch, the user's own colours, names as they are shown."""

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from tests.annotate.app.hand import labels, opened, press, toast

TOO_WIDE = "document.documentElement.scrollWidth > innerWidth"
# WCAG 2.2, 2.5.3: who speaks to the page says what is written on a button.
OTHER_NAMES = """[...document.querySelectorAll('button[aria-label]')]
    .filter(each => each.innerText.length > 1 && !each.ariaLabel.includes(each.innerText))
    .map(each => `${each.innerText} / ${each.ariaLabel}`)"""


def test_nothing_is_wider_than_a_screen_of_320_px(page, labelled):
    page.set_viewport_size({"width": 320, "height": 640})
    for view in "bgcq":
        page.keyboard.press(view)
        expect(page.locator("main h1, main h2").first).to_be_visible()
        assert not page.evaluate(TOO_WIDE), view
    expect(page.locator(".card").first).to_be_visible()
    for dialog in "?lvf":
        page.keyboard.press(dialog)
        expect(page.locator("dialog")).to_have_count(1)
        assert page.evaluate("document.querySelector('dialog').scrollWidth <= 320"), dialog
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)


def test_what_a_button_is_called_is_what_is_written_on_it(page, labelled):
    for view in "gcq":
        page.keyboard.press(view)
        expect(page.locator("main h1, main h2").first).to_be_visible()
        assert page.evaluate(OTHER_NAMES) == []
    expect(page.locator(".answers .card").first).to_have_accessible_name(
        page.locator(".answers .card").first.inner_text().replace("\n", " ")
    )
    expect(page.locator(".answers .card").first).to_contain_text("alike")  # the meter has words


def test_people_are_selected_and_merged_by_touch(browser, address, labelled, project):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = opened(context.new_page(), address)
    page.get_by_role("button", name="Gallery").tap()
    for number in (1, 3):
        page.get_by_role("button", name=f"select Person {number}").tap()
    expect(page.locator("#gallery-count")).to_have_text("3 identities, 2 selected")
    page.locator("#merge").tap()
    with page.expect_response("**/api/decide"):
        page.get_by_role("button", name="yes, the same person").tap()
    toast(page, "3 is 1")
    assert labels(project)["f1/2"] == 1
    context.close()


def test_what_is_marked_is_seen_in_the_users_own_colours(browser, address, labelled):
    context = browser.new_context(forced_colors="active")
    page = opened(context.new_page(), address)
    press(page, "s")
    marked, others = page.locator(".card.chosen"), page.locator(".card:not(.chosen)")
    outline = "each => getComputedStyle(each).outlineStyle"
    assert marked.first.evaluate(outline) == "solid"
    assert others.first.evaluate(outline) == "none"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    context.close()
