"""A workspace opened for labelling: its labels, the crops of its tracklets, suggestions and checks."""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path, PurePosixPath

import numpy as np

from annotate.batches import FEWEST, Batch, choose
from annotate.errors import AnnotateError
from annotate.filters import Filter, Moment
from annotate.log.state import State
from annotate.log.store import LABELS, LabelStore
from annotate.operations import Mark, Seen, flight_of
from annotate.people import Alike, alike, by_likeness
from annotate.progress import Progress, Tally, progress
from annotate.queue import LEASE_S, Turn, next_turn
from annotate.records import CROPS, CropFiles, Detection, Tracklet, flights_with_tracklets, read_tracklets
from annotate.suggestions.checks import Finding, findings
from annotate.suggestions.co_occurrence import CoOccurrence, Meeting
from annotate.suggestions.features import read_features
from annotate.suggestions.ground import Ground, Place
from annotate.suggestions.likeness import likeness
from annotate.suggestions.proposals import Proposal, propose
from annotate.suggestions.representatives import representatives
from annotate.suggestions.suggest import Ranking, Suggester

SHOWN = 12  # crops that represent a tracklet
_MANY = 30  # tracklets; with fewer nobody waits for a batch


class Project:
    """The workspace that the labelling app works on. All methods may be called from several threads.

    Attributes:
        workspace: the folder.
        flights: names of those that are labelled.
        store: the labels.
        source: what the suggestions are made from, for people to read.

    Raises:
        AnnotateError: there are no flights, a table is damaged, crops are missing, or the labels cannot be opened.

    """

    def __init__(
        self,
        workspace: Path,
        ground: Callable[[str], Ground] = lambda flight: Ground({}),
        *,
        moment: Moment = lambda flight, seconds: None,
        crops: CropFiles | None = None,
        write: bool = True,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Open `workspace`.

        Args:
            workspace: the folder.
            ground: gives the ground of a flight; without a frame where the camera's motion is not known.
            moment: gives the time of day in a flight, where that is known.
            crops: gives the crops, where they are no files.
            write: False: only read; what is decided is not kept.
            say: is called with what is being done, for people to read.

        """
        self.workspace, self._crops = workspace, crops or CropFiles()
        self.flights = flights_with_tracklets(workspace)
        tracklets: dict[str, tuple[Tracklet, ...]] = {}
        for number, flight in enumerate(self.flights, start=1):
            say(f"reading {flight}, {number} of {len(self.flights)}")
            tracklets[flight] = read_tracklets(workspace, flight)
            _check_crops(workspace, flight, tracklets[flight], self._crops)
        self._detections = {
            flight: {Seen(each.frame, each.rank): each for tracklet in content for each in tracklet.detections}
            for flight, content in tracklets.items()
        }
        say("reading the labels")
        self.store = LabelStore(workspace / LABELS, write=write)
        for flight, content in tracklets.items():
            self.store.add_flight(flight, content)
        self._moment = moment
        self._ground = cache(ground)
        self._together = CoOccurrence(lambda flight, seen: self._detections[flight][seen].box)
        self._tally = Tally()
        self._lock = threading.RLock()
        self._shown: dict[tuple[str, int], tuple[tuple[Seen, ...], tuple[Detection, ...]]] = {}
        self._followed: tuple[Suggester | None, int] = (None, -1)
        self._like: dict[str, tuple[tuple[Seen, ...], float]] = {}
        self._found: tuple[int, list[Finding]] = (-1, [])
        self._proposed: tuple[int, list[Proposal]] = (-1, [])
        say("reading the descriptors")
        self.read_features()

    def close(self) -> None:
        """Let go of the labels' file."""
        self.store.close()

    def read_features(self) -> None:
        """Read the descriptors of the tracklets from disk, as after a new model was run.

        Raises:
            AnnotateError: a table is damaged; the old suggestions stay.

        """
        features = read_features(self.workspace, self.flights)
        suggester = Suggester(features, self._together, self._place)
        with self._lock, self.store.reading() as state:
            suggester.follow(state)
            self._features, self.source = features, features.source
            self._suggester = suggester
            self._found, self._proposed = (-1, []), (-1, [])
            self._shown.clear()

    @contextmanager
    def reading(self) -> Iterator[State]:
        """The labels as they are, unchanged until the end of the `with`; call the methods below within it."""
        with self._lock, self.store.reading() as state:
            self._tally.follow(self.store)
            yield state

    def next_turn(
        self, state: State, user: str, tab: str = "", again: int = 0, only: Filter | None = None
    ) -> Turn | None:
        """The tracklet that `user` is to label now in the window `tab`; `again` as `annotate.queue.next_turn`.

        With `only`, one that it wants.
        """
        visible, like = partial(self._visible, state), partial(self._likeness, state)
        holder = _holder(user, tab)
        if only is None or only == Filter():
            held = self._held(state)
            return next_turn(self.store, state, self._tally, user, holder, visible, again, like, proposed=held)
        wanted = {name for name in state.tracklets if self.wants(state, name, only)}
        order: Callable[[str], float] | None = None
        if only.person is not None:
            alike = by_likeness(state, self._suggester, self._together, only.person, sorted(wanted))
            wanted, order = set(alike), lambda name: -alike.get(name, -1.0)
        return next_turn(
            self.store, state, self._tally, user, holder, visible, again, like, wanted.__contains__, order
        )

    def wants(self, state: State, tracklet: str, only: Filter) -> bool:
        """Whether `only` wants `tracklet`, which has a crop."""
        known, content = self._detections[flight_of(tracklet)], state.tracklets[tracklet]
        times = known[content[0]].time, known[content[-1]].time
        return only.wants(state, tracklet, times, self._moment) and self._visible(state, tracklet)

    def alike(self, state: State, identity: int, count: int) -> list[Alike]:
        """The people most similar to `identity`, never seen together with it."""
        return alike(state, self._suggester, self._together, identity, count)

    def batch(self, state: State, user: str, tab: str) -> Batch:
        """Proposed answers to confirm at once, their tracklets reserved for `user` in the window `tab`."""

        def mine(name: str) -> bool:
            return self.store.leases.take(name, _holder(user, tab), LEASE_S)

        return self._choose(state, self.proposals(state), mine)

    def count_proposed(self, state: State) -> int:
        """How many rows the next batch has, whoever asks."""
        return len(self._choose(state, self.proposals(state, late=True), lambda name: True).rows)

    def proposals(self, state: State, *, late: bool = False) -> list[Proposal]:
        """Answers that are probably right, for tracklets without a label that nobody took out of a batch.

        With `late`, they may be some decisions old, one for each hundred tracklets: to find them takes a moment.
        """
        sequence = len(self.store.entries)
        known = self._proposed[0]
        if known < 0 or sequence - known > (len(state.labels) // 100 if late else 0):
            names = [
                name
                for name, label in state.labels.items()
                if label is Mark.OPEN and name not in state.taken_out and self._visible(state, name)
            ]
            found = propose(
                state, names, self._decided, self._suggester, self._together, partial(self._likeness, state)
            )
            self._proposed = (sequence, found)
        waits = (each for each in self._proposed[1] if state.labels.get(each.tracklet) is Mark.OPEN)
        return [each for each in waits if each.tracklet not in state.taken_out]

    def _held(self, state: State) -> set[str]:
        """The tracklets that wait for a batch; where there are few, none does."""
        few = len(state.labels) < _MANY
        return set() if few else {each.tracklet for each in self.proposals(state, late=True)}

    def _choose(self, state: State, proposals: Sequence[Proposal], mine: Callable[[str], bool]) -> Batch:
        proposed = {each.tracklet for each in proposals}
        others = any(
            label is Mark.OPEN and name not in proposed and self._visible(state, name)
            for name, label in state.labels.items()
        )
        return choose(proposals, partial(self._apart, state), mine, FEWEST if others else 1)

    def leave(self, user: str, tab: str) -> None:
        """Give back what is reserved for `user` in the window `tab`, which is closed."""
        self.store.leases.give_up(_holder(user, tab))

    def shown_elsewhere(self, state: State) -> int:
        """How many tracklets without a label are shown in a window just now."""
        return sum(state.labels.get(name) is Mark.OPEN for name in self.store.leases.held())

    def ranking(self, state: State, tracklet: str) -> Ranking:
        """The identities that `tracklet` might be, and those it was seen together with; the likeliest first."""
        return self._suggester.ranking(state, tracklet)

    def meeting(self, state: State, first: int, second: int) -> Meeting | None:
        """Where two identities were seen together; None where they never were."""
        members = (sorted(state.members.get(number, ())) for number in (first, second))
        return self._together.first(state, *members)

    def progress(self, state: State, user: str) -> Progress:
        """The progress of the labelling; the speed is that of `user`."""
        return progress(state, self._tally, user, lambda name: self._visible(state, name))

    def findings(self, state: State) -> list[Finding]:
        """The findings of the checks; computed again only after a decision."""
        sequence = len(self.store.entries)
        if self._found[0] != sequence:
            self._found = (sequence, findings(state, self._suggester, self._together, self._place))
        return self._found[1]

    def detections(self, state: State, tracklet: str) -> list[Detection]:
        """All of `tracklet`, in order of frames."""
        known = self._detections[flight_of(tracklet)]
        return [known[seen] for seen in state.tracklets[tracklet]]

    def in_frame(self, state: State, flight: str, frame: int) -> list[tuple[str, Detection]]:
        """The tracklets that are in a frame, and where."""
        found = []
        for name, content in state.tracklets.items():
            if flight_of(name) == flight:
                at = bisect_left(content, frame, key=lambda seen: seen.frame)
                if at < len(content) and content[at].frame == frame:
                    found.append((name, self._detections[flight][content[at]]))
        return found

    def shown(self, state: State, tracklet: str, count: int = SHOWN) -> tuple[Detection, ...]:
        """At most `count` crops that represent `tracklet`, in order of time."""
        content = state.tracklets[tracklet]
        known = self._shown.get((tracklet, count))
        if known is None or known[0] is not content:
            vectors = self._features.flights[flight_of(tracklet)].of(content)
            known = (content, representatives(self.detections(state, tracklet), vectors, count))
            self._shown[tracklet, count] = known
        return known[1]

    def portraits(
        self, state: State, identity: int, count: int, like: str | None = None
    ) -> list[tuple[str, Detection]]:
        """Crops that represent `identity`, each with its tracklet: of as many tracklets and flights as possible.

        Args:
            state: the labels.
            identity: its number.
            count: how many, at most.
            like: a tracklet; the most similar ones come first, and it is left out itself.

        """
        names = sorted(
            state.members.get(identity, set()) - {like}, key=lambda name: (-len(state.tracklets[name]), name)
        )
        if like is not None and names:
            self._follow(state)
            alike = self._suggester.similarities(like, names)
            names = [names[at] for at in np.argsort(-alike, kind="stable")]
        names = _flights_in_turn(names)[:count]
        rows = [[(name, each) for each in _middle_first(self.shown(state, name))] for name in names]
        found = [row[turn] for turn in range(SHOWN) for row in rows if turn < len(row)]
        return found[:count]

    def crop_path(self, flight: str, seen: Seen) -> str | None:
        """The crop of a detection, relative to the workspace; None where there is none."""
        detection = self._detections.get(flight, {}).get(seen)
        return None if detection is None else detection.crop

    def crop(self, flight: str, seen: Seen) -> bytes:
        """The JPEG of a detection.

        Raises:
            AnnotateError: there is no such crop, it is missing, or it is outside its flight's folder of crops.

        """
        detection = self._detections.get(flight, {}).get(seen)
        if detection is None or detection.crop is None:
            raise AnnotateError(f"{flight}: no crop of detection {seen.rank} in frame {seen.frame}")
        path = self.workspace / PurePosixPath(detection.crop)
        crops = (self.workspace / flight / CROPS).parent  # may be on another disk
        if not path.resolve().is_relative_to(crops.resolve()):
            raise AnnotateError(f"{path}: a link out of the flight's folder of crops; only crops inside are shown")
        try:
            return self._crops.read(path)
        except OSError as error:
            reason = "missing" if isinstance(error, FileNotFoundError) else error.strerror
            raise AnnotateError(f"{path}: the crop is {reason}; run `uavpipe crops` again") from None

    def _visible(self, state: State, tracklet: str) -> bool:
        known = self._detections[flight_of(tracklet)]
        return any(known[seen].crop is not None for seen in state.tracklets[tracklet])

    def _likeness(self, state: State, tracklet: str) -> float:
        content = state.tracklets[tracklet]
        known = self._like.get(tracklet)
        if known is None or known[0] is not content:
            known = self._like[tracklet] = (content, likeness(self.detections(state, tracklet)))
        return known[1]

    def _apart(self, state: State, one: str, other: str) -> bool:
        return self._together.frame(state, one, other) is not None

    def _decided(self, tracklet: str) -> int:
        entry = self.store.decision(tracklet)
        return entry.sequence if entry else 0

    def _follow(self, state: State) -> None:
        """Bring the suggester up to date, once after each decision: there may be thousands of tracklets."""
        now = (self._suggester, len(self.store.entries))
        if self._followed != now:
            self._suggester.follow(state)
            self._followed = now

    def _place(self, flight: str, seen: Seen) -> Place | None:
        ground = self._ground(flight)
        return ground.place(self._detections[flight][seen]) if len(ground.frames) else None


def _holder(user: str, tab: str) -> str:
    """Of a lease: a window of a labeller."""
    return f"{user} {tab}".rstrip()


def _check_crops(workspace: Path, flight: str, tracklets: Sequence[Tracklet], crops: CropFiles) -> None:
    """Check that the crops exist: by listing folders, as asking for each of 50,000 files takes seconds."""
    wanted = {each.crop for tracklet in tracklets for each in tracklet.detections if each.crop is not None}
    folders = {crop.rpartition("/")[0] for crop in wanted}
    there = {f"{folder}/{name}" for folder in folders for name in crops.names(workspace / folder)}
    missing = sorted(wanted - there)
    if missing:
        raise AnnotateError(
            f"{workspace / missing[0]}: missing, and {len(missing) - 1:,} more of {len(wanted):,} crops of "
            f"{flight}; run `uavpipe crops` again"
        )
    if not wanted and tracklets:
        raise AnnotateError(f"{workspace / flight}: none of its tracklets has a crop to show; run `uavpipe crops`")


def _flights_in_turn(names: Sequence[str]) -> list[str]:
    """`names`, so that the first ones are of as many flights as there are."""
    turn: dict[str, int] = {}
    rank: dict[str, int] = {}
    for name in names:
        flight = flight_of(name)
        rank[name] = turn[flight] = turn.get(flight, -1) + 1
    return sorted(names, key=lambda name: rank[name])


def _middle_first(shown: Sequence[Detection]) -> list[Detection]:
    """A tracklet's ends are where boxes are cut off by the picture's edge."""
    return sorted(shown, key=lambda each: abs(shown.index(each) - len(shown) // 2))
