"""The Dockerfile, read without Docker: what it copies, installs and starts is there."""

import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pipeline.cli.doctor import _LIBGL

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
KNOWN = {"FROM", "ARG", "RUN", "WORKDIR", "COPY", "ENV", "ENTRYPOINT", "CMD"}


def instructions():
    """The instructions in their order: name and the rest, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def all_of(wanted):
    return [rest for name, rest in instructions() if name == wanted]


def sources():
    return [word for rest in all_of("COPY") for word in rest.split()[:-1]]


def arguments():
    return dict(rest.split("=", 1) for rest in all_of("ARG"))


def sent(name):
    """Whether .dockerignore lets `name` through; the last rule that matches decides."""
    kept = True
    for rule in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if rule and not rule.startswith("#") and fnmatch(name, rule.lstrip("!")):
            kept = rule.startswith("!")
    return kept


def test_every_instruction_is_one_of_docker():
    assert {name for name, _ in instructions()} == KNOWN
    assert instructions()[0][0] == "FROM"


@pytest.mark.parametrize("source", sources())
def test_what_is_copied_is_there_and_sent(source):
    assert (ROOT / source).exists()
    assert sent(source)


def test_nothing_else_is_sent():
    others = {path.name for path in ROOT.iterdir()} - set(sources())
    assert {"tests", ".git"} <= others
    assert [name for name in others if sent(name)] == []


def test_all_packages_are_copied_and_all_that_their_build_reads():
    packages = {name.rstrip("*") for name in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    read = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert set(sources()) == packages | read | {"constraints.txt"}


def test_a_folder_keeps_its_name():
    for rest in all_of("COPY"):
        *names, target = rest.split()
        assert target == "./" or names == [target]


def test_the_extra_is_the_projects():
    (install,) = [rest for rest in all_of("RUN") if "${EXTRA}" in rest]
    assert shlex.split(install)[-1] == ".[${EXTRA}]"
    assert arguments()["EXTRA"] in PROJECT["project"]["optional-dependencies"]


def test_every_variable_is_an_argument():
    used = set(re.findall(r"\$\{(\w+)\}", (ROOT / "Dockerfile").read_text("utf-8")))
    assert used == set(arguments())


def test_the_system_packages_are_those_that_doctor_names():
    (install,) = [rest for rest in all_of("RUN") if "apt-get install" in rest]
    packages = re.search(r"--no-install-recommends ([^&]+) &&", install)[1].split()
    assert f"apt-get install {' '.join(packages)} " in _LIBGL


def test_python_is_new_enough():
    version = re.fullmatch(r"python:(\d+)\.(\d+)-slim-\w+", instructions()[0][1])
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["project"]["requires-python"])
    assert tuple(map(int, version.groups())) >= tuple(map(int, least.groups()))


def test_it_starts_the_program():
    (entry,) = all_of("ENTRYPOINT")
    assert entry == '["uavpipe"]'
    assert "uavpipe" in PROJECT["project"]["scripts"]


def test_the_commands_of_the_page_name_arguments_that_there_are():
    page = (ROOT / "docs" / "install.md").read_text("utf-8") + (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"--build-arg (\w+)=", page))
    assert named == {"TORCH"}
    assert named <= set(arguments())
