"""One meaning of a file, whatever its dialect; what it cannot mean here is refused or counted."""

import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.errors import AnnotateError
from annotate.exchange.admit import FlightFacts, Reading, admit, choose, read_clips
from annotate.exchange.source import open_source

FLIGHT = FlightFacts("flight01", 6, (1280, 720))
BOXES = [(frame, track, (100.0 * track + 3 * frame, 50.0, 20.0, 40.0)) for frame in range(6) for track in (1, 2)]


def read(path, facts=FLIGHT, **said):
    reading, source = Reading(**said), open_source(path)
    return admit(source, choose(source, read_clips(source, reading.first_frame), "flight01"), facts, reading)


def places(found):
    return [(box.frame, box.track, box.ltwh) for box in found.persons]


def mot(tail, boxes=BOXES, first=1, separator=",", end="\n"):
    rows = [[frame + first, track, *box, *tail] for frame, track, box in boxes]
    return "".join(separator.join(f"{value:g}" for value in row) + end for row in rows)


def coco(boxes=BOXES, first=0, name="frame_id", size=(1280, 720), scale=1, attributes=False, label="person"):
    frames = sorted({frame for frame, _, _ in boxes})
    sides = {"width": size[0], "height": size[1]}
    annotations = []
    for number, (frame, track, box) in enumerate(boxes):
        own = {"attributes": {"track_id": track}} if attributes else {"track_id": track}
        bbox = [side * scale for side in box]
        annotations.append({"id": number, "image_id": frame, "category_id": 1, "bbox": bbox, "area": None, **own})
    images = [{"id": frame, "video_id": 1, name: frame + first, **sides} for frame in frames]
    videos, categories = [{"id": 1, "name": "flight01"}], [{"id": 1, "name": label}]
    return json.dumps({"videos": videos, "images": images, "annotations": annotations, "categories": categories})


def cvat(boxes=BOXES, meta="<task><size>6</size></task>", label="person", more="", task=""):
    tracks = []
    for track in sorted({track for _, track, _ in boxes}):
        rows = "".join(
            f'<box frame="{frame}" outside="0" keyframe="1" xtl="{x}" ytl="{y}" xbr="{x + w}" ybr="{y + h}"/>'
            for frame, number, (x, y, w, h) in boxes
            if number == track
        )
        tracks.append(f'<track id="{track}" label="{label}"{task}>{rows}</track>')
    return f"<annotations><meta>{meta}</meta>{''.join(tracks)}{more}</annotations>"


def cvat_images(label="person"):
    rows = []
    for frame in range(6):
        inside = "".join(
            f'<box label="{label}" xtl="{x}" ytl="{y}" xbr="{x + w}" ybr="{y + h}">'
            f'<attribute name="identity">{track}</attribute></box>'
            for at, track, (x, y, w, h) in BOXES
            if at == frame
        )
        rows.append(f'<image id="{frame}" name="frame_{frame:06d}" width="1280" height="720">{inside}</image>')
    return f"<annotations>{''.join(rows)}</annotations>"


PROJECT = (
    "<project><name>all</name><tasks>"
    "<task><id>4</id><name>flight01.mp4</name><size>6</size></task>"
    "<task><id>5</id><name>flight02.mp4</name><size>9</size></task></tasks></project>"
)
OTHER_TASK = '<track id="1" label="person" task_id="5"><box frame="8" xtl="0" ytl="0" xbr="5" ybr="5"/></track>'

SAME = {
    "results.txt": mot([-1, -1, -1, -1]),
    "bare.txt": mot([]),
    "scored.txt": mot([0.5]),
    "mot15.txt": mot([1, 4.25, 0.5, 0]),
    "mot17.txt": mot([1, 1, 0.75]),
    "visdrone.txt": mot([1, 2, 0, 1]),
    "visdrone_results.txt": mot([0.5, 1, -1, -1]),
    "mark.txt": "\ufeff" + mot([1, 1, 1]),
    "commas.txt": mot([1, 1, 1], end=",\r\n\r\n"),
    "spaces.txt": mot([1, 1, 1], separator=" "),
    "from_0.json": coco(),
    "from_1.json": coco(first=1),
    "tao.json": coco(name="frame_index"),
    "attributes.json": coco(attributes=True),
    "large.json": coco(size=(3840, 2160), scale=3),
    "half.json": coco(size=(640, 360), scale=0.5),
    "capital.json": coco(label="Pedestrian"),
    "video.xml": cvat(),
    "CAPITAL.XML": cvat(),
    "person.xml": cvat(label="Person"),
    "german.xml": cvat(label="Fußgänger"),
    "chinese.xml": cvat(label="行人"),
    "images.xml": cvat_images(),
    "project.xml": cvat(meta=PROJECT, task=' task_id="4"', more=OTHER_TASK),
}


