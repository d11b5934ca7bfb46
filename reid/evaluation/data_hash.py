"""Hashes of the data of an evaluation: figures of different data are not compared."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.protocols import Candidates
from reid.files import read_regular
from reid.records import Samples


def data_hashes(candidates: Candidates) -> dict[str, str]:
    """SHA-256 of the labels and, where the crops have files, of the images, of query and gallery in their order.

    Labels are identities, and the cameras and tracklets where the protocol looks at them; their numbers may differ,
    if they part the crops alike.

    Raises:
        OSError: an image cannot be read.

    """
    both = candidates.query, candidates.gallery
    parts = [np.array([len(each) for each in both]), np.concatenate([each.identities for each in both])]
    if candidates.protocol.same_camera:
        parts.append(_numbered(np.concatenate([each.cameras for each in both])))
    if candidates.protocol.same_tracklet:
        parts.append(_numbered(np.concatenate([each.tracklets for each in both])))
    labels = hashlib.sha256(np.concatenate(parts).astype("<i8").tobytes()).hexdigest()
    return {"labels_sha256": labels} | ({"images_sha256": _of_images(*both)} if all(x.paths for x in both) else {})


def _numbered(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers from 0 up, by the first appearance of each value."""
    _, firsts, places = np.unique(values, return_index=True, return_inverse=True)
    numbers: NDArray[np.int64] = np.argsort(np.argsort(firsts))[places]
    return numbers


def _of_images(query: Samples, gallery: Samples) -> str:
    whole = hashlib.sha256()
    for path in (*query.paths, *gallery.paths):
        content = read_regular(path) if isinstance(path, Path) else path.read_bytes()
        whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest()
