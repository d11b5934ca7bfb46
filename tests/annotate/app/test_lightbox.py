"""A closer look at crops, in a real browser."""

import re

import cv2
import numpy as np
import pytest

from annotate.app.clips import Clip

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from tests.annotate.app.hand import asked, opened


@pytest.fixture
def question(page, labelled):
    page.reload()
    expect(page.locator(".question p")).to_contain_text("f2/1")
    return page


def width(page, place):
    for image in page.locator(".lightbox img").all():
        expect(image).to_have_attribute("style", re.compile(r"width: [1-9]"))  # once it is loaded
    return page.locator(".lightbox img").nth(place).bounding_box()["width"]


def test_a_click_on_a_crop_shows_it_larger_beside_the_marked_person(question):
    shown = question.locator(".crops.large img").nth(2).get_attribute("src")
    marked = question.locator(".card[aria-current] strong").inner_text()
    question.locator(".crops.large img").nth(2).click()
    expect(question.get_by_role("dialog")).to_have_accessible_name(f"f2/1 beside {marked}")
    first, second = question.locator(".lightbox img").all()
    expect(first).to_have_attribute("src", shown)
    expect(second).to_have_js_property("complete", True)
    expect(question.locator("dialog output")).to_contain_text("times the size in the frame")
    assert width(question, 0) == pytest.approx(width(question, 1), rel=0.02)  # crops of 20 px, at one scale
    assert width(question, 0) > 100
    assert asked(question) == "f2/1"  # nothing was answered


def test_zoom_by_keys_and_wheel_and_crops_by_arrows(question):
    question.keyboard.press("l")
    caption = question.locator(".lightbox figure").first
    expect(caption).to_contain_text("of 12")
    before = width(question, 0)
    question.keyboard.press("+")
    assert width(question, 0) == pytest.approx(before * 1.25, rel=0.02)
    assert width(question, 1) == pytest.approx(before * 1.25, rel=0.02)
    question.keyboard.press("-")
    question.keyboard.press("-")
    assert width(question, 0) == pytest.approx(before / 1.25, rel=0.02)
    question.locator(".lightbox img").first.hover()
    scale = question.locator("dialog output").inner_text()
    question.mouse.wheel(0, -100)
    expect(question.locator("dialog output")).not_to_have_text(scale)
    question.keyboard.press("0")
    assert width(question, 0) == pytest.approx(before, rel=0.02)
    shown = question.locator(".lightbox img").first.get_attribute("src")
    question.keyboard.press("ArrowRight")
    expect(question.locator(".lightbox img").first).not_to_have_attribute("src", shown)
    expect(caption).to_contain_text("8 of 12")
    question.keyboard.press("ArrowDown")
    expect(question.locator(".lightbox figure").nth(1)).to_contain_text("2 of 6")
    question.keyboard.press("l")
    expect(question.locator("dialog")).to_have_count(0)


def test_in_the_checks_too(page, project, labelled):
    from annotate.operations import Assign

    project.store.apply(Assign(tracklets=("f1/1",), identity=1), user="bob", id="wrong")
    page.keyboard.press("c")
    expect(page.locator(".finding").first).to_be_visible()
    page.keyboard.press("l")
    expect(page.get_by_role("dialog")).to_have_accessible_name("f1/0 beside f1/1")


def test_both_play_around_the_crop_again_and_again_until_they_are_stopped(question):
    question.keyboard.press("l")
    first, second = question.locator(".lightbox img").all()
    captions = question.locator(".lightbox figure > .quiet")
    shown = [each.get_attribute("src") for each in (first, second)]
    question.keyboard.press("p")
    expect(question.get_by_role("button", name="play")).to_have_attribute("aria-pressed", "true")
    for image, before in ((first, shown[0]), (second, shown[1])):
        expect(image).not_to_have_attribute("src", before)
    expect(captions).to_have_text([re.compile(r"frame \d+ · \d\.\d s · 40 px")] * 2)
    last = first.get_attribute("src")
    expect(first).not_to_have_attribute("src", last)
    # It comes round: looked at in each picture of the screen, as a crop is there for a tenth of a second.
    came_round = "src => document.querySelector('.lightbox img').getAttribute('src') === src"
    question.wait_for_function(came_round, arg=last)
    question.keyboard.press("p")
    expect(question.get_by_role("button", name="play")).to_have_attribute("aria-pressed", "false")
    still = first.get_attribute("src")
    question.evaluate("() => new Promise(done => setTimeout(done, 300))")
    assert first.get_attribute("src") == still
    question.keyboard.press("ArrowRight")
    expect(captions.first).to_have_text(re.compile(r"frame \d+ · 8 of 12"))


SHADES = {"f2": 200, "f1": 100}  # of the first window; each one further is darker by 10


def cut(flight, boxes, frame):
    """Three windows of one shade each: the frame before `frame`, that, and the one after it."""
    shades = [SHADES[flight] - 10 * number for number in range(3)]
    windows = np.concatenate([np.full((24, 24, 3), shade, np.uint8) for shade in shades])
    assert frame in boxes
    data = bytes(cv2.imencode(".jpg", windows)[1])
    return Clip(data, 60.0, [(frame + by, (frame + by) / 10) for by in (-1, 0, 1)])


@pytest.fixture
def filmed(context, project, labelled, make_app, serving):
    """The queue of an application with videos."""
    with serving(make_app(cut=cut)) as address:
        yield opened(context.new_page(), address)


def shade(page, place):
    return (
        page.locator(".lightbox canvas")
        .nth(place)
        .evaluate("each => each.getContext('2d').getImageData(12, 12, 1, 1).data[0]")
    )


def test_the_clips_from_the_videos_play_beside_each_other_and_are_stepped_through_together(filmed):
    filmed.keyboard.press("l")
    captions = filmed.locator(".lightbox figure > .quiet")
    expect(captions.first).to_contain_text("of 12")
    crops = [int(re.match(r"frame (\d+)", each)[1]) for each in captions.all_inner_texts()]
    flights = [
        re.search("/api/crops/(f.)/", each.get_attribute("src"))[1]
        for each in filmed.locator(".lightbox img").all()
    ]

    def shows(by):
        expect(captions).to_have_text([f"frame {at + by} · {(at + by) / 10:.1f} s" for at in crops])
        seen = [shade(filmed, place) for place in (0, 1)]
        assert seen == pytest.approx([SHADES[flight] - 10 * (by + 1) for flight in flights], abs=3)

    filmed.keyboard.press(".")
    shows(1)
    filmed.keyboard.press(".")
    shows(1)  # the last one
    filmed.keyboard.press(",")
    filmed.get_by_role("button", name="frame before").click()
    shows(-1)
    expect(filmed.locator(".lightbox img").first).to_be_hidden()
    windows = filmed.locator(".lightbox canvas")
    widths = [windows.nth(place).bounding_box()["width"] for place in (0, 1)]
    assert widths[0] == pytest.approx(widths[1])  # windows of 60 px, at one scale
    filmed.keyboard.press("p")
    expect(captions.first).to_contain_text(f"frame {crops[0]} ·")  # goes on from the frame before it
    filmed.keyboard.press("ArrowRight")
    expect(captions.first).to_contain_text("8 of 12")
    expect(windows.first).to_be_hidden()
