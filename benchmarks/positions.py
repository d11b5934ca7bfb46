"""Positions of sightings against the simulator's, with the errors of a drone's telemetry.

    python benchmarks/positions.py --folder bench/positions [--flights 8] [--draws 12]

Flights over 20 persons at 15 to 50 m, detected and tracked by the bundled network. Then their subtitles are written
again with errors: one for the whole flight of the receiver's place, the altitude and the camera's angles, normal
with the standard deviations of `pipeline.telemetry.position.ERRORS`; a jitter of a tenth of it from frame to frame;
and rounded as DJI's are. `uavpipe frames` reads them, and `read_sightings` gives the positions. A tracklet counts
whose detections are mostly on one person of the ground truth.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.boxes import iou
from pipeline.chain.table import FRAMES, TRACKS
from pipeline.config.models import CameraConfig, FlightConfig
from pipeline.engine.progress import progress_bar
from pipeline.groundtruth.read import read_truth
from pipeline.run.flight import run_stages
from pipeline.sightings import Sighting, read_sightings
from pipeline.sightings.select import metres_between
from pipeline.simulate import simulate_flight
from pipeline.stages.tracks import read_tracked
from pipeline.telemetry.position import ERRORS, METRES_A_DEGREE

FOV_DEG = 65.0
CUE = "[latitude: {:.6f}] [longitude: {:.6f}] [rel_alt: {:.1f} abs_alt: {:.1f}] [gb_yaw: {:.1f} gb_pitch: {:.1f}]"


def fly(folder: Path, flights: int) -> FlightConfig:
    """Simulate and track what is not there yet."""
    videos = []
    for number in range(1, flights + 1):
        video = folder / f"flight{number:02d}.mp4"
        if not video.exists():
            altitude = float(np.interp(number, [1, flights], [15, 50]))
            simulate_flight(
                video, people=20, seconds=5, seed=7300 + number, fps=5, altitude=altitude, fov_deg=FOV_DEG
            )
        videos.append(video)
    config = FlightConfig(
        videos=tuple(videos),
        workspace=folder / "runs",
        detector={"weights": "embedded", "threshold": 0.5},
        camera=CameraConfig(fov_deg=FOV_DEG),
    )
    for video in videos:
        run_stages(config, video, TRACKS, progress_bar)
    return config


def persons_of(video: Path, folder: Path) -> dict[str, tuple[int, list[int]]]:
    """For each tracklet that shows a person of the ground truth: who, and the frames of its detections."""
    truth, found = read_truth(video.with_suffix(".gt.txt")), {}
    seen: dict[int, list[tuple[int, int | None]]] = {}
    for frame, tracked in read_tracked(folder).items():
        there = truth.get(frame)
        for box, number in zip(tracked.boxes, tracked.tracklets, strict=True):
            who = None
            if there is not None and len(there.boxes):
                overlap = iou(box[None], there.boxes)[0]
                who = int(there.identities[overlap.argmax()]) if overlap.max() >= 0.5 else None
            seen.setdefault(int(number), []).append((frame, who))
    for number, rows in seen.items():
        who, count = Counter(each for _, each in rows).most_common(1)[0]
        if who is not None and 2 * count > len(rows):
            found[f"{folder.name}/{number}"] = who, [frame for frame, _ in rows]
    return found


def disturb(video: Path, rng: np.random.Generator) -> None:
    """Write the subtitles of `video` with errors."""
    camera = pd.read_csv(video.with_suffix(".camera.csv"))
    positions = video.with_suffix(".true.SRT")
    if not positions.exists():
        positions.write_text(video.with_suffix(".SRT").read_text())
    cues = positions.read_text().strip().split("\n\n")

    def error(name: str) -> np.ndarray:
        return ERRORS[name] * (rng.normal() + 0.1 * rng.normal(size=len(camera)))

    north, east = error("place_m"), error("place_m")
    altitude = camera["altitude_m"] + error("altitude_m")
    pitch = -np.degrees(camera["pitch_rad"]) + error("pitch_deg")
    heading = 90 - np.degrees(camera["yaw_rad"]) + error("heading_deg")
    heading = (heading + 180) % 360 - 180
    lines = []
    for row, cue in enumerate(cues):
        head, times, count, said = cue.split("\n")
        latitude, longitude = (
            float(said.split(f"{name}: ")[1].split("]")[0]) for name in ("latitude", "longitude")
        )
        latitude += north[row] / METRES_A_DEGREE
        longitude += east[row] / METRES_A_DEGREE / np.cos(np.radians(latitude))
        text = CUE.format(latitude, longitude, altitude[row], altitude[row] + 500, heading[row], pitch[row])
        lines.append("\n".join((head, times, count, text)))
    video.with_suffix(".SRT").write_text("\n\n".join(lines) + "\n")


def errors_of(
    sightings: list[Sighting], config: FlightConfig, shown: dict[str, tuple[int, list[int]]]
) -> np.ndarray:
    """Error and radius, metres, of each sighting that shows a person and has a position: float64 (n, 2)."""
    tables = {
        video.stem: pd.read_csv(video.with_suffix(".positions.csv")).set_index(["identity", "frame"])
        for video in config.flights
    }
    rows = []
    for each in sightings:
        if each.position is not None and each.tracklet in shown:
            who, frames = shown[each.tracklet]
            own = tables[each.flight].loc[who]
            there = own.loc[[frame + 1 for frame in frames]].median()
            rows.append((metres_between(each.position, (there["latitude"], there["longitude"])), each.radius_m))
    return np.array(rows, np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("bench/positions"))
    parser.add_argument("--flights", type=int, default=8)
    parser.add_argument("--draws", type=int, default=12)
    arguments = parser.parse_args()
    config = fly(arguments.folder, arguments.flights)
    shown = {
        name: each
        for video in config.flights
        for name, each in persons_of(video, config.workspace / video.stem).items()
    }
    found = []
    for draw in range(arguments.draws):
        for number, video in enumerate(config.flights):
            disturb(video, np.random.default_rng((draw, number)))
            run_stages(config, video, FRAMES, progress_bar)
        found.append(errors_of(read_sightings(config.workspace), config, shown))
    everything = np.concatenate(found)
    off, radius = everything.T
    print(f"{arguments.draws} draws of {len(config.flights)} flights, {len(found[0])} sightings a draw")
    print(f"error: median {np.median(off):.2f} m, 90 % within {np.quantile(off, 0.9):.2f} m")
    shares = [(each[:, 0] <= each[:, 1]).mean() for each in found]
    print(
        f"within the stated circle: {(off <= radius).mean():.3f} (draws: {min(shares):.3f} to {max(shares):.3f}); "
        f"median radius {np.median(radius):.2f} m"
    )


if __name__ == "__main__":
    main()
