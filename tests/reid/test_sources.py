import pytest

from reid.errors import ReidError
from reid.sources import image_files


@pytest.fixture
def tree(tmp_path):
    for name in ("b/2.jpg", "a/10.PNG", "a/9.jpg", "a/notes.txt", "c.jpeg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_a_folders_images_in_the_order_of_their_names(tree):
    names = [path.relative_to(tree).as_posix() for path in image_files(tree)]
    assert names == ["a/10.PNG", "a/9.jpg", "b/2.jpg", "c.jpeg"]


def test_what_a_folder_has_besides_is_left_or_told(tree, caplog):
    before = image_files(tree)
    for name in ("._c.jpeg", "a/._9.jpg", "Thumbs.db", ".DS_Store", "__MACOSX/c.jpg", "@eaDir/c.jpg"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(b"\0")
    assert image_files(tree) == before
    assert not caplog.text
    for name in ("b/x.HEIC", "b/2.png"):
        (tree / name).touch()
    assert image_files(tree) == sorted([*before, tree / "b/2.png"])
    assert "1 images not read, as x.HEIC; convert them" in caplog.text
    assert "2 images differ from another only in their ending, as 2.jpg, 2.png" in caplog.text


def test_a_lists_images_in_the_lists_order(tree):
    (tree / "list.txt").write_text("b/2.jpg\n\na/9.jpg\n")
    (tree / "list.csv").write_text("identity,path\n3,b/2.jpg\n4,a/9.jpg\n")
    expected = [tree / "b/2.jpg", tree / "a/9.jpg"]
    assert image_files(tree / "list.txt") == image_files(tree / "list.csv") == expected


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "/etc/passwd", "gone.jpg", "a", "link/x.jpg", "x\0y", "x" * 5000]
)
def test_a_list_leads_nowhere_else(tree, name):
    inner = tree / "inner"
    inner.mkdir()
    (tree / "secret.jpg").write_bytes(b"")
    (tree / "outside").mkdir()
    (tree / "outside" / "x.jpg").write_bytes(b"")
    (inner / "link").symlink_to(tree / "outside")
    (inner / "list.txt").write_text(f"\n{name}\n")
    with pytest.raises(ReidError, match=r"list\.txt line 2: '.*' is not a file in"):
        image_files(inner / "list.txt")


def test_what_is_no_source_is_one_line(tree):
    (tree / "empty").mkdir()
    (tree / "other.csv").write_text("picture,identity\na,3\n")
    (tree / "binary.txt").write_bytes(b"\xff\xfe\x00\xd8")
    for name, complaint in {
        "empty": "no images",
        "missing.txt": "no such folder or list",
        "other.csv": "expected a column 'path' .*, found picture, identity",
        "binary.txt": "not a list of images",
    }.items():
        with pytest.raises(ReidError, match=complaint):
            image_files(tree / name)
