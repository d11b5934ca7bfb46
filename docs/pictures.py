"""The README's pictures, out of the report of the demo: a moving one of its first clip, and one of each step.

python -m docs.pictures demo/runs/report/index.html [--browser /usr/bin/chromium] [--moving]
"""

import argparse
import io
from pathlib import Path

import av
from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
_SIZE = {"width": 1000, "height": 760}
_WIDTH = 800  # px, of the pictures
_MOVING_WIDTH, _RATE = 720, 10  # px; frames a second
# What is shown of the report: name -> the place on the page, and the share of its height from the top.
_STEPS = {
    "detect": ("video >> nth=0", 1.0),
    "tracks": (".timeline >> nth=0", 1.0),
    "people": (".wall", 0.247),
    "dataset": ("#dataset ~ .plots >> nth=0", 1.0),
    "sightings": ("section.sheet >> nth=0", 1.0),
    "ranked": ("section.ranked:has(.right):has(.wrong) >> nth=0", 1.0),
    "report": ("body", None),
}


def take(page: Page) -> None:
    """Take all pictures."""
    page.evaluate("document.querySelectorAll('video').forEach(each => each.controls = false)")
    page.evaluate("document.querySelectorAll('img').forEach(each => each.loading = 'eager')")
    page.wait_for_timeout(1500)
    for name, (place, share) in _STEPS.items():
        if share is None:
            page.evaluate("scrollTo(0, 0)")  # the pictures before scrolled to their places
        shot = page.screenshot() if share is None else page.locator(place).screenshot()
        picture = Image.open(io.BytesIO(shot)).convert("RGB")
        picture = picture.crop((0, 0, picture.width, round(picture.height * (share or 1))))
        picture = picture.resize((_WIDTH, round(picture.height * _WIDTH / picture.width)), Image.Resampling.LANCZOS)
        if name == "detect":
            picture.save(IMAGES / f"{name}.jpg", quality=85)
        else:
            picture.save(IMAGES / f"{name}.png", optimize=True)  # in full colour: a palette makes clothes grey


def move(clip: Path) -> None:
    """Write the clip as a moving picture that pages show without a player."""
    with av.open(str(clip)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
        rate = float(container.streams.video[0].average_rate)
    every = max(1, round(rate / _RATE))
    height = round(frames[0].height * _MOVING_WIDTH / frames[0].width)
    small = [each.resize((_MOVING_WIDTH, height), Image.Resampling.LANCZOS) for each in frames[::every]]
    options = {"duration": round(1000 * every / rate), "loop": 0, "quality": 55, "method": 4}
    small[0].save(IMAGES / "flight.webp", save_all=True, append_images=small[1:], **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--browser", help="Path of a Chromium.  [default: playwright's own]")
    parser.add_argument("--moving", action="store_true", help="Make the moving picture alone.")
    arguments = parser.parse_args()
    move(min(arguments.report.parent.glob("*.mp4")))
    if arguments.moving:
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.browser)
        page = browser.new_page(viewport=_SIZE, device_scale_factor=1.5)
        page.goto(arguments.report.resolve().as_uri())
        take(page)
        browser.close()


if __name__ == "__main__":
    main()