@pytest.mark.parametrize("name", SAME)
def test_every_dialect_is_read_to_the_same_boxes(tmp_path, name):
    (tmp_path / name).write_text(SAME[name], encoding="utf-8")
    found = read(tmp_path / name)
    assert places(found) == BOXES
    assert found.left_out.total() == 0


@pytest.mark.parametrize(
    ("inside", "name"),
    [
        ("annotations.xml", "video.xml"),
        ("annotations/instances_default.json", "from_0.json"),
        ("gt/gt.txt", "mot17.txt"),
    ],
)
def test_the_zip_of_an_export_is_read(tmp_path, inside, name):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr(inside, SAME[name])
        archive.writestr("images/frame_000000.png", b"")
    assert places(read(tmp_path / "export.zip")) == BOXES


def test_a_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("data.yaml", "")
    with pytest.raises(AnnotateError, match="expected one file of annotations"):
        read(tmp_path / "export.zip")


def test_classes_of_a_mot_export_have_their_names_beside(tmp_path):
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt" / "gt.txt").write_text(mot([1, 3, 1]))
    (tmp_path / "gt" / "labels.txt").write_text("car\ndog\nperson\n")
    assert places(read(tmp_path / "gt" / "gt.txt")) == BOXES


def test_a_sequence_of_another_length_is_refused(tmp_path):
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt" / "gt.txt").write_text(mot([1, 1, 1]))
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nseqLength=7\nimWidth=1280\nimHeight=720\n")
    with pytest.raises(AnnotateError, match=r"7 frames, the flight flight01 has 6"):
        read(tmp_path / "gt" / "gt.txt")


MIXED = [(BOXES[:6], [1, 1, 1]), (BOXES[6:8], [0, 1, 1]), (BOXES[8:9], [0, 12, 1]), (BOXES[9:], [1, 3, 1])]
VISDRONE = [(BOXES[:6], [1, 1, 0, 0]), (BOXES[6:8], [0, 2, 0, 0]), (BOXES[8:], [1, 4, 0, 0])]


