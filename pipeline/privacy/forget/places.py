"""The folders that uavpipe writes in a workspace, which may be links to a larger disk, and the files in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from annotate.log.store import LABELS
from pipeline.chain.table import CHAIN, CROPS, DATASET, REPORT, TRACKS, TRAIN, Scope
from pipeline.errors import PipelineError
from pipeline.privacy.redactions import FILE
from pipeline.privacy.shared_clip import FOLDER
from pipeline.workspace.atomic import TEMPORARY
from pipeline.workspace.entries import files_below, is_leftover, is_ours
from pipeline.workspace.folders import CLIPS, FORGETTING

SUGGESTIONS = "suggestions"  # the network that orders suggestions
NETWORK = r".+\.(safetensors|pt|pth|onnx|xml|bin|json|jsonl|yaml)|tensorboard/.+"
EVALUATION = r"metrics\.json|(queries|pairs|ranked)\.parquet|ranked/\d+\.jpg|(.+/)?(manifest\.json|\.lock)"

# Folder -> a regular expression for the files that uavpipe writes there.
OF_FLIGHT = {each.folder: each.ours for each in CHAIN if each.scope is not Scope.WORKSPACE} | {
    FOLDER: r"[^/]+\.mp4",
    CLIPS: r"\d+/([^/]+\.mp4|manifest\.json)",
    REPORT.folder: REPORT.ours,
}
_RUN = rf"(.+/)?({EVALUATION}|{NETWORK})"
OF_WORKSPACE = {
    DATASET.folder: DATASET.ours,
    REPORT.folder: REPORT.ours,
    SUGGESTIONS: NETWORK,
    TRAIN.folder: _RUN,
}
FLIGHT = (
    "|".join(rf"{folder}/({ours}|manifest\.json|\.lock)" for folder, ours in OF_FLIGHT.items())
    + rf"|{FILE}|flight\.json"
)
# One of them is in each folder that uavpipe wrote; they are deleted last, so that this can be told to the end.
_MARKS = {"manifest.json", "run.json", "metrics.json", "index.html", "flight.json"} | {
    each.file for each in CHAIN if each.file
}


def is_mark(name: str) -> bool:
    """Whether the file `name` tells that uavpipe wrote its folder."""
    return PurePosixPath(name).name in _MARKS


@dataclass(frozen=True)
class Places:
    """The folders of a workspace.

    Attributes:
        workspace: it.
        flights: names of the flights' folders.
        links: the folders that are links, by name -> a regular expression for uavpipe's files there.

    """

    workspace: Path
    flights: tuple[str, ...]
    links: dict[str, str]

    def files(self) -> Iterator[str]:
        """All files of the workspace, relative to it, also behind `links`; not those of the erasure itself."""
        return (name for name in self._below("") if not name.startswith(f"{FORGETTING}/"))

    def _below(self, prefix: str) -> Iterator[str]:
        for inner in files_below(self.workspace / prefix):
            name = f"{prefix}{inner}"
            if name in self.links:
                yield from self._below(f"{name}/")
            else:
                yield name

    def below(self, folder: str) -> Iterator[str]:
        """Those of `files` that are below `folder`, relative to it."""
        return (name.removeprefix(f"{folder}/") for name in self._below(f"{folder}/"))

    def own_files(self) -> list[str]:
        """The files among uavpipe's own that it did not write; they are kept, whatever they show."""
        folders = dict(OF_WORKSPACE) | {
            f"{flight}/{folder}": ours for flight in self.flights for folder, ours in OF_FLIGHT.items()
        }
        return [
            name
            for name in sorted(self.files())
            for folder, ours in folders.items()
            if name.startswith(f"{folder}/") and not is_ours(inner := name[len(folder) + 1 :], ours)
            if not is_leftover(inner)
        ]

    def locate(self, name: str) -> Path:
        """The file `name`, relative to the workspace.

        Raises:
            PipelineError: it is outside of the workspace: by its name, or behind a link that uavpipe's own files
                are not behind.

        """
        parts = name.split("/")
        if not name.isprintable() or not {"..", ".", ""}.isdisjoint(parts):
            raise PipelineError(f"{self.workspace}: {name[:80]!r} is no file of this workspace")
        behind = None
        for place in range(1, len(parts)):
            folder = "/".join(parts[:place])
            if (self.workspace / folder).is_symlink():
                behind = folder
                inner = "/".join(parts[place:])
                ours = self.links.get(folder)
                if ours is None or not (is_ours(inner, ours) or is_leftover(inner)):
                    raise PipelineError(f"{self.workspace}: {name[:80]!r} is behind a link and no file of uavpipe")
        if behind is None and not (self.workspace / name).parent.resolve().is_relative_to(self.workspace.resolve()):
            raise PipelineError(f"{self.workspace}: {name[:80]!r} is no file of this workspace")
        return self.workspace / name

    def locate_folder(self, name: str) -> Path:
        """The folder `name`, relative to the workspace.

        Raises:
            PipelineError: as `locate`.

        """
        return self.locate(f"{name}/{TEMPORARY}file").parent


def find_places(workspace: Path) -> Places:
    """The folders of `workspace`.

    A flight's folder, a stage's folder, `reid/` and a network's folder in it may be links to a folder. Other links
    among uavpipe's files are refused: it cannot be told where they lead tomorrow.

    Raises:
        PipelineError: such a link; names it.

    """
    if (workspace / LABELS).is_symlink():
        raise PipelineError(f"{workspace / LABELS}: a link; put the file itself there, and run again")
    flights: list[str] = []
    links: dict[str, str] = {}
    for path in sorted(workspace.iterdir()):
        if path.name in OF_WORKSPACE:
            _look(workspace, path.name, OF_WORKSPACE[path.name], links)
        elif path.is_dir() and not path.name.startswith(".") and _is_flight(path):
            flights.append(path.name)
            if path.is_symlink():
                links[path.name] = FLIGHT
            for folder, ours in OF_FLIGHT.items():
                _look(workspace, f"{path.name}/{folder}", ours, links)
    return Places(workspace, tuple(flights), links)


def _is_flight(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("flight.json", TRACKS.output, CROPS.output))


def _look(workspace: Path, name: str, ours: str, links: dict[str, str]) -> None:
    """Add the folder `name` to `links` if it is one, and check the links in it."""
    path = workspace / name
    if path.is_symlink() and (path.is_dir() or not path.exists()):
        if not path.is_dir():
            raise PipelineError(f"{path}: a link to {path.readlink()}, which is not there; connect that disk")
        found = list(files_below(path))
        if any(is_ours(each, ours) for each in found) and not any(map(is_mark, found)):
            raise PipelineError(f"{path}: a link to a folder that uavpipe did not write; remove the link")
        links[name] = ours
    for inner in files_below(path):
        if not (path / inner).is_symlink():
            continue
        if name == TRAIN.folder and "/" not in inner and (path / inner).is_dir():
            _look(workspace, f"{name}/{inner}", _RUN, links)
        elif not is_ours(inner, r"$"):
            raise PipelineError(
                f"{path / inner}: a link; only all of {path} may be one: put the file or folder itself there"
            )
