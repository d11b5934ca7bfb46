"""Labels as tracks for other tools, and tracks from other tools as labels."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import gcd

from annotate.exchange.records import Clip, TrackBox
from annotate.log.state import State
from annotate.log.store import LabelStore
from annotate.operations import Assign, Decision, Mark, NewIdentity, Seen, Split, flight_of
from annotate.records import Detection, Tracklet, iou

MIN_IOU = 0.5  # overlap from which a detection and a foreign box are one person

_Decide = Callable[[Decision], int | str | None]


def labelled_clip(state: State, flight: str, tracklets: Sequence[Tracklet], length: int | None = None) -> Clip:
    """The detections of `flight` that have an identity, by frame; the track is the identity's number.

    `extra["attributes"]` has the name of the tracklet and, where there is one, of the identity.

    Args:
        state: the labels.
        flight: its name.
        tracklets: of the flight, as they were before anybody labelled.
        length: frames of the video, where that is known.

    """
    detections = _by_place(tracklets)
    boxes = []
    for name in _tracklets_of(state, flight):
        identity = state.labels[name]
        if isinstance(identity, Mark):
            continue
        person = {"name": state.identities[identity]} if state.identities[identity] else {}
        extra = {"attributes": {"tracklet": name, **person}}
        for seen in state.tracklets[name]:
            found = detections[seen]
            boxes.append(TrackBox(found.frame, identity, found.box, round(found.score, 6), extra=extra))
    return Clip(flight, tuple(sorted(boxes, key=lambda box: (box.frame, box.track))), length)


def label_from(
    store: LabelStore,
    clips: Mapping[str, Clip],
    tracklets: Mapping[str, Sequence[Tracklet]],
    *,
    user: str,
    id: str,
    same_identities: bool = False,
) -> int:
    """Label by `clips`: a detection takes the track that it overlaps most; tracklets with several are split.

    Detections without a track go with those before them, at the beginning with those after; a tracklet without for
    the most part, in the frames that are annotated, stays as it is. All decisions are applied, or none.

    Args:
        store: the labels.
        clips: by flight; a track's number means the same person in all of them.
        tracklets: by flight, as they were before anybody labelled.
        user: the labeller in the log.
        id: as `LabelStore.together` takes it.
        same_identities: the tracks' numbers are those of the identities in `store`, as in files that were
            exported from it, and tracklets that have a label get a new one. Else every track is a new identity,
            and only tracklets that nobody has labelled are.

    Returns:
        How many tracklets got a label.

    """
    labelled = 0
    with store.together(user=user, id=id) as decide:
        identities = {number: number for number in store.state.identities} if same_identities else {}
        for flight, clip in clips.items():
            owners = _match(clip, _by_place(tracklets[flight]))
            annotated = _annotated(clip)
            for name in _tracklets_of(store.state, flight):
                if not same_identities and store.state.labels[name] not in (Mark.OPEN, Mark.SKIPPED):
                    continue
                content = [seen for seen in store.state.tracklets[name] if annotated(seen.frame)]
                runs = _runs(content, owners)
                labelled += sum(
                    _label(store.state, decide, identities, *each) for each in _split(decide, name, runs)
                )
    return labelled


def _annotated(clip: Clip) -> Callable[[int], bool]:
    """Which frames are annotated: those that the file tells, or one in several where all boxes are in such."""
    if clip.annotated is not None:
        return clip.annotated.__contains__
    frames = sorted(clip.frames)
    step = gcd(*(after - before for before, after in pairwise(frames)))
    return lambda frame: step <= 1 or (frame - frames[0]) % step == 0


def count_matched(clip: Clip, tracklets: Sequence[Tracklet]) -> int:
    """How many detections of `tracklets` are the person of a box with a track."""
    return len(_match(clip, _by_place(tracklets)))


def _tracklets_of(state: State, flight: str) -> list[str]:
    return [name for name in state.tracklets if flight_of(name) == flight]


def _by_place(tracklets: Sequence[Tracklet]) -> dict[Seen, Detection]:
    return {Seen(each.frame, each.rank): each for tracklet in tracklets for each in tracklet.detections}


def _match(clip: Clip, detections: Mapping[Seen, Detection]) -> dict[Seen, TrackBox]:
    """The box of each detection: one to one, by descending IoU, from `MIN_IOU` up."""
    by_frame: dict[int, list[TrackBox]] = defaultdict(list)
    for box in clip.boxes:
        if box.track >= 0:
            by_frame[box.frame].append(box)
    pairs = [
        (share, seen, box)
        for seen, detection in detections.items()
        for box in by_frame[seen.frame]
        if (share := iou(detection.box, box.box)) >= MIN_IOU
    ]
    owners: dict[Seen, TrackBox] = {}
    taken: set[int] = set()
    for _, seen, box in sorted(pairs, key=lambda pair: (-pair[0], pair[1])):
        if seen not in owners and id(box) not in taken:
            owners[seen] = box
            taken.add(id(box))
    return owners


def _runs(content: Sequence[Seen], owners: Mapping[Seen, TrackBox]) -> list[tuple[int, TrackBox]]:
    """The frames from which on the tracklet follows a box's track; empty where most of it has none."""
    known = [(seen.frame, owners[seen]) for seen in content if seen in owners]
    if 2 * len(known) < len(content):
        return []
    return known[:1] + [after for before, after in pairwise(known) if before[1].track != after[1].track]


def _split(decide: _Decide, name: str, runs: Sequence[tuple[int, TrackBox]]) -> Iterator[tuple[str, TrackBox]]:
    for place, (frame, box) in enumerate(runs):
        if place:
            name = str(decide(Split(tracklet=name, frame=frame)))
        yield name, box


def _label(state: State, decide: _Decide, identities: dict[int, int], name: str, box: TrackBox) -> bool:
    if box.track not in identities:
        called = str(box.extra.get("attributes", {}).get("name", ""))
        identities[box.track] = int(decide(NewIdentity(tracklets=(name,), name=called)) or 0)
    elif state.labels[name] == identities[box.track]:
        return False
    else:
        decide(Assign(tracklets=(name,), identity=identities[box.track]))
    return True
