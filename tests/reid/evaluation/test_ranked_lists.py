import cv2
import numpy as np

from reid.evaluation.contact_sheet import GREEN, GREY, RED
from reid.evaluation.evaluate import Evaluation, Options
from reid.evaluation.ranked_lists import sheets
from reid.records import Samples


def samples(folder, identities, camera):
    paths = []
    for number, identity in enumerate(identities):
        path = folder / f"{identity}_{camera}_{number}.png"
        picture = np.random.default_rng(number + 100 * camera).integers(0, 256, (40, 20, 3))
        cv2.imwrite(str(path), picture.astype(np.uint8))
        paths.append(path)
    count = len(paths)
    return Samples(np.array(identities, np.int64), np.full(count, camera), np.full(count, -1), tuple(paths))


def test_the_worst_come_first_with_what_they_rank(tmp_path):
    query, gallery = samples(tmp_path, [1, 2, 9], 1), samples(tmp_path, [1, 2, 3, 3, 3], 2)
    points = np.array([[0], [10], [11], [12], [13]], np.float32)
    result = Evaluation(query, gallery, Options())(np.array([[1], [30], [0]], np.float32), points)
    (sheet,) = sheets(result, length=3)  # person 9 is not in the gallery
    borders = [[sheet.getpixel((8 + 78 * cell, 8 + 168 * row)) for cell in range(5)] for row in range(2)]
    white = (255, 255, 255)
    assert borders == [[GREY, RED, RED, RED, GREEN], [GREY, GREEN, RED, RED, white]]
    assert len(list(sheets(result, queries=2, rows=1))) == 2
    assert len(list(sheets(result, queries=1, rows=1))) == 1
