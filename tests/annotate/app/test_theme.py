"""Light and dark colours, in a real browser."""

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

GROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT, DARK = "rgb(238, 240, 243)", "rgb(20, 23, 27)"


def test_the_colours_are_the_systems_until_others_are_chosen_and_then_stay(page):
    colours = page.get_by_role("button", name="Colours")
    page.emulate_media(color_scheme="light")
    assert page.evaluate(GROUND) == LIGHT
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(GROUND) == DARK
    expect(colours).to_have_accessible_name("Colours: as the system")
    colours.click()
    assert page.evaluate(GROUND) == LIGHT
    page.reload()
    expect(colours).to_have_accessible_name("Colours: light")
    assert page.evaluate(GROUND) == LIGHT
    colours.click()
    page.emulate_media(color_scheme="light")
    assert page.evaluate(GROUND) == DARK
    colours.click()
    assert page.evaluate(GROUND) == LIGHT
