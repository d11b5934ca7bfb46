"""Find by picture in a real browser: what is dropped or chosen is sent, and the answers lead to the people."""

import cv2
import numpy as np
import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.app.search import Found, Similar
from annotate.errors import Refused
from tests.annotate.app.hand import opened

NOBODY = "nobody here looks like this person (8 tracklets)"


def jpeg():
    return bytes(cv2.imencode(".jpg", np.full((60, 30, 3), 120, np.uint8))[1])


class Searcher:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self):
        self.answers, self.asked = [], []

    def __call__(self, wanted, user):
        self.asked.append((wanted, user))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def searcher(project):
    project.source = "a network"
    return Searcher()


@pytest.fixture
def page(context, make_app, serving, searcher, labelled):
    with serving(make_app(find=searcher)) as address:
        page = context.new_page()
        page.goto(f"{address}/#/gallery")
        expect(page.get_by_role("dialog", name="Who is labelling?")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator(".wall .card")).to_have_count(3)
        yield page
        page.close()


def choose(page, content, name="person.jpg", kind="image/jpeg"):
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": kind, "buffer": content})


def test_a_picture_and_its_answers(page, searcher):
    similar = (Similar(("f1/1",), 0.61, 0.832, True), Similar(("f2/2", "f2/1"), 0.2, 0.03, False))
    searcher.answers.append(Found(similar, "", "'right' is how often such an answer is right"))
    page.keyboard.press("p")
    choose(page, jpeg())
    cards = page.locator("#answers .card")
    expect(cards.nth(0)).to_contain_text("Person 2")
    expect(cards.nth(0)).to_contain_text("right 83 % · similarity 0.610")
    expect(cards.nth(0).locator("img")).to_have_count(4)
    expect(cards.nth(1)).to_be_hidden()
    page.get_by_text("unlikely, the most similar first: 1").click()
    expect(cards.nth(1)).to_contain_text("f2/2")
    expect(cards.nth(1)).to_contain_text("right 3 % · unlikely")
    expect(page.locator("#answers")).to_contain_text("note: 'right' is how often")
    ((wanted, user),) = searcher.asked
    assert (wanted.data, wanted.box, user) == (jpeg(), None, "ann")
    cards.nth(0).click()
    expect(page.locator("main h1")).to_have_text("Person 2")


def test_of_several_persons_one_is_chosen(page, searcher):
    boxes = ((-1.0, 0.0, 10.0, 60.0), (15.0, 5.0, 28.0, 50.0))
    searcher.answers += [Found(choose=boxes, size=(30, 60)), Found((), NOBODY)]
    page.keyboard.press("p")
    choose(page, jpeg())
    expect(page.locator("#answers")).to_contain_text("The picture shows 2 people: choose one.")
    page.get_by_role("button", name="Person 2 of 2 in the picture").click()
    expect(page.locator("#answers")).to_contain_text(NOBODY)
    assert searcher.asked[1][0].box == (15.0, 5.0, 28.0, 50.0)


def test_a_crop_of_the_workspace(page, searcher):
    searcher.answers.append(Found((), NOBODY))
    page.locator(".wall .card").first.dblclick()
    page.locator(".member a").first.click()
    page.get_by_role("link", name="who looks like this").click()
    expect(page.locator("#answers")).to_contain_text("nobody here")
    assert searcher.asked[0][0].startswith("f1/crops/images/")


def test_what_is_no_picture_is_told(page, searcher):
    searcher.answers.append(Refused("the picture cannot be read; expected a whole JPEG, PNG or WebP file"))
    page.keyboard.press("p")
    choose(page, b"text", "notes.txt", "text/plain")
    expect(page.locator(".toast").last).to_have_text("Expected a JPEG, PNG or WebP picture.")
    choose(page, b"no picture")
    expect(page.locator(".toast").last).to_contain_text("the picture cannot be read")
    assert len(searcher.asked) == 1


def test_a_server_without_search_offers_none(context, make_app, serving):
    with serving(make_app()) as address:
        page = opened(context.new_page(), address)
        expect(page.locator("[data-view=picture]")).to_be_hidden()
        page.close()
