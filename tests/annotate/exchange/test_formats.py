"""What every format owes: what it can hold comes back, and what is wrong is named."""

import json
import os
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.errors import AnnotateError
from annotate.exchange.coco import read_coco_tracks, write_coco_tracks
from annotate.exchange.cvat import read_cvat, write_cvat
from annotate.exchange.mot import read_mot, write_mot
from annotate.exchange.records import Clip, TrackBox

pixels = st.integers(0, 4_000_000).map(lambda value: value / 1000)
sizes = st.integers(0, 500_000).map(lambda value: value / 1000)
words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=8)


@st.composite
def boxes(draw, **more):
    bbox = draw(st.tuples(pixels, pixels, sizes, sizes))
    fields = {name: draw(strategy) for name, strategy in more.items()}
    return TrackBox.from_size(draw(st.integers(0, 40)), draw(st.integers(0, 5)), bbox, **fields)


def clips(length=None, size=None, **more):
    return st.lists(boxes(**more), max_size=12).map(lambda found: Clip("f", tuple(found), length, size))


def bag(clip):
    """The boxes whatever their order."""
    return Counter(json.dumps(asdict(box), sort_keys=True) for box in clip.boxes)


mot_extra = st.sampled_from([{}, {"columns": []}, {"columns": [-1.0, -1.0]}])
mot_clips = mot_extra.flatmap(lambda extra: clips(score=pixels.filter(bool), extra=st.just(extra)))


@settings(max_examples=60, deadline=None)
@given(mot_clips)
def test_mot_comes_back(tmp_path_factory, clip):
    path = tmp_path_factory.mktemp("mot") / "f.txt"
    write_mot(path, clip)
    assert read_mot(path, "f") == clip


attributes = st.dictionaries(words.filter(lambda name: name != "identity"), words, min_size=1, max_size=2)
cvat_extra = st.fixed_dictionaries(
    {"keyframe": st.just(True), "occluded": st.booleans(), "z_order": st.just("1"), "source": words},
    optional={"attributes": attributes},
)


@settings(max_examples=60, deadline=None)
@given(clips(length=50, size=(1920, 1080), label=words, extra=cvat_extra))
def test_cvat_comes_back(tmp_path_factory, clip):
    path = tmp_path_factory.mktemp("cvat") / "f.xml"
    write_cvat(path, clip)
    again = read_cvat(path, "f")
    assert bag(again) == bag(clip)
    assert replace(again, boxes=()) == replace(clip, boxes=())


coco_extra = st.fixed_dictionaries(
    {}, optional={"area": st.just(1.5), "attributes": attributes, "occlusion": st.just(2)}
)


@settings(max_examples=60, deadline=None)
@given(clips(length=50, size=(1920, 1080), score=pixels, label=words, extra=coco_extra))
def test_coco_comes_back(tmp_path_factory, clip):
    path = tmp_path_factory.mktemp("coco") / "f.json"
    clip = replace(clip, files={frame: f"f/{frame:06d}.jpg" for frame in range(41)})
    write_coco_tracks(path, [clip])
    [again] = read_coco_tracks(path)
    assert bag(again) == bag(clip)
    assert replace(again, boxes=()) == replace(clip, boxes=(), annotated=frozenset(range(41)))


def sample(*parts):
    if "UAVPIPE_SAMPLE_DATA" not in os.environ:
        pytest.skip("UAVPIPE_SAMPLE_DATA names no folder of sample data")
    return Path(os.environ["UAVPIPE_SAMPLE_DATA"], *parts)


@pytest.mark.parametrize("name", ["gt.txt", "test.txt"])
def test_a_real_sequence_passes_through_all_formats(tmp_path, name):
    source = sample("eval", "mot15_tud", "TUD-Campus", name)
    clip = read_mot(source, "TUD-Campus")
    write_mot(tmp_path / "a.txt", clip)
    rows = [[float(value) for value in line.split(",")] for line in source.read_text().splitlines()]
    assert [[float(value) for value in line.split(",")] for line in (tmp_path / "a.txt").open()] == rows
    write_coco_tracks(tmp_path / "a.json", [clip])
    write_cvat(tmp_path / "a.xml", clip)
    for again in (*read_coco_tracks(tmp_path / "a.json"), read_cvat(tmp_path / "a.xml", "TUD-Campus")):
        places = Counter((box.frame, box.track, box.box) for box in again.boxes)
        assert places == Counter((box.frame, box.track, box.box) for box in clip.boxes)


