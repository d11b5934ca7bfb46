"""Positions and speeds of sightings against the simulator's, with the errors of a drone's telemetry.

    python benchmarks/positions.py --folder bench/positions [--flights 8] [--draws 12]

Flights over 20 persons at 15 to 50 m, detected and tracked by the bundled network. Then their subtitles are written
again with errors: one for the whole flight of the receiver's place, the altitude and the camera's angles, normal
with the standard deviations of `pipeline.telemetry.position.ERRORS`; a jitter of a tenth of it from frame to frame;
and rounded as DJI's are. `uavpipe frames` reads them, and `read_sightings` gives the positions. A tracklet counts
whose detections are mostly on one person of the ground truth. The true speed of a sighting is the person's way from
its first frame to its last by the time between; from 0.5 m/s on they walk. Hardly anybody keeps still for the whole
of a sighting, so that the speed of who does is that of the errors: of the path without the person's movement. The
speeds of those who walk are compared in the flights' own planes, too, without any telemetry.
"""

import argparse
from collections import Counter
from dataclasses import replace
from itertools import pairwise
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
from pipeline.sightings.records import Step
from pipeline.sightings.select import metres_between
from pipeline.simulate import simulate_flight
from pipeline.stages.tracks import read_tracked
from pipeline.telemetry.position import ERRORS, METRES_A_DEGREE

FOV_DEG, FPS = 65.0, 5
CUE = "[latitude: {:.6f}] [longitude: {:.6f}] [rel_alt: {:.1f} abs_alt: {:.1f}] [gb_yaw: {:.1f} gb_pitch: {:.1f}]"


def fly(folder: Path, flights: int) -> FlightConfig:
    """Simulate and track what is not there yet."""
    videos = []
    for number in range(1, flights + 1):
        video = folder / f"flight{number:02d}.mp4"
        if not video.exists():
            altitude = float(np.interp(number, [1, flights], [15, 50]))
            simulate_flight(
                video, people=20, seconds=5, seed=7300 + number, fps=FPS, altitude=altitude, fov_deg=FOV_DEG
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


def compared(
    sightings: list[Sighting], config: FlightConfig, shown: dict[str, tuple[int, list[int]]]
) -> pd.DataFrame:
    """Of each sighting that shows a person, metres and m/s; NaN where they are not known.

    Returns:
        off, radius, of the position; speed and true_speed; still: the speed of the errors of the path.

    """
    tables = {
        video.stem: pd.read_csv(video.with_suffix(".positions.csv")).set_index(["identity", "frame"])
        for video in config.flights
    }
    rows = []
    for each in sightings:
        if each.tracklet in shown:
            who, frames = shown[each.tracklet]
            own = tables[each.flight].loc[who]
            there = own.loc[[frame + 1 for frame in frames]].median()
            way = own.loc[each.first_frame + 1 : each.last_frame + 1].to_numpy()
            walked = sum(metres_between(one, other) for one, other in pairwise(way))
            rows.append(
                {
                    "off": metres_between(each.position, tuple(there)) if each.position else np.nan,
                    "radius": each.radius_m,
                    "speed": each.speed_m_s,
                    "true_speed": walked / (each.end_s - each.begin_s) if each.end_s > each.begin_s else np.nan,
                    "still": replace(each, path=errors_of(each, way)).speed_m_s,
                }
            )
    return pd.DataFrame(rows, dtype=np.float64)


def errors_of(sighting: Sighting, way: np.ndarray) -> tuple[Step, ...]:
    """The path of `sighting` without the person's movement; `way`: their place in each of its frames, (n, 2)."""
    times = sighting.begin_s + np.arange(len(way)) / FPS
    north, east = ([np.interp(step.time_s, times, side) - side[0] for step in sighting.path] for side in way.T)
    return tuple(
        Step(step.time_s, step.latitude - up, step.longitude - right)
        for step, up, right in zip(sighting.path, north, east, strict=True)
    )


def say_speeds(rows: pd.DataFrame) -> None:
    """Print the errors of speed of persons who walk."""
    walking = rows.dropna(subset="speed").query("true_speed >= 0.5")
    off = walking["speed"] - walking["true_speed"]
    print(
        f"  walking: {len(walking)} sightings, median {walking['true_speed'].median():.2f} m/s, stated "
        f"{walking['speed'].median():.2f} m/s; error: median {off.abs().median():.2f} m/s, "
        f"90 % within {off.abs().quantile(0.9):.2f} m/s; too much by {off.median():.2f} m/s (median)"
    )


def sightings_of(config: FlightConfig) -> list[Sighting]:
    """All sightings, by the telemetry that `config` has now."""
    for video in config.flights:
        run_stages(config, video, FRAMES, progress_bar)
    return read_sightings(config.workspace)


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
    print("speed, without telemetry:")
    say_speeds(compared(sightings_of(config.model_copy(update={"telemetry": "off"})), config, shown))
    found = []
    for draw in range(arguments.draws):
        for number, video in enumerate(config.flights):
            disturb(video, np.random.default_rng((draw, number)))
        found.append(compared(sightings_of(config), config, shown))
    everything = pd.concat(found)
    print("speed, with telemetry:")
    say_speeds(everything)
    still = everything["still"].dropna()
    print(f"  not moving: stated {still.median():.2f} m/s (median), 90 % below {still.quantile(0.9):.2f} m/s")
    placed = [each.dropna(subset="off") for each in found]
    everything = pd.concat(placed)
    off, radius = everything["off"], everything["radius"]
    print(f"{arguments.draws} draws of {len(config.flights)} flights, {len(placed[0])} sightings a draw")
    print(f"error: median {off.median():.2f} m, 90 % within {off.quantile(0.9):.2f} m")
    shares = [(each["off"] <= each["radius"]).mean() for each in placed]
    print(
        f"within the stated circle: {(off <= radius).mean():.3f} (draws: {min(shares):.3f} to {max(shares):.3f}); "
        f"median radius {radius.median():.2f} m"
    )


if __name__ == "__main__":
    main()