@pytest.mark.parametrize(
    ("text", "left_out", "ignored"),
    [
        ("".join(mot(tail, boxes) for boxes, tail in MIXED), {"marked as not to be used": 2, "car": 3}, 1),
        ("".join(mot(tail, boxes) for boxes, tail in VISDRONE), {"car": 4}, 2),
    ],
)
def test_flags_and_classes_are_obeyed_and_counted(tmp_path, text, left_out, ignored):
    (tmp_path / "f.txt").write_text(text)
    found = read(tmp_path / "f.txt")
    assert places(found) == BOXES[:6]
    assert {why: count for why, count in found.left_out.items() if count} == left_out
    assert len(found.clip.boxes) == 6 + ignored
    labels = found.for_labels()
    assert len(labels.clip.boxes) == 6
    assert len(labels.clip.boxes) + labels.left_out.total() == labels.read == len(BOXES)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("f.txt", mot([1, 3, 1]), r"labels are 'car' \(12\).*--person"),
        ("f.txt", mot([1, 14, 1]), "line 1: expected MOTChallenge's classes, 1 to 13, found 14"),
        ("f.txt", mot([1, 1, 2]), r"labels are 'class 1' \(12\).*--person"),
        ("f.txt", mot([0.9, 0, -1]), r"labels are 'class 0' \(12\).*--person"),
        ("f.txt", mot([1, 12, 0, 0]), "line 1: expected VisDrone's category from 0 to 11"),
        ("f.txt", mot([1, 1, 1]) + mot([1]), "line 13: 7 numbers, but 9 in line 1"),
        ("f.txt", mot([1, 1, 1], first=0), "line 1: expected frames from 1 up, found frame 0.*--first-frame 0"),
        ("f.txt", mot([1, 1, 1], first=2), r"has frame 6 \(from 0\), the flight flight01 has 6 frames"),
        ("f.txt", mot([1], [(0, 1, (3000, 50, 20, 40))]), "reach to 3020×90 px.*1280×720"),
        ("f.txt", "frame,id,x,y,w,h\n", "line 1: expected numbers and commas, found 'frame,id"),
        ("f.json", coco(label="car"), r"labels are 'car' \(12\).*--person"),
        (
            "f.json",
            coco(size=(1279, 720)),
            "frames of 1279×720, the flight flight01 has 1280×720: no clean multiple",
        ),
        ("f.json", coco(size=(1920, 1440)), "frames of 1920×1440, .*1280×720: no clean multiple"),
        ("f.json", coco(BOXES[4:8], first=0), "frames are 2 to 3, .* has 6 frames: .*--first-frame"),
        ("f.json", coco(first=4), "frames are 4 to 9, .* has 6 frames: .*--first-frame"),
        ("f.xml", cvat(label="dog"), r"labels are 'dog' \(12\).*--person"),
        ("f.xml", cvat(meta="<task><size>5</size></task>"), "a video of 5 frames, the flight flight01 has 6"),
        ("f.xml", cvat(meta=PROJECT.replace("flight01", "other"), task=' task_id="4"', more=OTHER_TASK), "--task"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_sides(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(AnnotateError, match=rf"{name}.*{complaint}"):
        read(tmp_path / name)


def test_the_user_names_the_persons_and_the_first_frame(tmp_path):
    (tmp_path / "f.xml").write_text(cvat(label="Swimmer"))
    assert places(read(tmp_path / "f.xml", persons=("swimmer",))) == BOXES
    with pytest.raises(AnnotateError, match=r"no label 'diver'; its labels are 'Swimmer' \(12\)"):
        read(tmp_path / "f.xml", persons=("diver",))
    (tmp_path / "f.txt").write_text(mot([1, 1, 1], first=0))
    assert places(read(tmp_path / "f.txt", first_frame=0)) == BOXES
    (tmp_path / "f.json").write_text(coco(BOXES[4:8]))
    assert places(read(tmp_path / "f.json", first_frame=1)) == [(f - 1, track, box) for f, track, box in BOXES[4:8]]


def test_persons_without_a_track_are_no_identities(tmp_path):
    (tmp_path / "f.txt").write_text(mot([0.9, -1, -1, -1], [(frame, -1, box) for frame, _, box in BOXES]))
    with pytest.raises(
        AnnotateError, match="no person with a track: 12 boxes read, 0 used; left out: 12 without a t"
    ):
        read(tmp_path / "f.txt").for_labels()


@pytest.mark.parametrize("what", ["track_id", "bbox", "id", "image_id", "category_id"])
@pytest.mark.parametrize("value", [None, "x", [1, None, 3, 4], True, {}, float("nan")])
def test_a_bad_value_is_named_in_our_words(tmp_path, what, value):
    content = json.loads(coco())
    content["annotations"][3][what] = value
    (tmp_path / "f.json").write_text(json.dumps(content))
    if what == "id":  # nothing refers to it
        assert places(read(tmp_path / "f.json")) == BOXES
        return
    with pytest.raises(AnnotateError, match=r"annotations\.3") as error:
        read(tmp_path / "f.json")
    assert not any(word in str(error.value) for word in ("NoneType", "valid", "Field required", "Error", "tuple"))


# --- CVAT's tracks

KEYED = '<box frame="{}" outside="{}" keyframe="{}" xtl="{x}" ytl="0" xbr="{x2}" ybr="8"/>'


def track(tmp_path, *rows, meta=""):
    boxes = "".join(KEYED.format(frame, outside, key, x=x, x2=x + 4) for frame, outside, key, x in rows)
    text = f'<annotations><meta>{meta}</meta><track id="4" label="person">{boxes}</track></annotations>'
    (tmp_path / "f.xml").write_text(text)
    found = read(tmp_path / "f.xml", FlightFacts("flight01"))
    return [(box.frame, box.box[0]) for box in found.persons], found.left_out.total()


def test_a_stale_box_between_keyframes_is_replaced_and_counted(tmp_path):
    rows = [(0, 0, 1, 0), (1, 0, 0, 4), (2, 0, 0, 90), (3, 0, 1, 12), (4, 1, 1, 12), (5, 0, 0, 12)]
    assert track(tmp_path, *rows) == ([(0, 0), (1, 4), (2, 8), (3, 12)], 2)


def test_boxes_after_the_last_keyframe_are_its(tmp_path):
    assert track(tmp_path, (0, 0, 1, 5), (1, 0, 0, 5), (2, 0, 0, 5)) == ([(0, 5), (1, 5), (2, 5)], 0)


def test_between_the_frames_of_a_task_with_a_step_there_are_no_boxes(tmp_path):
    meta = (
        "<task><size>4</size><start_frame>10</start_frame><stop_frame>19</stop_frame>"
        "<frame_filter>step=3</frame_filter></task>"
    )
    assert track(tmp_path, (10, 0, 1, 0), (16, 0, 1, 12), meta=meta) == ([(10, 0), (13, 6), (16, 12)], 0)


def images(names, image=2, bbox=(10, 20, 30, 40), more=()):
    """COCO as CVAT writes it: frames by the images' names alone, a track in the attributes."""
    rows = [{"id": number, "file_name": name, "width": 1280, "height": 720} for number, name in enumerate(names)]
    boxes = [{"id": 1, "image_id": image, "category_id": 1, "bbox": bbox, "attributes": {"track_id": 5}}, *more]
    return json.dumps({"images": rows, "annotations": boxes, "categories": [{"id": 1, "name": "person"}]})


@pytest.mark.parametrize(
    ("names", "frame"),
    [
        ([f"frame_{frame:06d}.PNG" for frame in range(6)], 2),
        ([f"default/frame_{frame:06d}.PNG" for frame in (0, 2, 5)], 5),  # a task with a step, or with holes
        ([f"{number}.jpg" for number in (10, 2, 1, 3, 4, 5)], 0),  # in natural order, as those of a flight
        ([f"frame_{frame:06d}.jpg" for frame in range(1, 7)], 2),
    ],
)
def test_images_without_a_number_are_counted_by_their_names(tmp_path, names, frame):
    (tmp_path / "f.json").write_text(images(names))
    assert places(read(tmp_path / "f.json")) == [(frame, 5, (10, 20, 30, 40))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            images([f"frame_{frame % 3:06d}.PNG" for frame in range(6)]),
            "several images of .* are called frame_000000",
        ),
        (images(["frame_000002.PNG", "frame_000003.PNG", "frame_000004.PNG"]), "--first-frame"),
        (images(["a.jpg", "b.jpg", "c.jpg"]), "a video of 3 frames, the flight flight01 has 6"),
        (
            images([f"{n}.jpg" for n in range(6)], bbox=(1200, 600, 1270, 710)),
            "two corners: write left, top, width",
        ),
    ],
)
def test_images_that_do_not_tell_their_frames_or_boxes_are_refused(tmp_path, text, message):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(AnnotateError, match=message):
        read(tmp_path / "f.json")


