"""The configuration of a flight: one section for each stage, every key with a default and a description."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

from detector.config import NAMED_WEIGHTS, DetectorConfig
from pipeline.config.cameras import camera
from pipeline.config.yaml import apply_settings, read_yaml_mapping, validate
from pipeline.workspace.folders import flight_name
from reid.training.recipes import is_packaged


class Section(BaseModel):
    """What all sections share: unknown keys are errors, and nothing changes after loading.

    Attributes:
        former_names: of fields that were renamed; configurations that have them are still read.

    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    former_names: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        current = {former: name for name, former in cls.former_names.items()}
        return {current.get(key, key): value for key, value in content.items()}  # of both names the later counts


def _off_as_word(value: Any) -> Any:
    return "off" if value is False else value  # YAML reads `off` as false


class FramesConfig(Section):
    """How the video is read, and whether its frames are written as JPEGs."""

    segment_frames: int = Field(
        256, ge=1, description="minimum number of frames in a segment; an interrupted run loses at most one segment"
    )
    image_fps: float = Field(30.0, gt=0, description="frames per second assumed for a folder of images")
    max_bad_frames: int | None = Field(
        None, ge=0, description="stop when more frames than this are lost, corrupt or suspect; null: report only"
    )
    images: bool = Field(False, description="write frames as JPEGs too")
    stride: int = Field(1, ge=1, description="with images: write every n-th frame")
    quality: int = Field(95, ge=1, le=100, description="with images: JPEG quality")


class CameraConfig(Section):
    """The camera, where telemetry does not describe it; with the altitude it converts pixels to metres."""

    model: str | None = Field(
        None,
        description="a drone's camera, such as mavic3, or its code, such as FC3170: gives fov_deg if that is null",
    )
    fov_deg: float | None = Field(None, gt=0, lt=180, description="horizontal angle of view of the video, degrees")
    pitch_deg: float | None = Field(
        None,
        ge=-90,
        le=0,
        description="used if the telemetry has no gimbal angle: 0 is level, -90 straight down",
    )

    @model_validator(mode="before")
    @classmethod
    def _fov_of_the_model(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("model"), str):
            return content
        stated = camera(content["model"]).fov_deg
        return content if content.get("fov_deg") is not None else content | {"fov_deg": round(stated, 2)}


class CropsConfig(Section):
    """Which detections become crops, and how they are cut."""

    former_names = {"stride": "every", "suspect": "corrupt"}

    padding: float = Field(0.05, ge=0, le=1, description="margin on each side, as a share of the box side")
    min_height: float = Field(16.0, ge=0, description="minimum box height for a crop, px")
    stride: int = Field(1, ge=1, description="take crops from every n-th frame")
    quality: int = Field(95, ge=1, le=100, description="JPEG quality")
    suspect: bool = Field(
        False,
        description="take crops from suspect frames too: corrupt ones, or predicted from lost or corrupt ones",
    )
    person_m: tuple[float, float] | None = Field(
        None,
        description="minimum and maximum height of a person in metres, e.g. [1.0, 2.4]; other boxes give no crop; "
        "needs telemetry and camera.fov_deg; null: off",
    )
    store: Literal["files", "tar"] = Field(
        "files",
        description="files: each crop is a file; tar: those of a segment are one tar file, for file systems that "
        "are slow with many small files",
    )
    verify: bool = Field(
        False,
        description="read all crops and repair those that were changed; false: compare only their lengths",
    )


class TracksConfig(Section):
    """How detections are linked into tracklets."""

    former_names = {"min_score": "low", "high_score": "high", "new_track_score": "begin", "max_gap_s": "lost_s"}

    method: Literal["botsort", "bytetrack"] = Field(
        "botsort", description="botsort follows the camera's motion, bytetrack does not"
    )
    min_score: float = Field(0.1, ge=0.1, le=1, description="lowest score that extends a tracklet")
    high_score: float = Field(0.5, ge=0, le=1, description="lowest score that resumes a tracklet after a gap")
    new_track_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="lowest score that starts a tracklet; null: detector.threshold, the lowest of a crop",
    )
    max_gap_s: float = Field(1.0, ge=0, description="seconds without a detection after which a tracklet ends")
    min_length: int = Field(3, ge=1, description="tracklets of fewer detections are dropped")
    split_below: float | None = Field(
        0.8,
        ge=0,
        le=1,
        description="cut a tracklet where the descriptors before and after are less similar than this; null: never",
    )
    window: int = Field(8, ge=1, description="number of detections compared before and after, for split_below")
    join_gap_s: float = Field(
        2.0,
        ge=0,
        description="join two tracklets of one person that are at most this many seconds apart; 0: never",
    )
    join_above: float = Field(
        0.85, ge=0, le=1, description="minimum similarity of the descriptors on both sides of the gap, to join"
    )

    def starting_from(self, threshold: float) -> Self:
        """These settings, in which null as `new_track_score` is `threshold`, the lowest score of a crop."""
        known = self.new_track_score is not None
        return self if known else self.model_copy(update={"new_track_score": threshold})


