"""Finding a person: from what the user gives to answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.operations import flight_of
from detector.config import DetectorConfig
from pipeline.chain.table import EMBEDDINGS
from pipeline.engine.progress import Progress
from pipeline.errors import PipelineError
from pipeline.find.audit import record_search
from pipeline.find.calibration import BUNDLED, Calibration, fit, read_calibration, trials_of
from pipeline.find.gallery import Gallery, read_gallery
from pipeline.find.query import Box, Image, Photo, person_query, photo_query
from pipeline.find.search import Answer, left_out, search
from pipeline.labelling.suggestions import RUN, embed_flights
from pipeline.sightings.read import read_sightings
from pipeline.sightings.records import Sighting
from pipeline.sightings.tracklets import LabelledTracklets, read_labelled_tracklets
from pipeline.telemetry.wall_clock import zone_of
from pipeline.words import counted
from pipeline.workspace.manifest import StageFolder
from reid.embedder import Embedder
from reid.weights import EMBEDDED, weights_hash

_NAMED = 3  # tracklets of the query, in a sentence


@dataclass(frozen=True)
class Wanted:
    """What the user gives.

    Attributes:
        photos: pictures of the person, or `person`: the number of a labelled one.
        person: see there.
        box: of the person in the only photo: x1, y1, x2, y2, px.

    """

    photos: Sequence[Photo] = ()
    person: int | None = None
    box: Box | None = None

    def __post_init__(self) -> None:
        if bool(self.photos) == (self.person is not None):
            raise PipelineError("expected a photo, or --person with the number of a labelled person")


@dataclass(frozen=True)
class Findings:
    """The result of a search.

    Attributes:
        answers: the most similar first.
        sightings: of the answers, by tracklet.
        tracklets: number of tracklets that were compared.
        without: number of tracklets that have no crop, and so cannot be found.
        calibration: behind the scores; None where there is none for the network.
        own: tracklets that the query is of.
        together: number of tracklets that were not compared, as they share a frame with one of `own`.

    """

    answers: Sequence[Answer]
    sightings: Mapping[str, Sighting]
    tracklets: int
    without: int
    calibration: Calibration | None
    own: tuple[str, ...] = ()
    together: int = 0

    @property
    def likely(self) -> list[Answer]:
        """The answers above the threshold."""
        return [each for each in self.answers if each.likely]

    @property
    def nobody(self) -> str:
        """That no answer is likely, in words."""
        count = counted(self.tracklets, "tracklet")
        if not self.own:
            return f"nobody here looks like this person ({count})"
        more = f" and {len(self.own) - _NAMED} more" if len(self.own) > _NAMED else ""
        apart = f"; {self.together} left out, which share a frame with this person" if self.together else ""
        where = ", ".join(self.own[:_NAMED]) + more
        return f"this person is in {where}; nobody else here looks like them ({count} compared{apart})"


def find(
    workspace: Path,
    wanted: Wanted,
    progress: Progress,
    *,
    weights: Path | None = None,
    top: int = 5,
    error: float = 0.05,
    device: str = "auto",
    audit: bool = True,
    zone: str | None = None,
    user: str | None = None,
) -> Findings:
    """Search `workspace` for a person.

    Args:
        workspace: with tracklets and crops.
        wanted: the person.
        progress: of embedding crops that are not embedded yet.
        weights: of the network; None: the one trained for the labelling app's suggestions if the workspace is
            embedded with it, else the bundled one.
        top: number of answers, at most.
        error: see `search`.
        device: of the network.
        audit: whether the search is recorded.
        zone: of the times, as for `read_sightings`.
        user: who searches, for the record; None: the user of this process.

    Raises:
        PipelineError, AnnotateError, ReidError: a table, a photo, weights or labels are missing or damaged.

    """
    if zone is not None:
        zone_of(zone)
    tracklets = read_labelled_tracklets(workspace)
    weights = weights or network_of(workspace, tracklets)
    if audit:
        record_search(workspace, wanted.photos, wanted.person, user=user)
    embed_flights(workspace, weights, progress, device)
    gallery = read_gallery(workspace, tracklets)
    if wanted.person is not None:
        query = person_query(wanted.person, gallery, tracklets)
    else:
        embedder = Embedder.load(weights, device)
        query = photo_query(wanted.photos, wanted.box, embedder, _Detector(device), workspace, tracklets, gallery)
    calibration = calibration_of(workspace, weights, gallery, tracklets)
    answers = search(query, gallery, tracklets, calibration, error)[:top]
    shown = tracklets.only(found.tracklet for answer in answers for found in answer.found)
    sightings = {each.tracklet: each for each in read_sightings(workspace, shown, zone)} if answers else {}
    apart = left_out(query, tracklets) & {*gallery.names}
    return Findings(
        answers,
        sightings,
        tracklets=len(gallery.names) - len(apart),
        without=gallery.without,
        calibration=calibration,
        own=tuple(sorted(query.own, key=lambda name: (flight_of(name), len(name), name))),
        together=len(apart - query.own),
    )


def calibration_of(
    workspace: Path, weights: Path, gallery: Gallery, tracklets: LabelledTracklets
) -> Calibration | None:
    """The calibration of the network `weights`: by the labels of the workspace if they are enough, else bundled.

    Labels on which the network itself was trained do not calibrate it. None where there is no other.
    """
    network = weights_hash(weights)[:16]
    if not weights.resolve().is_relative_to(workspace.resolve()):
        try:
            return fit(trials_of(gallery, tracklets), network, "labels of this workspace")
        except PipelineError:  # too few
            pass
    bundled = read_calibration(BUNDLED)
    return bundled if bundled.network == network else None


def network_of(workspace: Path, tracklets: LabelledTracklets) -> Path:
    """The weights that the workspace is embedded with, as far as they are known."""
    trained = workspace / RUN / "last.safetensors"
    manifests = [StageFolder(workspace / flight / EMBEDDINGS.folder).manifest() for flight in tracklets.rows]
    used = {(manifest or {}).get("inputs", {}).get("weights") for manifest in manifests}
    return trained if trained.is_file() and used == {weights_hash(trained)} else EMBEDDED


class _Detector:
    """Finds persons; the network is loaded when the first photo needs it."""

    def __init__(self, device: str) -> None:
        self._config = DetectorConfig(device=device)

    def __call__(self, image: Image) -> NDArray[np.float32]:
        from detector.backends.load import load_predictor

        predictor = load_predictor(self._config)
        (found,) = predictor.predict([predictor.preprocess(image)])
        return np.asarray(found.boxes[found.scores >= self._config.threshold], np.float32)
