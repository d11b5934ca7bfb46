"""What the lists of readers are made of."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        file: what it reads, in the folder it is given; the only file that is damaged.
        sample: puts a sound `file`, and what belongs to it, into a folder.
        read: reads it.
        json: whether it is JSON, so that values in it are exchanged too.

    """

    file: str
    sample: Callable[[Path], object]
    read: Callable[[Path], object]
    json: bool = False


IMAGE = cv2.imencode(".jpg", np.zeros((9, 16, 3), np.uint8))[1].tobytes()
STATE = {"a.weight": torch.ones(2, 3), "roi_heads.box_predictor.cls_score.weight": torch.ones(2, 4)}


def written(name: str, text: str | bytes) -> Callable[[Path], object]:
    """A sample of one file."""

    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return write


def together(*writers: Callable[[Path], object]) -> Callable[[Path], None]:
    """A sample of several files."""
    return lambda folder: [write(folder) for write in writers] and None


def torch_file(content: object) -> bytes:
    """What `torch.save` writes."""
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def reads(read: Callable[[Path], object], file: str, sample: str | bytes, *, json: bool = False) -> Reader:
    """A reader of one file that it is given by its path."""
    return Reader(file, written(file, sample), lambda folder: read(folder / file), json)