def test_a_track_twice_in_a_frame_is_announced(tmp_path):
    (tmp_path / "f.txt").write_text("1,2,10,10,20,20,1,-1,-1,-1\n1,2,100,10,20,20,1,-1,-1,-1\n")
    assert "1 boxes have the track of another one in their frame" in read(tmp_path / "f.txt").for_labels().account()


@pytest.mark.parametrize(
    ("turned", "around"),
    [("0.0", (100, 200, 140, 220)), ("90", (110, 190, 130, 230)), ("-450", (110, 190, 130, 230))],
)
def test_of_a_turned_box_the_upright_one_around_it_is_taken(tmp_path, turned, around):
    # 40 x 20 px about (120, 210), turned by a quarter: 20 x 40.
    sides = f'outside="0" keyframe="1" xtl="100" ytl="200" xbr="140" ybr="220" rotation="{turned}"'
    track = f'<track id="1" label="person"><box frame="0" {sides}/></track>'
    (tmp_path / "f.xml").write_text(f"<annotations>{track}</annotations>")
    (box,) = read(tmp_path / "f.xml").persons
    assert box.box == pytest.approx(around)


BEGINNING = (
    "<task><size>5</size><start_frame>0</start_frame><stop_frame>4</stop_frame><source>flight01.MP4</source>"
    "<original_size><width>1280</width><height>720</height></original_size></task>"
)


