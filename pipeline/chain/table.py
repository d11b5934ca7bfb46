"""The chain, written down once: every stage, what it needs, where it writes and how it is run.

The rows are in the order of work. Nothing is run here: `pipeline.run` goes along the chain; the command line, the
report, lineage, erasure and the tests of the Makefile read it.
"""

import re
from dataclasses import dataclass
from enum import Enum


class Scope(Enum):
    """What a stage is done for, and so where its folder is."""

    SEGMENT = "segment"  # in a flight's folder; filled segment by segment in the pass over the video
    FLIGHT = "flight"  # in a flight's folder
    WORKSPACE = "workspace"


@dataclass(frozen=True)
class ChainStage:
    """A row of the chain.

    Attributes:
        name: in manifests, and for `--from` and `--until`.
        folder: in the flight's folder or in the workspace; "" where it writes into the workspace itself.
        scope: see `Scope`.
        needs: names of the stages whose results it reads.
        section: of the configuration: the settings that it obeys; None where there are none.
        command: of `uavpipe`, which makes it.
        title: for a person.
        summary: what the command does, a sentence.
        file: in its folder: the table, clip or page that others read; "" where there is none.
        writes: a regular expression for the other files that it writes, relative to its folder.
        takes_video: whether the command is for one video; else it is for the whole workspace.
        is_step: whether `uavpipe run` can begin and end with it.

    """

    name: str
    folder: str
    scope: Scope
    needs: tuple[str, ...]
    section: str | None
    command: str
    title: str
    summary: str
    file: str = ""
    writes: str = "$"
    takes_video: bool = False
    is_step: bool = False

    @property
    def output(self) -> str:
        """Its file, relative to the flight's folder or the workspace."""
        return f"{self.folder}/{self.file}"

    @property
    def ours(self) -> str:
        """A regular expression for all files that it writes, relative to its folder; a table may be in parts."""
        return rf"{re.escape(self.file)}(/part-\d+\.parquet)?|{self.writes}"


# fmt: off
FRAMES = ChainStage("frames", "frames", Scope.SEGMENT, section="frames", command="frames",
    title="Frames", summary="List the frames of a video and its damage.",
    needs=(), file="frames.parquet", writes=r"images/\d{8}/\d{8}\.jpg", takes_video=True, is_step=True)
DETECT = ChainStage("detect", "detections", Scope.SEGMENT, section="detector", command="detect",
    title="Detections", summary="Detect the persons in every frame.",
    needs=(), file="detections.parquet", writes=r"tiles\.json", takes_video=True, is_step=True)
CROPS = ChainStage("crops", "crops", Scope.SEGMENT, section="crops", command="crops",
    title="Crops", summary="Cut the detected persons out of the frames.",
    needs=("detect",), file="crops.parquet", takes_video=True, is_step=True,
    writes=r"images/\d{8}\.tar|images/(\d{8}(\.tar)?/)?[-\w]+\.(jpg|jpeg|png|JPG|JPEG|PNG)")
MOTION = ChainStage("motion", "motion", Scope.SEGMENT, section=None, command="tracks",
    title="Camera motion", summary="Estimate the camera's motion from frame to frame.",
    needs=(), file="motion.parquet", writes=r"edges\.parquet/part-\d+\.parquet", takes_video=True)
APPEARANCE = ChainStage("appearance", "appearance", Scope.SEGMENT, section="tracks", command="tracks",
    title="Descriptors", summary="Describe the colours of every detected person.",
    needs=("detect",), file="appearance.parquet", takes_video=True)
TRACKS = ChainStage("tracks", "tracks", Scope.FLIGHT, section="tracks", command="tracks",
    title="Tracklets", summary="Link detections of one person into tracklets.",
    needs=("frames", "detect", "motion", "appearance"), file="tracklets.parquet", takes_video=True, is_step=True)
