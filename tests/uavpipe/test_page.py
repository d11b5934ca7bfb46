"""What docs/python.md says: its columns are those of the tables, its code runs."""

import re
import shutil
from pathlib import Path

from uavpipe import columns

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text("utf-8")
NAMES = ("flights", "frames", "detections", "crops", "tracklets", "identities", "sightings", "answers")


def test_the_columns_are_those_of_the_tables():
    told = {
        section.split("\n", 1)[0]: dict(re.findall(r"^\| (\w+) \| ([^|]+) \|", section, re.MULTILINE)[1:])
        for section in re.split("^### ", PAGE, flags=re.MULTILINE)[1:]
    }
    told["answers"] |= told["sightings"]
    assert {name: list(told[name].items()) for name in NAMES} == {
        name: list(getattr(columns, name.upper()).items()) for name in NAMES
    }


def test_the_code_runs(folder, tmp_path, monkeypatch, squares):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "f1").rename(tmp_path / "flight01")
    (tmp_path / "runs" / "f1").rename(tmp_path / "runs" / "flight01")
    shutil.copyfile(tmp_path / "flight01" / "003.png", tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    quick = [block for block in blocks if "uavpipe.train(" not in block and ".find(" not in block]
    assert len(quick) == len(blocks) - 2 == 5
    names = {}
    for block in quick:
        exec(block.replace("flight01.mp4", "flight01"), names)  # the flights here are folders of images
    assert len(names["person"]) > 0
    assert len(names["long"]) == len(names["runs"]["flight01"].tracklets) > 0
    assert names["same"].boxes.tolist() == names["found"].boxes.tolist()