class OverlayConfig(Section):
    """The video with the boxes drawn on it."""

    threshold: float | None = Field(
        None, ge=0, le=1, description="lowest score drawn; null: the detector's threshold"
    )
    max_width: int = Field(1280, ge=16, description="scale the picture down to this width, px")
    crf: int = Field(23, ge=0, le=51, description="H.264 quality; a lower value gives a better and larger file")


class ThinConfig(Section):
    """Which of a tracklet's crops a data set keeps."""

    frames: int = Field(1, ge=1, description="minimum distance of two crops of a tracklet, frames")
    difference: float = Field(
        0.0,
        ge=0,
        le=255,
        description="minimum mean difference of two crops of a tracklet, as grey thumbnails; 0: not compared",
    )


class DatasetConfig(Section):
    """How labelled crops become a data set for re-identification."""

    seed: int = Field(0, ge=0, description="seed of the split and of the choice of queries")
    train_share: float = Field(0.5, ge=0, le=1, description="share of the testable identities in the train split")
    protocol: Literal["auto", "flight", "tracklet", "strict"] = Field(
        "auto",
        description="protocol of the queries; auto: flight, or tracklet if no identity is in two flights",
    )
    queries: int = Field(1, ge=1, description="maximum number of queries of a test identity in each of its flights")
    gap_s: float = Field(
        1.0,
        ge=0,
        description="protocol tracklet: minimum gap between a query and the person's other tracklets, seconds",
    )
    min_crops: int = Field(4, ge=1, description="identities with fewer crops are left out")
    seen_once: Literal["train", "leave_out"] = Field(
        "train",
        description="use of identities seen in one flight only (protocol tracklet: in one tracklet only)",
    )
    suspect: bool = Field(False, description="take crops of suspect frames too, where there are any")
    thin: ThinConfig = ThinConfig()
    verify: bool = Field(
        False, description="read a finished data set and remake it if a file changed; false: compare only lengths"
    )
    copy_files: bool = Field(False, description="copy the crops; false: use hard links if the disk supports them")


class ReidConfig(Section):
    """Training on the data set."""

    recipe: Path | None = Field(
        None,
        description="recipe of a training: a name, as `finetune`, of `uavpipe reid recipe`, or a YAML file; null: "
        "evaluate the bundled network",
    )


class ReportConfig(Section):
    """What the report shows."""

    truth: Literal["auto", "off"] | Path = Field(
        "auto",
        description="ground truth, as `uavpipe score` reads it; auto: `flight01.gt.txt` beside the "
        "video; off; a file; or a folder of files",
    )
    clip_s: float = Field(
        10.0, ge=0, description="length of a flight's clip, from the part with most persons, seconds; 0: none"
    )
    clip_width: int = Field(960, ge=16, description="scale the clip down to this width, px")
    identities: int = Field(200, ge=0, description="maximum number of identities shown, those with most crops")
    queries: int = Field(8, ge=0, description="number of ranked lists per evaluation, from the worst to the best")

    @field_validator("truth", mode="before")
    @classmethod
    def _off_is_no_boolean(cls, value: Any) -> Any:
        return _off_as_word(value)


class EngineConfig(Section):
    """What fills the segments of the flights in `uavpipe run`."""

    name: Literal["local", "ray"] = Field(
        "local", description="local: this process; ray: a Ray cluster; needs pip install 'uavpipe[ray]'"
    )
    address: str | None = Field(
        None, description="of the cluster, or auto: the one of this machine; null: RAY_ADDRESS, else begin one here"
    )
    gpus: float | None = Field(
        None, ge=0, description="share of a GPU for each task; null: 0.25 where the cluster has GPUs"
    )
    cpus: int | None = Field(
        None, ge=1, description="cores for each task; null: those of a machine, or of its share of a GPU"
    )
    segments: int = Field(4, ge=1, description="segments in a task, about; one decoder run is not divided")
    mixed: bool = Field(False, description="accept machines of which the last digits of detections differ")