def test_pycocotools_reads_what_is_written(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    write_coco_tracks(tmp_path / "a.json", [Clip("f", (TrackBox(3, 2, (1.0, 2.0, 11.0, 22.0)),))])
    [row] = coco.COCO(str(tmp_path / "a.json")).dataset["annotations"]
    assert (row["bbox"], row["area"], row["track_id"], row["iscrowd"]) == ([1, 2, 10, 20], 200, 2, 0)


# --- MOT


@pytest.mark.parametrize(
    "row",
    ["1,1,2,3,4", "1,1,2,3,4,5,6,7,8,9,10", "0,1,2,3,4,5", "1.5,1,2,3,4,5", "1,1,2,3,-4,5", "1,1,nan,3,4,5", "a"],
)
def test_a_bad_row_of_mot_is_named(tmp_path, row):
    (tmp_path / "f.txt").write_text(f"1,1,2,3,4,5\n\n{row}\n")
    with pytest.raises(AnnotateError, match=r"f\.txt line 3: "):
        read_mot(tmp_path / "f.txt", "f")


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "f.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AnnotateError, match="not a text file"):
        read_mot(tmp_path / "f.txt", "f")


# --- CVAT

TRACK = '<annotations>\n<track id="4" label="person">\n{}\n</track></annotations>'
BOX = '<box frame="{}" outside="{}" keyframe="1" xtl="{}" ytl="0" xbr="{}" ybr="8"/>'


def cvat(tmp_path, text):
    (tmp_path / "f.xml").write_text(text)
    return read_cvat(tmp_path / "f.xml", "f")


def test_boxes_between_keyframes_move_evenly_until_outside(tmp_path):
    rows = BOX.format(10, 0, 0, 4) + BOX.format(12, 0, 8, 12) + BOX.format(13, 1, 8, 12) + BOX.format(20, 0, 1, 2)
    clip = cvat(tmp_path, TRACK.format(rows))
    assert [(box.frame, box.track, box.box[0], box.extra["keyframe"]) for box in clip.boxes] == [
        (10, 4, 0, True),
        (11, 4, 4, False),
        (12, 4, 8, True),
        (20, 4, 1, True),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (TRACK.format('<box frame="1" xtl="0"/>'), "line 3: <box> of track 4: 'ytl' is missing"),
        (TRACK.format(BOX.format(1, 0, 9, 4)), "line 3: <box> of track 4: box"),
        (TRACK.format(BOX.format(1, 2, 0, 4)), "line 3: .*'2' where 0 or 1"),
        (TRACK.format(BOX.format("x", 0, 0, 4)), "line 3: .*'x'"),
        (TRACK.format('<polygon frame="1" points=""/>'), "line 3: <polygon> found"),
        (TRACK.format(BOX.format(0, 0, 0, 4) + BOX.format(10**9, 0, 0, 4)), "line 4: more than 2,000,000 boxes"),
        ("<annotations><image/></annotations>", "'CVAT for video 1.1'"),
        ("<other/>", "expected <annotations>"),
        ("<annotations>\n<track>", "line 2: not XML"),
        ("", "not XML"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "document type"),
        ('<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><annotations>&d;</annotations>', "document type"),
    ],
)
def test_a_bad_element_of_cvat_is_named(tmp_path, text, complaint):
    with pytest.raises(AnnotateError, match=complaint):
        cvat(tmp_path, text)


def test_what_xml_cannot_hold_is_refused(tmp_path):
    with pytest.raises(AnnotateError, match="XML cannot"):
        write_cvat(tmp_path / "f.xml", Clip("a\0b", ()))
    assert not list(tmp_path.iterdir())


# --- COCO

COCO = {
    "images": [{"id": 1, "file_name": "uav1/000002.jpg"}, {"id": 2, "file_name": "uav1/000001.jpg"}],
    "categories": [{"id": 1, "name": "person"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "track_id": 7, "bbox": [1, 2, 3, 4]}],
}


def coco(tmp_path, content):
    (tmp_path / "f.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return read_coco_tracks(tmp_path / "f.json")


def test_images_without_frame_are_numbered_by_name_in_their_folder(tmp_path):
    [clip] = coco(tmp_path, COCO)
    assert clip.name == "uav1"
    assert clip.boxes == (TrackBox(1, 7, (1, 2, 4, 6)),)
    assert clip.files == {0: "uav1/000001.jpg", 1: "uav1/000002.jpg"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"track_id": "x"}, r"annotations\.0\.track_id"),
        ({"bbox": [1, 2, 3]}, r"annotations\.0\.bbox"),
        ({"bbox": [1, 2, -3, 4]}, r"annotations\.0: box"),
        ({"image_id": 9}, r"annotations\.0: no such image or category: 9"),
        ({"category_id": 9}, r"annotations\.0: no such image or category: 9"),
    ],
)
def test_a_bad_annotation_of_coco_is_named(tmp_path, change, complaint):
    with pytest.raises(AnnotateError, match=complaint):
        coco(tmp_path, {**COCO, "annotations": [{**COCO["annotations"][0], **change}]})


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 10_000, '{"images": 1}'])
def test_what_is_no_coco_is_named(tmp_path, text):
    with pytest.raises(AnnotateError, match=r"f\.json: not COCO annotations"):
        coco(tmp_path, text)
