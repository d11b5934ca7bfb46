import numpy as np
import pytest

from reid.errors import ReidError
from reid.labels import read_labels


def table(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def test_columns_become_samples_with_the_same_numbers_in_all_tables(tmp_path):
    query = table(tmp_path, "q.csv", "identity,camera,flight,tracklet\n3,1,north,5\n-1,2,east,\n0,0,north,7\n")
    gallery = table(tmp_path, "g.csv", "tracklet,flight,identity\n5,north,3\n5,east,4\n")
    first, second = read_labels([query, gallery])
    assert first.identities.tolist() == [3, -1, 0]
    assert first.cameras.tolist() == [1, 2, 0]
    assert second.cameras.tolist() == [0, 0]
    # ("east", "5"), ("north", "5"), ("north", "7"): a tracklet's name counts within its flight
    assert first.tracklets.tolist() == [1, -1, 2]
    assert second.tracklets.tolist() == [1, 0]
    flights = read_labels([query, gallery], "flight")
    assert [samples.cameras.tolist() for samples in flights] == [[1, 0, 1], [1, 0]]


def test_altitudes_are_metres_or_unknown(tmp_path):
    mixed = table(tmp_path, "q.csv", "identity,altitude\n1,20.5\n2,\n")
    none = table(tmp_path, "g.csv", "identity,altitude_m\n1,\n")
    first, second = read_labels([mixed, none])
    np.testing.assert_equal(first.altitudes, [20.5, np.nan])
    assert second.altitudes.shape == (0,)
    bad = table(tmp_path, "b.csv", "identity,altitude_m\n1,high\n")
    with pytest.raises(ReidError, match=r"b\.csv line 2: altitude_m 'high': expected metres, or nothing"):
        read_labels([bad])


def test_names_tell_identity_camera_and_flight(tmp_path):
    names = ["0002_c1s1_000451_03.jpg", "-1_c3s2_000001_00.jpg", "0000_c12s1_1_1.png"]
    listed = table(tmp_path, "q.csv", "path\n" + "\n".join(names) + "\nx/0005_c2_f0046985.jpg\n")
    (samples,) = read_labels([listed])
    assert samples.identities.tolist() == [2, -1, 0, 5]
    assert samples.cameras.tolist() == [1, 3, 12, 2]
    assert (samples.tracklets == -1).all()
    assert samples.paths == ()
    with pytest.raises(ReidError, match="needs every crop's flight"):
        read_labels([listed], "flight")
    one, other = (table(tmp_path, f"{n}.csv", f"path\n{rows}\n") for n, rows in enumerate(names[:2]))
    flights = read_labels([one, other, one], "flight")
    assert [samples.cameras.tolist() for samples in flights] == [[0], [1], [0]]


def test_paths_stay_within_their_folder(tmp_path):
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "a.jpg").write_bytes(b"")
    (tmp_path / "secret.jpg").write_bytes(b"")
    good = table(tmp_path, "q.csv", "identity,path\n1,a.jpg\n")
    bad = table(tmp_path, "g.csv", "identity,path\n1,a.jpg\n1,../secret.jpg\n")
    (samples,) = read_labels([good], folders=[tmp_path / "crops"])
    assert samples.paths == (tmp_path / "crops" / "a.jpg",)
    with pytest.raises(ReidError, match=r"g\.csv line 3: '\.\./secret\.jpg' is not a file in"):
        read_labels([good, bad], folders=[tmp_path / "crops", tmp_path / "crops"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("identity,camera\nanna,1\n", r"line 2: identity 'anna': expected a whole number from -1 up"),
        ("identity,camera\n-2,1\n", "line 2: identity '-2'"),
        ("identity,camera\n1,c1\n", "line 2: camera 'c1': expected a whole number from 0 up"),
        ("identity,camera\n\u0661,1\n", "line 2: identity"),
        ("identity,camera\n" + "9" * 30 + ",1\n", "line 2: identity"),
        ("identity\n", "no rows; expected one for each crop"),
        ("name\nx\n", r"expected a column 'identity' \(or pid, .*\), found name"),
        ("id,camera\n1,1\n", "expected a column 'identity'"),  # of a row, an image, or a person
        ("pid,person_id\n1,1\n", "columns pid and person_id both mean 'identity'"),
        ("identity,camera\n1,1,x.jpg\n", "line 2: more fields than the 2 columns"),
        ("identity,camera\n1.5,1\n", "line 2: identity '1.5'"),
        ("path\nx.jpg\n", "line 2: 'x.jpg' has no identity and camera"),
        ("path\n0002_c1s1234567890_1.jpg\n", "has no identity"),
        ("", "expected a column 'identity' .*, found none"),
    ],
)
def test_a_bad_table_is_named_with_its_line(tmp_path, text, complaint):
    path = table(tmp_path, "labels.csv", text)
    with pytest.raises(ReidError, match=complaint) as error:
        read_labels([path])
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "identity,camera,tracklet,path\n3,1,t,a.jpg\n4,2,u,b.jpg\n",
        "pid,camid,tracklet_id,img_path\n3,1,t,a.jpg\n4,2,u,b.jpg\n",
        "PID;Cam ID;Track-ID;Filename\r\n3;1;t;a.jpg\r\n4;2;u;b.jpg\r\n",
        "person_id\tcamera_id\ttrack\tfile\n3.0\t1.0\tt\ta.jpg\n4.0\t2.0\tu\tb.jpg\n",
    ],
)
def test_tables_of_others_are_read_as_what_they_are(tmp_path, text, caplog):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    (found,) = read_labels([table(tmp_path, "q.csv", text)], folders=[tmp_path])
    assert (found.identities.tolist(), found.cameras.tolist()) == ([3, 4], [1, 2])
    assert found.tracklets.tolist() == [0, 1]
    assert [path.name for path in found.paths] == ["a.jpg", "b.jpg"]
    assert not caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "identity,colour,size\n0,red,3\n1,red,4\n",
            "columns not used: colour, size; known ones: identity, camera",
        ),
        ("pid\n0\n1\n", "1 rows have 0 in the column pid, which is a distractor; if persons count from 0"),
    ],
)
def test_what_of_a_table_may_be_misread_is_told(tmp_path, text, told, caplog):
    assert len(read_labels([table(tmp_path, "q.csv", text)])[0]) == 2
    assert told in caplog.text


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("1,a.jpg,train\n1,b.jpg,train\n1,a.jpg,train\n", "line 4: .*a.jpg has a row in line 2 already; give"),
        ("1,a.jpg,train\n2,a.jpg,query\n", "line 3: .*a.jpg has a row in line 2 already, as identity 1;"),
        ("1,a.jpg,query\n1,a.jpg,gallery\n", None),
    ],
)
def test_a_crop_has_one_row(tmp_path, rows, complaint):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    path = table(tmp_path, "q.csv", f"identity,path,split\n{rows}")
    if complaint is None:
        assert len(read_labels([path], folders=[tmp_path])[0]) == 2
        return
    with pytest.raises(ReidError, match=complaint):
        read_labels([path], folders=[tmp_path])


def test_what_is_no_table_is_said(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00identity")
    for path, complaint in ((tmp_path / "none.csv", "no such file"), (tmp_path / "x.csv", "not a table of labels")):
        with pytest.raises(ReidError, match=complaint):
            read_labels([path])
    with pytest.raises(ReidError, match="the protocol needs every crop's flight"):
        read_labels([table(tmp_path, "q.csv", "identity\n1\n")], "flight")
    assert np.array_equal(read_labels([table(tmp_path, "q.csv", "\ufeffidentity\n1\n")])[0].cameras, [0])
