"""Every reader of bytes from outside, each with a small sound sample: what the fuzz tests damage."""

from tests.fuzz.readers.annotate import ANNOTATE
from tests.fuzz.readers.detector import DETECTOR
from tests.fuzz.readers.pipeline import PIPELINE
from tests.fuzz.readers.reader import Reader
from tests.fuzz.readers.reid import REID
from tests.fuzz.readers.report import REPORT
from tests.fuzz.readers.telemetry import TELEMETRY
from tests.fuzz.readers.workspace import WORKSPACE

READERS: dict[str, Reader] = ANNOTATE | DETECTOR | REID | PIPELINE | REPORT | TELEMETRY | WORKSPACE
