"""The labelling app at 50,000 crops in 1,000 tracklets, or in as many as you say: first screen, decision, memory.

python benchmarks/label_server.py [--tracklets 1000] [--crops 50000] [--decisions 300] [--browser /usr/bin/chromium]

A workspace is made of pictures of noise; 100 persons in 4 flights. `uavpipe label` runs as a process of its own.
Address: from starting the command until it prints it; ready: until it says that the workspace is open. First
screen: from opening the address in headless Chromium to the last picture of the first tracklet, cache empty. A
decision: from sending it to having its answer, with the next tracklet and its candidates. Memory: resident, at the
end.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import psutil
from playwright.sync_api import sync_playwright

_FLIGHTS, _PERSONS, _LOOK = 4, 100, 56
_PICTURES = 200  # different ones; the others are links to them


def make_workspace(root: Path, tracklets: int, crops: int) -> None:
    """Flights as the stages before labelling leave them, with `tracklets` of `crops` detections each."""
    draw = np.random.default_rng(0)
    pictures = [
        cv2.imencode(".jpg", draw.integers(0, 256, (96, 48, 3), np.uint8))[1].tobytes() for _ in range(_PICTURES)
    ]
    looks = draw.random((_PERSONS, _LOOK)).astype(np.float32)
    for flight in range(_FLIGHTS):
        folder = root / f"flight{flight}"
        (folder / "crops" / "images" / "0").mkdir(parents=True)
        rows: list[dict[str, Any]] = []
        for tracklet in range(tracklets // _FLIGHTS):
            look = looks[draw.integers(_PERSONS)]
            for at in range(crops):
                frame = 4 * crops // 5 * (tracklet // 10) + at
                x = 60.0 * (tracklet % 10)
                name = f"images/0/{tracklet}_{at}.jpg"
                (folder / "crops" / name).write_bytes(pictures[draw.integers(_PICTURES)])
                box = {"x1": x, "y1": 50.0, "x2": x + 30, "y2": 110.0}
                place = {"tracklet": tracklet, "frame": frame, "rank": tracklet, "pts_s": frame / 30, "score": 0.9}
                noisy = (look + draw.normal(0, 0.2, _LOOK)).astype(np.float16)
                rows.append({**place, **box, "crop": name, "sharpness": float(draw.random()), "look": noisy})
        table = pd.DataFrame(rows)
        for name, columns in {
            "tracks/tracklets": ["tracklet", "frame", "rank"],
            "detections/detections": ["frame", "rank", "pts_s", "x1", "y1", "x2", "y2", "score"],
            "crops/crops": ["frame", "rank", "crop", "sharpness"],
            "appearance/appearance": ["frame", "rank", "look"],
        }.items():
            path = folder / f"{name}.parquet"
            path.parent.mkdir(exist_ok=True)
            table[columns].to_parquet(path, index=False)


def wait_until_ready(address: str) -> None:
    """Until the workspace is open: requests for anything but the page wait for it."""
    with urllib.request.urlopen(f"{address}api/session") as answer:
        json.load(answer)


def first_screen(address: str, browser_path: str | None) -> float:
    """Seconds from opening the page to its last picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path)
        context = browser.new_context(viewport={"width": 1280, "height": 720})
        context.add_init_script("localStorage.setItem('uavpipe.user', 'ann')")
        page = context.new_page()
        begin = time.perf_counter()
        page.goto(address)
        page.wait_for_selector(".question img")
        while not page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth)"):
            time.sleep(0.002)
        took = time.perf_counter() - begin
        browser.close()
    return took


def decide(address: str, decisions: int) -> list[float]:
    """Milliseconds of each decision, as a labeller mixes them."""
    draw, took = random.Random(0), []
    item = _post(address, "next")["item"]
    for number in range(decisions):
        these = [item["tracklet"]]
        if not item["candidates"] or draw.random() < 0.2:
            operation: dict[str, Any] = {"op": "new_identity", "tracklets": these}
        else:
            operation = {
                "op": "assign",
                "tracklets": these,
                "identity": draw.choice(item["candidates"])["identity"],
            }
        if item["second_look"]:
            operation = {"op": "second_look", "tracklet": these[0], "answer": "new"}
        begin = time.perf_counter()
        item = _post(address, "decide", id=f"n{number}", operation=operation, seen=item["seen"], next=True)["item"]
        took.append(1e3 * (time.perf_counter() - begin))
    return took


def _cpu(process: int) -> float:
    """Seconds of CPU that a process took, which other work on the machine changes little."""
    times = psutil.Process(process).cpu_times()
    return times.user + times.system


def _post(address: str, path: str, **content: Any) -> Any:
    body = json.dumps({"user": "bob", **content}).encode()
    request = urllib.request.Request(f"{address}api/{path}", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracklets", type=int, default=1000)
    parser.add_argument("--crops", type=int, default=50_000, help="of all tracklets together")
    parser.add_argument("--decisions", type=int, default=300)
    parser.add_argument("--browser", help="Path of a Chromium.  [default: playwright's own]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_workspace(Path(folder), arguments.tracklets, arguments.crops // arguments.tracklets)
        command = [
            sys.executable,
            "-m",
            "pipeline",
            "label",
            "--workspace",
            folder,
            "--port",
            "0",
            "--no-token",
            "--no-browser",
            "--no-suggest",
        ]
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().split()[2]
            try:
                print(f"address          {time.perf_counter() - begin:.1f} s, {_cpu(server.pid):.1f} s of CPU")
                wait_until_ready(address)
                print(f"ready            {time.perf_counter() - begin:.1f} s, {_cpu(server.pid):.1f} s of CPU")
                screens = [first_screen(address, arguments.browser) for _ in range(5)]
                each = ", ".join(f"{seconds:.2f}" for seconds in screens)
                print(f"first screen     {statistics.median(screens):.2f} s  ({each})")
                before = _cpu(server.pid)
                took = sorted(decide(address, arguments.decisions))
                late, each_cpu = took[int(0.95 * len(took))], (_cpu(server.pid) - before) / len(took)
                print(f"a decision       {statistics.median(took):.0f} ms, 95 % within {late:.0f} ms; ", end="")
                print(f"{1e3 * each_cpu:.0f} ms of CPU on the average")
                checks = time.perf_counter()
                with urllib.request.urlopen(f"{address}api/findings") as answer:
                    total = json.load(answer)["total"]
                print(f"checks view      {time.perf_counter() - checks:.2f} s for {total:,} findings")
                print(f"memory           {psutil.Process(server.pid).memory_info().rss / 2**20:.0f} MiB")
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
