import cv2
import numpy as np
import pytest

from reid.errors import ReidError
from reid.evaluation.evaluate import Evaluation, Options
from reid.records import Samples


def picture(seed):
    patches = np.random.default_rng(seed).integers(0, 256, (6, 3, 3)).astype(np.uint8)
    return cv2.resize(patches, (64, 128), interpolation=cv2.INTER_CUBIC)


def samples(identities, cameras, tracklets=None, paths=()):
    columns = (identities, cameras, tracklets or [-1] * len(identities))
    return Samples(*(np.array(values, np.int64) for values in columns), tuple(paths))


def test_persons_that_training_has_seen_stop_it():
    query, gallery = samples([5, 6], [1, 1]), samples([5, 6, 0, -1], [2, 2, 2, 2])
    Evaluation(query, gallery, Options(), samples([1, 2, 0, -1], [1, 1, 1, 1]))
    with pytest.raises(ReidError, match=r"leak: 1 identities are both in the training and in the test set \(6\)"):
        Evaluation(query, gallery, Options(), samples([1, 6], [1, 1]))
    with pytest.raises(ReidError, match=r"1 tracklets are both .* \(3\)"):
        Evaluation(samples([5], [1], [3]), samples([5], [2], [4]), Options(), samples([1], [1], [3]))


def test_a_neighbouring_frame_must_not_count():
    query, gallery = samples([5], [1], [3]), samples([5, 5], [2, 1], [3, 4])
    with pytest.raises(ReidError, match="query row 0 and gallery row 0 are of one tracklet"):
        Evaluation(query, gallery, Options())
    Evaluation(query, gallery, Options(protocol="tracklet"))
    Evaluation(samples([5], [1], [3]), samples([5, 5], [1, 2], [3, 4]), Options())  # left out by its camera


@pytest.fixture
def crops(tmp_path):
    """Ten pictures; number 9 is number 0, smaller and stored as JPEG."""
    paths = [tmp_path / f"{number}.png" for number in range(9)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), picture(number))
    copy = cv2.resize(cv2.imread(str(paths[0])), (48, 96), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "9.jpg"), copy, [cv2.IMWRITE_JPEG_QUALITY, 60])
    return [*paths, tmp_path / "9.jpg"]


def test_the_same_picture_must_not_count(crops):
    query = samples([1, 2], [1, 1], paths=crops[:2])
    with pytest.raises(ReidError, match=r"0\.png and .*9\.jpg are one picture, .* counts .* \(2 such pairs\)"):
        Evaluation(query, samples([2, 1, 1], [2, 2, 2], paths=[crops[1], crops[4], crops[9]]), Options())
    # Harmless where the copy is left out by its camera, or is no right answer.
    Evaluation(query, samples([2, 1, 1], [2, 2, 1], paths=[crops[3], crops[4], crops[9]]), Options())
    Evaluation(query, samples([2, 1, 0], [2, 2, 2], paths=[crops[3], crops[4], crops[9]]), Options())


def test_a_picture_that_cannot_be_read_is_named(crops):
    crops[3].write_bytes(b"no picture")
    with pytest.raises(ReidError, match=r"3\.png: not an image"):
        Evaluation(samples([1], [1], paths=crops[:1]), samples([1], [2], paths=[crops[3]]), Options())
