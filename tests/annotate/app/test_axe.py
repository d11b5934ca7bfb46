"""No view of the labelling app breaks a rule of axe-core, in a real browser."""

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.operations import NewIdentity, SetMark
from annotate.project import Project
from tests.annotate.app.hand import opened
from tests.axe import broken_rules

CROWD = 10  # people who walk beside each other
LOOKS = {"light": (1280, "light", "none"), "dark": (320, "dark", "none"), "forced": (1280, "light", "active")}
VIEWS = (  # address, a key to press there, and what is then to be seen; no view follows itself
    ("batches", "", ".batch .card img"),
    ("queue", "", ".question .crops img"),
    ("tracklet/c/15", "", "main .crops img"),
    ("gallery", "", ".wall .card img"),
    ("tracklet/c/15", "f", "dialog .box"),
    ("checks", "", ".findings img"),
    ("tracklet/c/15", "v", "dialog .cell img"),
    ("person/1", "", "main .crops img"),
    ("queue", "l", ".lightbox img"),
    ("review", "", "main article img"),
    ("gallery", "?", "dialog dl"),
    ("picture", "", "main .drop"),
    ("queue?flight=elsewhere", "", "main h1"),
)
# The app hears of an address first, so that the view before is gone afterwards.
GO = """address => new Promise((done) => {
    addEventListener("hashchange", () => done(), { once: true });
    location.hash = `#/${address}`;
})"""


@pytest.fixture
def app(make_workspace, walk, make_app, serving, tmp_path):
    """The app over c/0 to c/9, who walk beside each other, and c/10 to c/19, the same people later.

    Person 1 was made of two who were seen together; c/11 is no person.
    """
    walks = [walk(person, 100 * turn, 30) for turn in (0, 1) for person in range(CROWD)]
    project = Project(make_workspace({"c": walks}, tmp_path / "crowd"))
    project.source = "a network"
    project.store.apply(NewIdentity(tracklets=("c/0", "c/1")), user="bob", id="b0")
    project.store.apply(SetMark(tracklets=("c/11",), mark="junk"), user="bob", id="b1")
    with serving(make_app(of=project, find=lambda wanted, user: None)) as address:
        yield address
    project.close()


@pytest.mark.parametrize("look", LOOKS)
def test_no_view_breaks_a_rule_of_axe(context, app, look):
    width, colours, forced = LOOKS[look]
    page = opened(context.new_page(), app)
    page.set_viewport_size({"width": width, "height": 720})
    page.emulate_media(color_scheme=colours, forced_colors=forced, reduced_motion="reduce")
    broken = []
    for address, key, shown in VIEWS:
        page.evaluate(GO, address)
        if key:
            expect(page.locator("main img").first).to_be_visible()
            page.keyboard.press(key)
        expect(page.locator(shown).first).to_be_visible()
        broken += [(address, key, *each) for each in broken_rules(page)]
    assert broken == []
