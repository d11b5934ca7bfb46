"""Public weights that uavpipe uses: where they are published, what they are good for, and their download."""

import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from detector.errors import DetectorError
from detector.files import sha256_of

OFFLINE = "UAVPIPE_OFFLINE"  # if set, weights are never downloaded
_BLOCK = 1 << 20  # bytes
_TIMEOUT_S = 60


@dataclass(frozen=True)
class PublicWeights:
    """A file of weights that somebody else publishes.

    Attributes:
        name: for `uavpipe weights get`.
        url: the publisher's address. The name of the file ends in the first digits of its SHA-256.
        megabytes: its size, in units of 2**20 bytes.
        licence: of the weights.
        terms: of the weights and of the data that they were trained on.
        use: what they are good for, and what names them in a configuration.

    """

    name: str
    url: str
    megabytes: float
    licence: str
    terms: str
    use: str

    @property
    def sha256(self) -> str:
        """The first digits of the file's SHA-256, hex."""
        return Path(self.url).stem.rsplit("-", 1)[1]

    @property
    def path(self) -> Path:
        """Where they are looked for: in torch's cache."""
        home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
        return Path(home).expanduser() / "hub" / "checkpoints" / self.url.rsplit("/", 1)[1]


IMAGENET = "torchvision's ImageNet weights (BSD-3-Clause, ImageNet for non-commercial research)"
_TORCHVISION = "https://download.pytorch.org/models"
COCO = PublicWeights(
    "coco",
    f"{_TORCHVISION}/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
    159.743,
    "BSD-3-Clause",
    "torchvision's COCO weights (BSD-3-Clause, COCO by CC BY 4.0, its pictures by Flickr's terms)",
    "detects people in street-level photographs, misses small ones seen from above; detector.weights: coco, and "
    "auto where weights/ is empty; init: coco of a training",
)
PUBLIC = (
    COCO,
    PublicWeights(
        "imagenet-resnet18",
        f"{_TORCHVISION}/resnet18-f37072fd.pth",
        44.661,
        "BSD-3-Clause",
        IMAGENET,
        "starts a training of the detector `small`; init: imagenet",
    ),
    PublicWeights(
        "imagenet-resnet50",
        f"{_TORCHVISION}/resnet50-0676ba61.pth",
        97.781,
        "BSD-3-Clause",
        IMAGENET,
        "starts a training of the detectors `fpn` and `paper-c4`, and of the re-ID networks; init: imagenet",
    ),
)


def public_weights(name: str) -> PublicWeights:
    """Those called `name`.

    Raises:
        DetectorError: there are none.

    """
    found = {each.name: each for each in PUBLIC}
    if name not in found:
        raise DetectorError(f"{name}: no such weights; expected {', '.join(found)}")
    return found[name]


def get(weights: PublicWeights, path: Path, advance: Callable[[int], None] = lambda count: None) -> bool:
    """Download `weights` to `path`, or resume that; a file that is there is checked, and never replaced.

    Args:
        weights: see `PublicWeights`.
        path: of the file. What has arrived so far is in a hidden file beside it.
        advance: called with numbers of bytes.

    Returns:
        Whether they were downloaded; False: the file was there.

    Raises:
        DetectorError: there is another file, no network, or what arrived has another hash.

    """
    if path.exists():
        if not sha256_of(path).startswith(weights.sha256):
            raise DetectorError(f"{path}: exists, with another SHA-256 than {weights.sha256}…; move it")
        return False
    by_hand = f"copy {weights.url} to {path}"
    if os.environ.get(OFFLINE):
        raise DetectorError(f"{weights.name}: {OFFLINE} is set, nothing is downloaded; {by_hand}")
    part = path.with_name(f".part-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _receive(weights.url, part, advance)
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", error)
        what = f"{weights.name}: cannot be downloaded ({reason})"
        raise DetectorError(f"{what}; run again to resume, or {by_hand}") from None
    if not sha256_of(part).startswith(weights.sha256):
        part.unlink()
        what = f"{weights.name}: what arrived has another SHA-256 than {weights.sha256}…"
        raise DetectorError(f"{what}; run again, or {by_hand}")
    part.replace(path)
    return True


def _receive(url: str, part: Path, advance: Callable[[int], None]) -> None:
    """Append the rest of `url` to `part`; all of it, where the server cannot begin in the middle."""
    there = part.stat().st_size if part.is_file() and not part.is_symlink() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})  # noqa: S310 - ours
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if there and error.code == 416:  # nothing is left to send
            return
        raise
    with answer:
        resumed = there > 0 and answer.status == 206
        expected = int(answer.headers.get("Content-Length") or -1)
        if resumed:
            advance(there)
        else:
            part.unlink(missing_ok=True)
        received = 0
        with part.open("ab") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                received += len(block)
                advance(len(block))
    if received < expected:
        raise OSError(f"the connection ended after {received:,} of {expected:,} bytes")
