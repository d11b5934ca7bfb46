"""What `pip install` brings: all that the packages need, and commands that work far from the source."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.test_readme import ROOT, commands, flights, forms, prepared, python

PACKAGES = ("annotate", "detector", "pipeline", "reid", "uavpipe")
LARGEST = 30e6  # bytes


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the packages as they are on the disk, built from a copy: the build leaves files behind."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docs", source / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "mkdocs.yml"):
        shutil.copy(ROOT / name, source)
    (source / "site").mkdir()
    (source / "site" / "index.html").write_text("built by `make docs`; no part of the wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", source / "dist", source)
    (built,) = (source / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs the words of a command in a folder, with the wheel's packages; those of others are the tests' own."""
    site = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--no-index", "--target", site, wheel)

    def run(folder, words):
        words = [sys.executable if word == "python" else word for word in words]
        path = os.pathsep.join([str(site / "bin"), os.environ["PATH"]])
        return subprocess.run(
            words,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(site), "PATH": path},
            capture_output=True,
            text=True,
        )

    return run


def pip(*words):
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, words)]
    subprocess.run(command, check=True)


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PACKAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert packed == {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    assert wheel.stat().st_size < LARGEST


def test_the_packages_are_those_of_the_wheel(installed, tmp_path):
    code = "import annotate, detector, pipeline, reid, uavpipe; print(uavpipe.__file__, pipeline.__file__)"
    shown = installed(tmp_path, ["python", "-c", code])
    assert shown.returncode == 0, shown.stderr
    assert str(ROOT) not in shown.stdout


@pytest.mark.parametrize("package", ["detector", "reid"])
def test_a_recipe_is_found_by_its_name(installed, tmp_path, package):
    shown = installed(tmp_path, ["uavpipe", package, "recipe"])
    assert "finetune" in [line.split()[0] for line in shown.stdout.splitlines()]
    text = (ROOT / package / "training" / "recipes" / "finetune.yaml").read_text("utf-8")
    assert installed(tmp_path, ["uavpipe", package, "recipe", "finetune"]).stdout == text


def test_a_recipe_that_there_is_not_is_reported_with_those_that_there_are(installed, tmp_path):
    shown = installed(tmp_path, ["uavpipe", "detector", "train", "--config", "finetnue", "--output", "out"])
    assert shown.returncode == 1
    assert shown.stderr.splitlines() == [
        "uavpipe: finetnue: no such recipe; expected a YAML file, or one of finetune, fpn, paper-c4, small"
    ]


def test_the_readme_runs_where_there_is_no_checkout(installed, tmp_path):
    flights(tmp_path)
    tried = [words for words in map(shlex.split, commands()) if Path(words[0]).name == "uavpipe"]
    assert len(tried) > 5
    for words in tried:
        shown = installed(tmp_path, ["uavpipe", *prepared(words[1:], tmp_path)])
        assert shown.returncode == 0, f"{words}: {shown.stdout}{shown.stderr}"
    assert list(tmp_path.glob("runs/flight0[12]/tracks/tracklets.parquet"))
    assert (tmp_path / "runs" / "dataset" / "dataset.parquet").exists()

    code, expected = python()
    shown = installed(tmp_path, ["python", "-c", code])
    assert shown.returncode == 0, shown.stderr
    persons = [int(count) for count in re.findall(r"^\d\.\d\d s: (\d+) persons$", shown.stdout, re.MULTILINE)]
    assert len(persons) == 8
    assert max(persons) > 0
    assert forms(shown.stdout) == forms(expected)
