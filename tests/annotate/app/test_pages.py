"""The pages in a real browser: every key, every view."""

import re
import sqlite3
import time
from contextlib import closing

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from annotate.app.access import Access
from annotate.operations import Mark, NewIdentity
from annotate.project import Project
from tests.annotate.app.hand import asked, labels, opened, press, toast

SIZES = {"wide": (1920, 1080), "desktop": (1280, 720), "tablet": (820, 1180), "phone": (320, 640)}

UNNAMED = """[...document.querySelectorAll('button, input, select, textarea, img')]
    .filter(each => !(each.labels?.length || each.ariaLabel || each.title || each.closest('.card')))
    .filter(each => !(each.tagName === 'BUTTON' ? each.textContent.trim() : each.alt))
    .length"""
# px: a finger is not a mouse
SMALL = (
    "[...document.querySelectorAll('button')].filter(each => each.offsetParent && each.offsetHeight < 40).length"
)

# The first decision arrives, its answer does not.
CUT_OFF_ONCE = """() => {
    const real = window.fetch;
    window.decisions = 0;
    window.fetch = async (path, options) => {
        const answer = await real(path, options);
        if (path === "/api/decide" && window.decisions++ === 0) throw new TypeError("cut off");
        return answer;
    };
}"""


class TestQueue:
    def test_new_same_junk_distractor_and_skip_by_one_key_each(self, page, project):
        press(page, "n")
        toast(page, "f1/0 is new: person 1")
        expect(page.locator(".question p")).to_contain_text("f1/1")
        press(page, "x")
        toast(page, "f1/1: distractor")
        press(page, "j")
        toast(page, "f1/2: not a person")
        expect(page.locator(".question p")).to_contain_text("f2/0")
        expect(page.locator(".card")).to_have_count(1)
        press(page, "Enter")
        toast(page, "f2/0 is Person 1")
        press(page, "s")
        toast(page, "f2/1: not sure")
        expect(page.locator(".question p")).to_contain_text("f1/3")
        press(page, " ")
        toast(page, "f1/3 is Person 1")
        assert labels(project) == {
            "f1/0": 1,
            "f1/1": Mark.DISTRACTOR,
            "f1/2": Mark.JUNK,
            "f2/0": 1,
            "f2/1": Mark.SKIPPED,
            "f1/3": 1,
            "f1/4": Mark.OPEN,
            "f2/2": Mark.OPEN,
        }
        page.reload()
        expect(page.locator(".question p")).to_contain_text("f1/4")  # the name is known, nothing is lost

    def test_different_marks_the_next_and_a_digit_takes_its_own(self, page, project, labelled):
        page.reload()
        expect(page.locator(".question p")).to_contain_text("f2/1")
        marked = page.locator(".card[aria-current] strong")
        order = page.locator(".card strong").all_inner_texts()
        assert len(order) == 3
        expect(marked).to_have_text(order[0])
        page.keyboard.press("d")
        expect(marked).to_have_text(order[1])
        expect(page.locator(".card", has_text="↵").locator("strong")).to_have_text([order[1]])  # what Enter answers
        page.keyboard.press("ArrowRight")
        expect(marked).to_have_text(order[2])
        page.keyboard.press("ArrowLeft")
        expect(marked).to_have_text(order[1])
        press(page, "Enter")
        assert labels(project)["f2/1"] == int(order[1].split(" ")[1])
        shown = asked(page)
        second = int(page.locator(".card strong").all_inner_texts()[1].split(" ")[1])
        press(page, "2")
        assert labels(project)[shown] == second

    def test_undo_and_redo(self, page, project):
        press(page, "n")
        page.keyboard.press("Control+z")
        toast(page, "taken back: f1/0 is new")
        expect(page.locator(".question p")).to_contain_text("f1/0")
        page.keyboard.press("Control+Shift+z")
        toast(page, "done again: f1/0 is new")
        expect(page.locator(".question p")).to_contain_text("f1/1")
        page.keyboard.press("z")
        toast(page, "taken back")
        page.keyboard.press("y")
        toast(page, "done again")
        expect(page.locator(".question p")).to_contain_text("f1/1")
        page.keyboard.press("y")
        toast(page, "ann has nothing to redo")
        assert labels(project)["f1/0"] == 1

    def test_all_crops_and_a_split(self, page, project):
        press(page, "n", "j", "j", "n")  # f1/0, 1, 2 and f2/0: then comes the one that turns into another
        expect(page.locator(".question p")).to_contain_text("f2/1")
        page.keyboard.press("v")
        cells = page.locator("dialog .cell")
        expect(cells).to_have_count(26)
        page.keyboard.press("End")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Home")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Home")
        for _ in range(13):
            page.keyboard.press("ArrowRight")
        expect(page.locator("dialog [role=status]")).to_have_text("Split before frame 53: 13 crops stay, 13 go.")
        press(page, "p")
        toast(page, "f2/1 is split: f2/3 is new")
        expect(page.locator("dialog")).to_have_count(0)
        assert {name: len(content) for name, content in project.store.state.tracklets.items()}["f2/3"] == 13

    def test_tails_of_two_that_were_mixed_up(self, page, project):
        before = {name: project.store.state.tracklets[name] for name in ("f1/0", "f1/1", "f1/2")}
        swap = page.get_by_role("dialog", name="f1/0, mixed up at frame 10")
        self.mixed_up(page, "f1/0", 10)
        rows = swap.locator(".member strong")
        expect(rows).to_have_text(["f1/1", "f1/2"])  # the nearest first
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        expect(swap.locator(".member.chosen strong")).to_have_text("f1/1")
        expect(swap.locator(".member.chosen img")).to_have_count(8)  # four on each side
        press(page, "Enter")
        toast(page, "f1/0 and f1/1 changed tails at frame 10")
        expect(page.locator("dialog")).to_have_count(0)
        expect(page.locator(".question p")).to_contain_text("f1/1 · 30 detections")  # now the longest
        now = project.store.state.tracklets
        assert now["f1/0"] == before["f1/0"][:10] + before["f1/1"][10:]
        assert now["f1/1"] == before["f1/1"][:10] + before["f1/0"][10:]
        page.keyboard.press("z")
        toast(page, "taken back")
        expect(page.locator(".question p")).to_contain_text("f1/0 · 30 detections")
        self.mixed_up(page, "f1/0", 20)
        expect(page.get_by_role("dialog", name="f1/0, mixed up at frame 20")).to_be_visible()
        press(page, "2")
        toast(page, "f1/0 and f1/2 changed tails at frame 20")
        assert project.store.state.tracklets["f1/2"] == before["f1/2"][:20] + before["f1/0"][20:]

    def test_nobody_to_change_tails_with(self, page, project):
        project.store.apply(NewIdentity(tracklets=tuple(f"f1/{n}" for n in range(5))), user="bob", id="b")
        page.reload()
        self.mixed_up(page, "f2/0", 5)
        toast(page, "Nobody else is in frame 5")
        expect(page.locator("dialog")).to_have_count(1)  # all crops still

    def mixed_up(self, page, tracklet, crop):
        """Swap tails, asked for at one of all crops."""
        expect(page.locator(".question p")).to_contain_text(tracklet)
        page.keyboard.press("v")
        expect(page.locator("dialog .cell").first).to_be_visible()
        page.keyboard.press("t")  # at the first crop there is nothing to swap
        expect(page.locator("dialog")).to_have_count(1)
        for _ in range(crop):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("t")

    def test_the_whole_frame(self, page):
        page.keyboard.press("f")
        expect(page.locator("dialog .box")).to_have_count(3)
        expect(page.locator("dialog .box.meant span")).to_have_text("f1/0: open")
        expect(page.locator("dialog img")).to_have_js_property("naturalWidth", 320)
        box = page.locator("dialog .box.meant").bounding_box()
        image = page.locator("dialog img").bounding_box()
        assert box["height"] / image["height"] == pytest.approx(40 / 180, rel=0.03)
        page.keyboard.press("f")
        expect(page.locator("dialog")).to_have_count(0)

    def test_when_all_is_done(self, page, project):
        press(page, *"njjjjjjj")
        expect(page.locator("main h1")).to_have_text("Nothing is left to label.")
        expect(page.locator("#progress-text")).to_contain_text("8 of 8 tracklets (100 %) · 1 person")

    def test_what_was_skipped_is_offered_once_more(self, page, project):
        press(page, *"jjjjjjss")
        expect(page.locator("main h1")).to_have_text("Nothing is left to label.")
        expect(page.locator(".skipped")).to_contain_text("2 tracklets were skipped.")
        page.get_by_role("button", name="Look again").click()
        expect(page.locator(".question p")).to_contain_text("f1/4")
        press(page, "s", "j")
        expect(page.locator(".skipped")).to_contain_text("1 tracklet was skipped.")

    def test_more_candidates(self, context, make_workspace, walk, make_app, serving, tmp_path):
        crowd = [walk(person, 100 * person, 9) for person in range(12)]
        project = Project(make_workspace({"c": [*crowd, walk(3, 3000, 30)]}, tmp_path / "crowd"))
        for number in range(12):
            project.store.apply(NewIdentity(tracklets=(f"c/{number}",)), user="bob", id=str(number))
        with serving(make_app(of=project)) as address:
            page = opened(context.new_page(), address)
            expect(page.locator(".card")).to_have_count(9)
            page.keyboard.press("m")
            expect(page.locator(".card")).to_have_count(3)
            page.keyboard.press("m")  # round again
            expect(page.locator(".card")).to_have_count(9)
            for _ in range(9):
                page.keyboard.press("d")  # past the last one: the next page
            expect(page.locator(".card")).to_have_count(3)
            page.close()
        project.close()

    def test_by_pointer_as_well(self, page, project):
        page.get_by_role("button", name="new person").click()
        toast(page, "person 1")
        for shown, then in (("f1/1", "f1/2"), ("f1/2", "f2/0")):
            expect(page.locator(".question p")).to_contain_text(shown)
            expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
            page.get_by_role("button", name="not a person").click()
            expect(page.locator(".question p")).to_contain_text(then)
        page.get_by_role("button", name="1 Person 1").click()
        toast(page, "f2/0 is Person 1")
        page.get_by_role("button", name="undo").click()
        toast(page, "taken back: f2/0 is person 1")
        assert labels(project)["f2/0"] is Mark.OPEN

    def test_a_decision_that_somebody_else_overtook_is_told(self, page, project):
        project.store.apply(NewIdentity(tracklets=("f1/0",)), user="bob", id="b")
        press(page, "j")
        toast(page, "was changed meanwhile by operation 3 .new identity by bob.")
        expect(page.locator(".question p")).to_contain_text("f1/1")
        assert labels(project)["f1/0"] == 1

    def test_two_windows_of_one_labeller_do_not_disturb_each_other(self, page, context, address, project):
        press(page, "j")
        other = context.new_page()
        other.goto(address)  # the browser knows the name
        expect(other.locator(".question p")).to_be_visible()
        assert asked(page) == "f1/1"
        assert asked(other) == "f1/2"
        press(other, "n")
        with page.expect_response("**/api/undo"):
            page.keyboard.press("z")
        toast(page, "operation 4, the last of ann, was made in another window; take it back there")
        assert labels(project)["f1/2"] == 1
        press(other, "z", "z")  # also what was decided before it was opened
        assert labels(project)["f1/0"] is Mark.OPEN
        project.store.apply(NewIdentity(tracklets=("f1/1",)), user="ann", id="elsewhere.1")
        press(page, "j")
        toast(page, "was changed meanwhile by operation 7 .new identity by ann.")
        assert labels(project)["f1/1"] == 2

    def test_a_closed_window_reserves_nothing(self, page, project):
        shown = asked(page)
        assert list(project.store.leases.held()) == [shown]
        page.goto("about:blank")
        until = time.monotonic() + 30
        while project.store.leases.held():  # the page is gone before the server is told
            assert time.monotonic() < until
            page.wait_for_timeout(20)

    def test_on_a_small_screen_a_new_question_is_in_sight(self, page, project, labelled):
        page.set_viewport_size({"width": 390, "height": 500})
        page.reload()
        expect(page.locator(".card")).to_have_count(3)
        assert page.evaluate("scrollY") == 0
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("scrollY") > 0  # the card that is marked comes into sight
        expect(page.locator("#said")).to_have_text(re.compile(r"Person \d, 3 of 3"))
        press(page, "Enter")
        assert page.evaluate("scrollY") == 0
        expect(page.locator("#said")).to_have_text(re.compile(rf"Who is this\? {asked(page)}, \d+ detections?"))

    def test_when_the_connection_breaks_the_same_request_is_sent_again(self, page, project):
        page.evaluate(CUT_OFF_ONCE)
        page.keyboard.press("n")
        toast(page, "f1/0 is new: person 1")
        assert page.evaluate("window.decisions") == 2
        assert len([entry for entry in project.store.entries if entry.user == "ann"]) == 1

    def test_while_another_program_writes_the_decision_is_kept_and_sent_again(self, page, project, monkeypatch):
        monkeypatch.setattr("annotate.log.database.WAIT_S", 0.05)
        with closing(sqlite3.connect(project.store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            page.keyboard.press("n")
            toast(page, "Another program is writing to the labels. Your decision is kept and sent again.")
        toast(page, "f1/0 is new: person 1")
        assert len([entry for entry in project.store.entries if entry.user == "ann"]) == 1


class TestToken:
    def test_the_page_opens_with_the_token_of_its_address_and_works_by_the_cookie(self, context, make_app, serving):
        access = Access()
        with serving(make_app(access)) as address:
            page = context.new_page()
            page.goto(address)
            expect(page.locator("body")).to_contain_text("open the address with the token")
            opened(page, f"{address}/?token={access.token}")
            assert page.url.startswith(f"{address}/")
            assert access.token not in page.url
            press(page, "n")
            toast(page, "f1/0 is new: person 1")
            page.reload()
            expect(page.locator(".question p")).to_contain_text("f1/1")


class TestGallery:
    @pytest.fixture
    def wall(self, page, labelled):
        page.keyboard.press("g")
        expect(page.locator(".wall .card")).to_have_count(3)
        return page

    def test_walking_selecting_and_merging(self, wall, project):
        expect(wall.locator(".wall .card").first).to_be_focused()
        wall.keyboard.press(" ")
        wall.keyboard.press("ArrowRight")
        wall.keyboard.press("ArrowRight")
        wall.keyboard.press(" ")
        expect(wall.locator("#gallery-count")).to_have_text("3 identities, 2 selected")
        wall.keyboard.press("m")
        expect(wall.get_by_role("dialog")).to_contain_text("f1/2 and f1/0 are both in frame 0")
        press(wall, "y")
        toast(wall, "3 is 1")
        expect(wall.locator(".wall .card")).to_have_count(2)
        assert labels(project)["f1/2"] == 1
        wall.keyboard.press("z")
        expect(wall.locator(".wall .card")).to_have_count(3)

    def test_escape_takes_the_selection_back(self, wall):
        wall.keyboard.press(" ")
        wall.keyboard.press("Escape")
        expect(wall.locator("[aria-pressed=true]")).to_have_count(0)
        wall.keyboard.press("m")
        toast(wall, "Select two or more")

    def test_dragging_one_on_another(self, wall, project):
        wall.locator(".wall .card").nth(2).drag_to(wall.locator(".wall .card").nth(1))
        expect(wall.get_by_role("dialog")).to_contain_text("f1/2 and f1/1 are both in frame 0")
        press(wall, "y")
        toast(wall, "3 is 2")
        assert labels(project)["f1/2"] == 2

    def test_renaming_and_finding_with_markup_in_the_name(self, wall, project):
        wall.keyboard.press("r")
        wall.keyboard.type("<img src=x onerror=alert(1)>")
        press(wall, "Enter")
        expect(wall.locator(".wall .card strong").first).to_have_text("<img src=x onerror=alert(1)> (1)")
        assert project.store.state.identities[1] == "<img src=x onerror=alert(1)>"
        wall.keyboard.press("/")
        wall.keyboard.type("onerror", delay=40)  # answers come between the letters
        expect(wall.locator("input[type=search]")).to_be_focused()
        expect(wall.locator(".wall .card")).to_have_count(1)
        wall.keyboard.press("Enter")
        expect(wall.locator(".wall .card")).to_be_focused()

    def test_taking_a_tracklet_out_and_splitting_one(self, wall, project):
        wall.keyboard.press("Enter")
        members = wall.locator(".member")
        expect(members).to_have_count(2)
        wall.keyboard.press("v")
        expect(wall.locator("dialog .cell").first).to_be_visible()
        wall.keyboard.press("ArrowRight")
        press(wall, "Enter")
        toast(wall, "is split")
        wall.keyboard.press("f")
        expect(wall.locator("dialog .box").first).to_be_visible()
        wall.keyboard.press("Escape")
        expect(wall.locator("dialog .frame")).to_have_count(0)
        wall.keyboard.press("ArrowDown")
        wall.keyboard.press("ArrowUp")
        press(wall, "u")
        expect(members).to_have_count(1)
        assert labels(project)["f1/0"] is Mark.OPEN
        wall.keyboard.press("Escape")
        expect(wall.locator(".wall .card")).to_have_count(3)

    def test_an_empty_wall(self, page):
        page.keyboard.press("g")
        expect(page.locator(".wall")).to_contain_text("Nobody yet")


class TestChecks:
    @pytest.fixture
    def mistakes(self, page, project):
        project.store.apply(NewIdentity(tracklets=("f1/0", "f1/1", "f1/2")), user="bob", id="b")
        page.keyboard.press("c")
        expect(page.locator(".finding")).to_have_count(3)
        return page

    def test_walking_mending_and_accepting(self, mistakes, project):
        page = mistakes
        first = page.locator(".finding").first
        expect(first).to_have_attribute("aria-current", "true")
        page.keyboard.press("ArrowDown")
        expect(page.locator(".finding").nth(1)).to_have_attribute("aria-current", "true")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("f")
        expect(page.locator("dialog .box.meant")).to_have_count(2)
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
        press(page, "a")
        toast(page, "right as it is")
        expect(page.locator(".finding")).to_have_count(2)
        press(page, "Enter")
        toast(page, "take f1/2 out of person 1")
        expect(page.locator("main h1")).to_have_text("Nothing looks wrong.")
        assert labels(project)["f1/2"] is Mark.OPEN
        page.keyboard.press("z")
        expect(page.locator(".finding")).to_have_count(2)


class TestEverywhere:
    def test_the_keys_are_listed(self, page):
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_contain_text("new person")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
        page.locator("#help").click()
        page.get_by_role("button", name="Close", exact=True).click()
        expect(page.locator("dialog")).to_have_count(0)
        page.locator("#help").click()
        page.mouse.click(5, 5)  # beside it
        expect(page.locator("dialog")).to_have_count(0)

    def test_typing_is_no_command(self, page, project):
        page.locator("#user").click()
        page.keyboard.type("njx z")
        page.keyboard.press("Enter")
        expect(page.locator("#user")).to_have_text("njx z")
        assert len(project.store.entries) == 2  # the flights

    def test_views_have_an_address(self, page, address):
        page.keyboard.press("g")
        assert page.url == f"{address}/#/gallery"
        page.reload()
        expect(page.locator("nav [aria-current]")).to_have_text("Gallery")
        page.keyboard.press("q")
        expect(page.locator(".question")).to_be_visible()

    def test_new_suggestions_by_a_button(self, page):
        expect(page.locator("#refresh")).to_be_disabled()  # this server has no command for it

    @pytest.mark.parametrize("size", SIZES)
    def test_each_view_fits_and_every_control_has_a_name(self, page, labelled, size):
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        for view in "gcebq":
            page.keyboard.press(view)
            expect(page.locator("nav [aria-current]")).to_have_text(re.compile(view, re.I))
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(UNNAMED) == 0
            assert page.evaluate(SMALL) == 0

    def test_the_first_screen_needs_no_scrolling(self, page, labelled):
        page.reload()
        expect(page.locator(".card").first).to_be_visible()
        bottom = page.locator(".question .actions").bounding_box()
        assert bottom["y"] + bottom["height"] <= 720

    def test_focus_is_visible_and_text_has_contrast(self, page):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
        pairs = page.evaluate(
            """() => ['.question h1', '.quiet', '.question button', 'header button', '#progress-text'].map(each => {
                const element = document.querySelector(each);
                let behind = element;
                const ground = () => getComputedStyle(behind).backgroundColor;
                while (ground() === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
                return [getComputedStyle(element).color, ground()];
            })"""
        )
        for text, ground in pairs:
            assert contrast(text, ground) >= 7, (text, ground)


def contrast(one, other):
    """WCAG 2.2's contrast ratio of two CSS colours."""

    def luminance(colour):
        linear = [
            value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
            for value in (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
