from pathlib import Path

import numpy as np
import pytest

from detector.annotations.coco import AnnotatedImage
from detector.evaluation.coco_ap import person_ap
from detector.evaluation.visdrone_ap import OTHERS, VisdroneImage, person_visdrone_ap, visdrone_ap
from detector.records import Detections

PEDESTRIAN, CAR = 1, 4
FIRST, SECOND, AWAY = (100, 100, 110, 120), (300, 100, 310, 120), (500, 100, 510, 120)


def array(rows):
    return np.array(rows, np.float64).reshape(-1, 4)


def image(truth=(), found=(), *, regions=(), ignored=(), classes=None, scores=None, found_classes=None):
    """The truth, then `ignored`; what is found, in the file's order, by default with falling scores."""
    boxes = [*truth, *ignored]
    scores = np.linspace(0.9, 0.1, len(found)) if scores is None else np.array(scores)
    return VisdroneImage(
        size=(1000, 800),
        regions=array(regions),
        boxes=array(boxes),
        classes=np.full(len(boxes), PEDESTRIAN) if classes is None else np.array(classes),
        ignored=np.arange(len(boxes)) >= len(truth),
        detections=array(found),
        scores=scores,
        detection_classes=np.full(len(found), PEDESTRIAN) if found_classes is None else np.array(found_classes),
    )


def ap(*images):
    return visdrone_ap(images)["AP"]


def test_everybody_found_is_one():
    figures = visdrone_ap([image([FIRST, SECOND], [FIRST, SECOND])])
    assert figures == pytest.approx({"AP": 1, "AP50": 1, "AP75": 1, "AR1": 0.5, "AR10": 1, "AR100": 1, "AR500": 1})


def test_nothing_found_is_zero_and_nobody_there_is_unknown():
    assert ap(image([FIRST])) == 0
    assert ap(image(found=[FIRST])) == -1


def test_the_iou_thresholds_begin_at_half():
    # 10 x 20 against its upper 10 x 13: IoU 0.65 reaches .50, .55, .60 and .65, itself included.
    figures = visdrone_ap([image([FIRST], [(100, 100, 110, 113)])])
    assert figures["AP50"] == 1
    assert figures["AP75"] == 0
    assert figures["AP"] == pytest.approx(4 / 10)


def test_the_precision_is_interpolated_at_every_recall():
    # right, wrong, right: recall 1/2 at precision 1, recall 1 at precision 2/3; COCO's 101 points would give
    # (51 + 50 · 2/3) / 101 = 0.835.
    assert ap(image([FIRST, SECOND], [FIRST, AWAY, SECOND])) == pytest.approx((1 + 2 / 3) / 2)


def test_a_dip_of_the_precision_is_filled_from_the_right():
    # wrong, right, right: precisions 1/2 and 2/3.
    assert ap(image([FIRST, SECOND], [AWAY, FIRST, SECOND])) == pytest.approx(2 / 3)


def test_images_are_ranked_together():
    one = image([FIRST], [FIRST], scores=[0.5])
    other = image([FIRST], [AWAY, FIRST], scores=[0.8, 0.3])
    # wrong .8, right .5, right .3
    assert ap(one, other) == pytest.approx(2 / 3)


def test_a_second_detection_of_a_person_is_wrong():
    assert ap(image([FIRST, SECOND], [FIRST, FIRST, SECOND])) == pytest.approx((1 + 2 / 3) / 2)


REGION = (200, 200, 300, 300)


@pytest.mark.parametrize(
    ("box", "dropped"),
    [
        ((190, 220, 210, 240), True),  # half inside is enough
        ((189, 220, 209, 240), True),  # the region begins one pixel early: 10 of 20 columns
        ((188, 220, 208, 240), False),
        ((290, 220, 310, 240), True),
        ((291, 220, 311, 240), False),  # but ends where it ends
        ((220, 189, 240, 209), True),
        ((220, 188, 240, 208), False),
        ((220.4, 290.4, 240.4, 310.4), True),  # in whole pixels
        ((220.6, 290.6, 240.6, 310.6), False),
    ],
)
def test_detections_half_in_a_region_are_dropped(box, dropped):
    precision = visdrone_ap([image([FIRST], [box, FIRST], regions=[REGION])])["AP50"]
    assert precision == pytest.approx(1 if dropped else 1 / 2)


def test_persons_half_in_a_region_are_dropped():
    inside = (190, 220, 210, 240)
    assert visdrone_ap([image([FIRST, inside], [FIRST], regions=[REGION])])["AR500"] == 1
    assert visdrone_ap([image([FIRST, inside], [FIRST])])["AR500"] == 0.5


def test_overlapping_regions_are_one():
    # Two thirds of the box lie in regions, no half in either; their overlap counts once.
    regions = [(0, 200, 208, 300), (202, 200, 214, 300)]
    assert ap(image([FIRST], [(200, 220, 220, 240), FIRST], regions=regions)) == 1
    assert ap(image([FIRST], [(206, 220, 226, 240), FIRST], regions=regions)) == pytest.approx(1 / 2)


def test_a_region_may_go_beyond_the_image():
    beyond = [(900, 700, 1200, 900)]
    assert ap(image([FIRST], [(950, 750, 990, 790), FIRST], regions=beyond)) == 1


def test_an_ignored_box_excuses_what_lies_in_it_any_number_of_times():
    inside = [(300, 100, 306, 110), (302, 104, 310, 120), SECOND]
    figures = visdrone_ap([image([FIRST], [*inside, FIRST], ignored=[SECOND])])
    # No detection is wrong; but the ignored box stays in the denominator of the recall.
    assert figures["AP"] == pytest.approx(1 / 2)
    assert figures["AR500"] == pytest.approx(1 / 2)