def test_a_task_on_the_first_frames_of_the_flight_is_taken_with_a_word(tmp_path):
    (tmp_path / "f.xml").write_text(cvat(BOXES[:8], meta=BEGINNING))
    found = read(tmp_path / "f.xml")
    assert places(found) == BOXES[:8]
    assert (
        "a task on the first 5 frames, the flight flight01 has 6: the others are not annotated" in found.account()
    )


@pytest.mark.parametrize(
    ("told", "instead"),
    [
        ("flight01.MP4", "flight02.MP4"),  # another video
        ("<width>1280", "<width>640"),  # of another size, a clean multiple or not
        ("<start_frame>0</start_frame>", ""),
        ("<stop_frame>4<", "<stop_frame>5<"),
        ("<size>5<", "<size>7<"),
        ("<source>flight01.MP4</source>", ""),
    ],
)
def test_a_task_that_does_not_prove_to_be_on_the_first_frames_is_refused(tmp_path, told, instead):
    (tmp_path / "f.xml").write_text(cvat(BOXES[:8], meta=BEGINNING.replace(told, instead)))
    with pytest.raises(AnnotateError, match=r"export from a task on the flight|no clean multiple"):
        read(tmp_path / "f.xml")


def test_identities_and_numbers_of_tracks_are_kept_apart(tmp_path):
    named = '<box frame="0" xtl="0" ytl="0" xbr="4" ybr="8"><attribute name="identity">7</attribute></box>'
    plain = '<box frame="0" xtl="50" ytl="0" xbr="54" ybr="8"/>'
    tracks = f'<track id="1" label="person">{named}</track><track id="7" label="person">{plain}</track>'
    (tmp_path / "f.xml").write_text(f"<annotations>{tracks}</annotations>")
    assert [box.track for box in read(tmp_path / "f.xml").persons] == [7, 8]


def test_a_persons_name_is_no_identity(tmp_path):
    box = '<box frame="0" xtl="0" ytl="0" xbr="4" ybr="8">\n<attribute name="identity">Anna</attribute></box>'
    (tmp_path / "f.xml").write_text(f'<annotations><track id="1" label="person">{box}</track></annotations>')
    with pytest.raises(AnnotateError, match=r"line 2: .*identity is 'Anna'; expected a whole number"):
        read(tmp_path / "f.xml")


def test_a_job_may_be_a_part_of_the_flight(tmp_path):
    (tmp_path / "f.xml").write_text(cvat(meta="<job><size>4</size></job>"))
    assert places(read(tmp_path / "f.xml")) == BOXES


def test_a_skeleton_is_one_shape_whatever_it_consists_of(tmp_path):
    part = '<track id="0" label="nose"><points frame="0"/><box frame="0" xtl="0" ytl="0" xbr="1" ybr="1"/></track>'
    (tmp_path / "f.xml").write_text(cvat(more=f'<track id="9" label="dog"><skeleton frame="0"/>{part}</track>'))
    assert read(tmp_path / "f.xml").account() == "13 boxes read, 12 used; left out: 1 skeleton of dog"


def test_ids_as_text_are_those_as_numbers(tmp_path):
    content = json.loads(coco())
    for row in content["annotations"]:
        row["image_id"], row["category_id"] = str(row["image_id"]), str(row["category_id"])
    (tmp_path / "f.json").write_text(json.dumps(content))
    assert places(read(tmp_path / "f.json")) == BOXES


