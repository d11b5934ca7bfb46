"""The report in a real browser."""

import re

import pytest

pytest.importorskip("playwright.sync_api")
from tests.axe import broken_rules
from tests.pipeline.report.conftest import HOSTILE, ODD

SIZES = {"desktop": (1280, 720), "phone": (390, 844)}
PARTS = ["People", "Flights", "Ground", "Data set", "Re-identification", "Provenance"]


@pytest.fixture(params=SIZES)
def page(request, browser, reported):
    """The page; what goes wrong in it, or is asked of anything but its own folder, fails the test."""
    width, height = SIZES[request.param]
    page = browser.new_page(viewport={"width": width, "height": height})
    folder, complaints = reported[1].parent.as_uri(), []
    page.on("console", lambda line: complaints.append(line.text))
    page.on("requestfailed", lambda asked: complaints.append(asked.url))
    page.on("request", lambda asked: None if asked.url.startswith(folder) else complaints.append(asked.url))
    page.goto(reported[1].as_uri())
    yield page
    assert complaints == []
    page.close()


def test_every_part_has_something_to_show(page):
    assert page.locator("h2").all_inner_texts() == PARTS
    assert page.locator(".flight").count() == 2
    assert page.locator(".lane a").count() > 4
    assert page.locator(".person img").count() > 5
    assert page.locator("section.ranked").count() == 3
    assert page.locator("header dt", has_text="no better than chance").count() == 2  # they are random
    assert page.get_by_role("cell", name="shuffled identities", exact=True).is_visible()
    assert page.get_by_text("Random features get an mAP of").is_visible()
    assert page.locator("section.ranked .right, section.ranked .wrong").count() > 3
    titles = page.locator(".plots figcaption").all_inner_texts()
    for title in ("Persons in a frame", "Heights", "Scores", "Precision by recall", "Altitude", "Loss", "CMC"):
        assert title in titles
    assert page.get_by_text("9.2 ± 0.1").is_visible()
    assert not re.search(r"\b(nan|None|undefined)\b", page.inner_text("body"))


def test_pictures_and_clips_are_there(page):
    page.evaluate("document.querySelectorAll('img').forEach(each => each.loading = 'eager')")
    page.wait_for_function("[...document.images].every(each => each.complete)")
    assert page.evaluate("[...document.images].filter(each => !each.naturalWidth).length") == 0
    page.wait_for_function("[...document.querySelectorAll('video')].every(each => each.readyState > 0)")
    assert page.evaluate("document.images.length") > 0
    assert page.locator("video").count() > 0
    for video in page.locator("video").all():
        assert 0.5 < video.evaluate("each => each.duration") < 1.5
        assert video.evaluate("each => each.videoWidth") == 640


def test_each_figure_links_to_its_provenance(page):
    assert page.locator(".facts dd").count() == page.locator(".facts dd a").count() > 10
    broken = "[...document.querySelectorAll('a[href]')].map(each => each.getAttribute('href'))"
    for address in set(page.evaluate(broken)):
        assert address.startswith("#")
        assert page.locator(f"[id='{address[1:]}']").count() == 1, address
    page.locator("#flights + .scroll td a", has_text="640 × 360").first.click()
    provenance = page.locator(":target")
    assert provenance.locator("h3").inner_text() == f"Frames of {ODD.removesuffix('.mp4')}"
    assert "uavpipe frames" in provenance.inner_text()
    assert "uavpipe reid evaluate --features" in page.locator("#provenance-evaluate-embedded code").inner_text()


def test_it_fits_the_screen_and_is_read_as_text(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#identity-1 h3").inner_text() == f"1 {HOSTILE}"
    assert page.evaluate("[...document.images].every(each => each.alt)")
    assert page.evaluate("[...document.querySelectorAll('svg')].every(each => each.closest('[aria-label]'))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_in_light_and_dark(browser, reported, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(reported[1].as_uri())
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(paper) > 0.5) == (scheme == "light")
    for place in ("body", ".soft", "a[href]", "svg text:not(circle + text)"):
        colour = page.locator(place).first.evaluate(
            "each => { const style = getComputedStyle(each); "
            "return each.closest('svg') ? style.fill : style.color }"
        )
        assert contrast(colour, paper) >= 4.5, place  # WCAG 2.2, 1.4.3
    numbers = page.locator("circle + text").evaluate_all(
        "all => all.map(each => [each, each.previousElementSibling].map(one => getComputedStyle(one).fill))"
    )
    assert numbers
    assert min(contrast(*pair) for pair in numbers) >= 4.5
    page.close()


def test_it_breaks_no_rule_of_axe(browser, reported):
    page = browser.new_page(color_scheme="dark")
    page.goto(reported[1].as_uri())
    assert broken_rules(page) == []
    page.close()


def test_it_prints(browser, reported):
    page = browser.new_page()
    page.goto(reported[1].as_uri())
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


def luminance(colour):
    """WCAG 2.2's relative luminance of `rgb(r, g, b)`."""
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    light, dark = sorted(map(luminance, (first, second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