def test_the_share_in_an_ignored_box_is_asked_for_by_the_threshold():
    # 12 of its 20 rows inside: excused at .50, .55 and .60.
    half_out = (300, 92, 310, 112)
    figures = visdrone_ap([image([FIRST], [half_out, FIRST], ignored=[SECOND])])
    assert figures["AP"] == pytest.approx((3 * 1 / 2 + 7 * 1 / 4) / 10)


def test_a_person_comes_before_an_ignored_box():
    around = (90, 90, 120, 130)
    assert visdrone_ap([image([FIRST], [FIRST], ignored=[around])])["AR500"] == pytest.approx(1 / 2)


def test_500_of_an_image_count_and_the_recall_is_told_for_less():
    grid = [(x * 20, y * 30, x * 20 + 10, y * 30 + 20) for x in range(40) for y in range(15)]
    figures = visdrone_ap([image(grid, grid)])
    recalls = [figures[f"AR{cap}"] * 600 for cap in (1, 10, 100, 500)]
    assert recalls == pytest.approx([1, 10, 100, 500])
    assert figures["AP"] == pytest.approx(500 / 600)


def test_the_first_of_the_file_count_not_the_best():
    figures = visdrone_ap([image([FIRST], [AWAY, FIRST], scores=[0.1, 0.9])])
    assert (figures["AR1"], figures["AR10"]) == (0, 1)
    assert figures["AP"] == 1


def test_the_cap_counts_all_classes_and_what_regions_left():
    cars = image([FIRST], [SECOND, FIRST], found_classes=[CAR, PEDESTRIAN])
    assert visdrone_ap([cars])["AR1"] == 0
    dropped = image([FIRST], [(220, 220, 240, 240), FIRST], regions=[REGION])
    assert visdrone_ap([dropped])["AR1"] == 1


def test_a_class_weighs_as_many_times_as_images_contain_it():
    pedestrians = [image([FIRST], [FIRST]) for _ in range(3)]
    missed_car = image([FIRST, SECOND], [FIRST], classes=[PEDESTRIAN, CAR])
    assert ap(*pedestrians, missed_car) == pytest.approx((4 * 1 + 1 * 0) / 5)


def test_classes_are_matched_each_by_itself():
    wrong_class = image([FIRST, SECOND], [FIRST, SECOND], classes=[PEDESTRIAN, CAR], found_classes=[CAR, CAR])
    # Pedestrians: nothing found. Cars: wrong, right.
    assert ap(wrong_class) == pytest.approx((0 + 1 / 2) / 2)


def test_others_are_no_class():
    with_others = image([FIRST, SECOND], [FIRST, AWAY], classes=[1, OTHERS], found_classes=[1, OTHERS])
    assert ap(with_others) == 1


def random_images():
    """Four images with all of it: regions, score 0, classes 1 to 11, ties, 700 detections, no order in the file."""
    random = np.random.RandomState(1)  # its stream is the same in every version of NumPy
    for count, regions in ((60, 3), (700, 0), (130, 2), (15, 1)):
        size = random.randint(150, 260, 2)
        sides = random.randint(1, 40, (45, 2))
        corners = (random.uniform(0, 1, (45, 2)) * (size - sides)).astype(int)
        truth = np.c_[corners, corners + sides].astype(float)
        classes = random.randint(1, OTHERS + 1, 45)
        source = random.randint(0, 45, count)
        moved = np.round(random.normal(0, 2, (count, 4)) * 4) / 4 * (random.uniform(size=(count, 1)) < 0.7)
        found = truth[source] + moved
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 0.25)
        found_classes = np.where(random.uniform(size=count) < 0.8, classes[source], random.randint(1, 12, count))
        yield VisdroneImage(
            size=(int(size[0]), int(size[1])),
            regions=truth[:regions],
            boxes=truth[regions:],
            classes=classes[regions:],
            ignored=random.uniform(size=45 - regions) < 0.2,
            detections=found,
            scores=random.randint(0, 200, count) / 200,
            detection_classes=found_classes,
        )


def test_equal_to_the_official_toolkit():
    # What VisDrone2018-DET-toolkit (commit 0054457) makes of `random_images` in Octave 7.3, in percent.
    expected = {
        "AP": 18.4795414696,
        "AP50": 25.8184285969,
        "AP75": 17.8563060228,
        "AR1": 0.5831403825,
        "AR10": 8.4572723201,
        "AR100": 33.8705381699,
        "AR500": 43.0554994368,
    }
    figures = visdrone_ap(list(random_images()))
    assert {name: 100 * value for name, value in figures.items()} == pytest.approx(expected, abs=1e-8)


def test_persons_of_coco_annotations():
    none = np.zeros((0, 4), np.float32)
    truth = AnnotatedImage(
        Path("x.jpg"),
        (1000, 800),
        boxes=np.array([FIRST], np.float32),
        regions=np.array([REGION], np.float32),
        ignored_persons=np.array([SECOND], np.float32),
    )
    found = Detections(np.array([(220, 220, 240, 240), FIRST], np.float32), np.array([0.9, 0.8], np.float32))
    assert person_visdrone_ap([truth], [found], [(1000, 800)])["AP"] == pytest.approx(1 / 2)
    assert person_ap([truth], [found])["AP"] == pytest.approx(1)
    empty = AnnotatedImage(Path("x.jpg"), (9, 9), none, none)
    assert person_visdrone_ap([empty], [found], [(9, 9)])["AP"] == -1