class NamedVideo(Section):
    """A video, and the name of its flight; a path alone is one."""

    path: Path = Field(description="a video file or a folder of images")
    parts: tuple[Path, ...] = Field(
        (), description="instead of `path`: the files that the recorder cut one flight into, in their order"
    )
    name: str | None = Field(None, description="name of the flight's folder in the workspace; null: the video's")
    start: Literal["auto"] | datetime | None = Field(
        None,
        description="date and time of the first frame, as 2024-09-17T14:30:00+02:00; without a zone local time; "
        "auto: from the video; null: as an earlier run was given, else auto",
    )
    offset_s: float | None = Field(
        None,
        allow_inf_nan=False,
        description="added to the flight's clock, to put the clocks of two recorders right, seconds; null: as an "
        "earlier run was given, else 0",
    )

    @field_validator("start", mode="before")
    @classmethod
    def _is_a_date(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "auto":
            with suppress(ValueError):
                value = datetime.fromisoformat(value)
        if value is None or value == "auto" or (isinstance(value, datetime) and value.year >= 2000):
            return value
        raise ValueError("expected a date and time, as 2024-09-17T14:30:00+02:00, or auto")

    @model_validator(mode="before")
    @classmethod
    def _read_path_alone(cls, content: Any) -> Any:
        if isinstance(content, str | Path):
            return {"path": content}
        if not isinstance(content, dict):
            raise ValueError("expected a path, or {path: …, name: …}, or {parts: […], name: …}")
        if "parts" not in content:
            return content
        parts = content["parts"]
        if "path" in content:
            raise ValueError("give either 'path' or 'parts', not both")
        if not isinstance(parts, list | tuple) or not parts:
            raise ValueError("expected parts: [first file, second file, …]")
        return {**content, "path": parts[0]}

    @model_serializer
    def _write_path_alone(self) -> Any:
        footage: dict[str, Any] = {"parts": self.parts} if self.parts else {"path": self.path}
        given = {"name": self.name, "start": self.start, "offset_s": self.offset_s}
        footage |= {name: value for name, value in given.items() if value is not None}
        return self.path if footage.keys() == {"path"} else footage


class Place(Section):
    """A place with a name, which sightings within its circle have."""

    name: str = Field(
        max_length=100, pattern=r"^[^,\n]+$", description="as fountain, or north gate; without a comma"
    )
    latitude: float = Field(ge=-90, le=90, description="degrees north, WGS 84")
    longitude: float = Field(ge=-180, le=180, description="degrees east, WGS 84")
    radius_m: float = Field(20.0, gt=0, allow_inf_nan=False, description="of the circle, metres")


class FlightConfig(Section):
    """A whole configuration; `video: flight01.mp4` alone is one."""

    video: Path | None = Field(None, description="a video file or a folder of images")
    videos: tuple[NamedVideo, ...] = Field(
        (),
        description="several videos or folders; `{path: card2/DJI_0001.MP4, name: DJI_0001b}` names a flight, "
        "`{parts: [DJI_0001.MP4, DJI_0002.MP4]}` is one that the recorder cut; `start`, `offset_s` set its clock",
    )
    workspace: Path = Field(Path("runs"), description="folder for all results")
    telemetry: Literal["auto", "off"] | Path = Field(
        "auto",
        description="SRT or CSV with altitude and position; auto: beside the video under its name, or inside the "
        "video; off; a file; or a folder of files",
    )
    terrain: Literal["off"] | Path | None = Field(
        None,
        description="terrain model for the positions of persons, a GeoTIFF of elevations in metres; needs pip "
        "install 'uavpipe[terrain]'; off: flat ground; null: as an earlier run was given, else off",
    )
    places: tuple[Place, ...] | None = Field(
        None,
        description="places with names, as `{name: fountain, latitude: 47.05, longitude: 8.3, radius_m: 20}`, for "
        "the sightings there; null: as an earlier run was given; []: none",
    )
    camera: CameraConfig = CameraConfig()
    frames: FramesConfig = FramesConfig()
    detector: DetectorConfig = DetectorConfig()
    crops: CropsConfig = CropsConfig()
    tracks: TracksConfig = TracksConfig()
    overlay: OverlayConfig = OverlayConfig()
    dataset: DatasetConfig = DatasetConfig()
    reid: ReidConfig = ReidConfig()
    report: ReportConfig = ReportConfig()
    engine: EngineConfig = EngineConfig()

    @field_validator("telemetry", "terrain", mode="before")
    @classmethod
    def _off_is_no_boolean(cls, value: Any) -> Any:
        return _off_as_word(value)

    @field_validator("videos", mode="before")
    @classmethod
    def _videos_are_a_list(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError("expected a list of videos")
        return value

    @field_validator("places")
    @classmethod
    def _places_differ(cls, places: tuple[Place, ...] | None) -> tuple[Place, ...] | None:
        names = [each.name for each in places or ()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two places are called '{twice}'")
        return places

    @model_validator(mode="after")
    def _person_height_can_be_told(self) -> "FlightConfig":
        if self.crops.person_m is not None:
            least, greatest = self.crops.person_m
            if not 0 <= least < greatest:
                raise ValueError(
                    f"crops.person_m: expected [minimum, maximum] metres, not [{least:g}, {greatest:g}]"
                )
            if self.camera.fov_deg is None or self.telemetry == "off":
                raise ValueError("crops.person_m needs telemetry and camera.fov_deg")
        return self

    @model_validator(mode="after")
    def _one_way_to_name_videos(self) -> "FlightConfig":
        if self.video is not None and self.videos:
            raise ValueError("give either 'video' or 'videos', not both")
        return self

    @property
    def flights(self) -> tuple[Path, ...]:
        """The videos of `video` or `videos`."""
        if self.video is not None:
            return (self.video,)
        return tuple(video.path for video in self.videos)

    def name_of(self, video: Path) -> str:
        """The name of the flight of `video`: as configured, else its file's without the ending."""
        given = (each.name for each in self.videos if each.path == video and each.name is not None)
        return next(given, flight_name(video))

    def clock_of(self, video: Path) -> tuple[Literal["auto"] | datetime | None, float | None]:
        """`start` and `offset_s` of the flight of `video`."""
        return next(((each.start, each.offset_s) for each in self.videos if each.path == video), (None, None))

    def parts_of(self, video: Path) -> tuple[Path, ...]:
        """All files of the flight of `video`, in order; most often `video` alone."""
        return next((each.parts for each in self.videos if each.path == video and each.parts), (video,))


def load_config(
    path: Path | None = None,
    settings: Sequence[str] = (),
    *,
    videos: Sequence[Path | Mapping[str, Any]] = (),
    workspace: Path | None = None,
) -> FlightConfig:
    """Read `path`, lay `settings` (`section.key=value`) and the two arguments over it, and check the whole.

    Paths inside the file are relative to the file's own folder, so that a flight and its configuration
    travel together; paths on the command line are relative to where it was typed.

    Raises:
        PipelineError: one line naming the file or setting, the field and what was expected.

    """
    content = read_yaml_mapping(path) if path else {}
    if path:
        content = _relative_to(content, path.parent)
    content = apply_settings(content, settings)
    if videos:
        content.pop("video", None)
        content["videos"] = list(videos)
    if workspace is not None:
        content["workspace"] = workspace
    source = str(path) if path else "configuration"
    return validate(content, FlightConfig, f"{source} with --set" if settings else source)


def _relative_to(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    result = deepcopy(content)
    detector = _section(result, "detector")
    places = [(result, "video"), (result, "workspace"), (_section(detector, "detectron2"), "config_file")]
    reid = _section(result, "reid")
    if not _is_packaged(reid.get("recipe"), folder):
        places.append((reid, "recipe"))
    if detector.get("weights") not in NAMED_WEIGHTS:
        places.append((detector, "weights"))
    report = _section(result, "report")
    places += [
        (each, key)
        for each, key in ((result, "telemetry"), (result, "terrain"), (report, "truth"))
        if each.get(key) not in ("auto", "off")
    ]
    for section, key in places:
        if isinstance(section.get(key), str):
            section[key] = str(folder / section[key])
    if isinstance(result.get("videos"), list):
        result["videos"] = [_under(folder, video) for video in result["videos"]]
    return result


def _is_packaged(recipe: Any, folder: Path) -> bool:
    """Whether `recipe` is the name of one that comes with uavpipe, and not that of a file in `folder`."""
    return isinstance(recipe, str) and not (folder / recipe).exists() and is_packaged(recipe)


def _under(folder: Path, video: Any) -> Any:
    if isinstance(video, dict):
        return {key: _under(folder, value) if key in ("path", "parts") else value for key, value in video.items()}
    if isinstance(video, list):
        return [_under(folder, part) for part in video]
    return folder / video if isinstance(video, str) else video


def _section(content: dict[str, Any], name: str) -> dict[str, Any]:
    section = content.get(name)
    return section if isinstance(section, dict) else {}