@pytest.mark.parametrize(
    ("rows", "row", "complaint"),
    [
        ("categories", {"id": 1, "name": "car"}, r"categories\.1: .* twice"),
        ("categories", {"id": 2, "name": "person"}, r"categories\.1: .* twice"),
        ("images", {"id": 0, "video_id": 1, "frame_id": 7}, "twice, near image 0"),
        ("images", {"id": 9, "video_id": 1, "frame_id": 5}, "twice, near image 0"),
        ("images", {"id": 0, "file_name": "other/1.jpg"}, "has the id of another video's"),
        ("images", {"id": 9, "video_id": 3}, r"images\.6: there is no video 3"),
        ("annotations", {"image_id": 77, "category_id": 1}, r"annotations\.12: no such image or category: 77"),
    ],
)
def test_what_occurs_twice_or_is_not_listed_is_named(tmp_path, rows, row, complaint):
    content = json.loads(coco())
    content[rows].append(row)
    (tmp_path / "f.json").write_text(json.dumps(content))
    with pytest.raises(AnnotateError, match=complaint):
        read(tmp_path / "f.json")


def test_other_shapes_are_counted_where_they_are_no_persons(tmp_path):
    road = '<track id="9" label="road"><polygon frame="0" points=""/></track>'
    (tmp_path / "f.xml").write_text(cvat(more=road))
    found = read(tmp_path / "f.xml")
    assert places(found) == BOXES
    assert found.account() == "13 boxes read, 12 used; left out: 1 polygon of road"


# --- at random

whole = st.integers(0, 700).map(float)
sides = st.integers(1, 80).map(float)
persons = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 4), st.tuples(whole, whole, sides, sides)),
    min_size=1,
    max_size=8,
    unique_by=lambda each: each[:2],
)
WRITERS = {
    "results.txt": lambda boxes: mot([-1, -1, -1, -1], boxes),
    "mot17.txt": lambda boxes: mot([1, 1, 1], boxes, end=",\n"),
    "visdrone.txt": lambda boxes: "\ufeff" + mot([1, 1, 0, 0], boxes),
    "f.json": lambda boxes: coco([*boxes, (0, 9, (1.0, 1.0, 2.0, 2.0))], attributes=True),
    "f.xml": lambda boxes: cvat(boxes, meta="<task><size>6</size></task>"),
}


def separate(boxes):
    """Each box as a track of its own, so that nothing is between two keyframes."""
    return [(frame, 10 + place, box) for place, (frame, _, box) in enumerate(sorted(boxes))]


@settings(max_examples=25, deadline=None)
@given(persons, st.sampled_from(sorted(WRITERS)))
def test_a_random_file_of_any_dialect_has_the_same_boxes(tmp_path_factory, boxes, name):
    boxes = separate(boxes)
    path = tmp_path_factory.mktemp("a") / name
    path.write_text(WRITERS[name](boxes), encoding="utf-8")
    found = [each for each in places(read(path)) if each[1] != 9]
    assert sorted(found) == sorted(boxes)


MUTATED = {
    "class": ("f.txt", lambda boxes: mot([1, 3, 1], boxes)),
    "flag": ("f.txt", lambda boxes: mot([0, 1, 1], boxes)),
    "category": ("f.txt", lambda boxes: mot([1, 4, 0, 0], boxes)),
    "label": ("f.xml", lambda boxes: cvat(boxes, label="car")),
    "size": ("f.json", lambda boxes: coco([*boxes, (0, 9, (1.0, 1.0, 2.0, 2.0))], size=(2560, 1440), scale=2)),
    "offset": ("f.txt", lambda boxes: mot([1, 1, 1], [(frame + 6, *rest) for frame, *rest in boxes])),
    "ids": ("f.txt", lambda boxes: mot([1, 1, 1], [(frame, -1, box) for frame, _, box in boxes])),
}


@settings(max_examples=25, deadline=None)
@given(persons, st.sampled_from(sorted(MUTATED)))
def test_a_file_that_means_something_else_is_never_read_as_the_same_without_a_word(tmp_path_factory, boxes, what):
    name, write = MUTATED[what]
    path = tmp_path_factory.mktemp("a") / name
    path.write_text(write(separate(boxes)), encoding="utf-8")
    try:
        found = read(path).for_labels()
    except AnnotateError as error:
        assert name in str(error)
    else:
        assert found.left_out.total() or found.notes
        assert what == "size"