OVERLAY = ChainStage("overlay", "overlay", Scope.FLIGHT, section="overlay", command="overlay",
    title="Overlay", summary="Draw the detections on the video.",
    needs=("detect",), file="overlay.mp4", takes_video=True)
EMBEDDINGS = ChainStage("embeddings", "embeddings", Scope.FLIGHT, section=None, command="annotate embed",
    title="Embeddings", summary="Embed the crops of every tracklet with a re-ID network.",
    needs=("crops", "tracks"), file="embeddings.parquet")
LABEL = ChainStage("label", "", Scope.WORKSPACE, section=None, command="annotate serve",
    title="Labels", summary="Label the identities in the browser.",
    needs=("crops", "tracks"))
DATASET = ChainStage("dataset", "dataset", Scope.WORKSPACE, section="dataset", command="dataset",
    title="Data set", summary="Make a re-ID data set of the labelled crops.",
    needs=("crops", "tracks", "label"), file="dataset.parquet", is_step=True,
    writes=r"statistics\.(json|html)"
    r"|(bounding_box_train|query|bounding_box_test)/(-1|\d{4,})_c\d+s1_\d{6,}_\d{2,}\.jpg")
TRAIN = ChainStage("train", "reid", Scope.WORKSPACE, section="reid", command="reid train",
    title="Training", summary="Train a re-ID network on the data set.",
    needs=("dataset",), is_step=True)
EVALUATE = ChainStage("evaluate", "reid", Scope.WORKSPACE, section="reid", command="reid evaluate",
    title="Evaluation", summary="Measure CMC and mAP of the re-ID network.",
    needs=("dataset", "train"), is_step=True)
CLIP = ChainStage("clip", "clip", Scope.FLIGHT, section="report", command="report",
    title="Clip with boxes", summary="Render the part of the flight with most persons.",
    needs=("detect", "tracks"), file="clip.mp4")
REPORT = ChainStage("report", "report", Scope.WORKSPACE, section="report", command="report",
    title="Report", summary="Write what was found as a page.",
    needs=("frames", "detect", "crops", "tracks", "label", "dataset", "train", "evaluate", "clip"),
    file="index.html", writes=r"crops/[0-9a-f]{16}\.jpg|(clips/)?[^/]+\.mp4", is_step=True)

CHAIN = (
    FRAMES, DETECT, CROPS, MOTION, APPEARANCE, TRACKS, OVERLAY, EMBEDDINGS,
    LABEL, DATASET, TRAIN, EVALUATE, CLIP, REPORT,
)
# fmt: on
# A regular expression for the tables of a flight, relative to its folder.
FLIGHT_TABLES = "|".join(
    rf"{each.output}(/part-\d+\.parquet)?" for each in CHAIN if each.scope is not Scope.WORKSPACE and each.file
)
SEGMENT_STAGES = tuple(stage for stage in CHAIN if stage.scope is Scope.SEGMENT)
STEPS = tuple(stage for stage in CHAIN if stage.is_step)


def stage_named(name: str) -> ChainStage:
    """The stage `name`.

    Raises:
        KeyError: there is none.

    """
    return {stage.name: stage for stage in CHAIN}[name]


def is_before(first: ChainStage, second: ChainStage) -> bool:
    """Whether `first` comes before `second` in the chain."""
    return CHAIN.index(first) < CHAIN.index(second)


def made_together(stage: ChainStage) -> tuple[ChainStage, ...]:
    """The stages that the command of `stage` runs, in order.

    The segment stages are filled in one pass over the video, so that the command for a video also runs those before
    the last one that it needs.
    """
    served = [each for each in CHAIN if each.command == stage.command]
    if not stage.takes_video:
        return tuple(served)
    needed = {name for each in served for name in (each.name, *each.needs)}
    last = max(place for place, each in enumerate(SEGMENT_STAGES) if each.name in needed)
    return (*SEGMENT_STAGES[: last + 1], *(each for each in served if each.scope is not Scope.SEGMENT))
