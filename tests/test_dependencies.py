"""Whether whoever installs the project gets what it imports."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("annotate", "detector", "pipeline", "reid", "uavpipe")
EXTRAS = ("cuhk03", "detect", "onnx", "openvino", "ray", "terrain", "train")  # a command that needs one says so
BUILT = {"detectron2"}  # is on no index; `make detectron2` builds it


def imported():
    """The packages of others that the product's modules import at any place: {name: a module that does}."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {name.partition(".")[0]: path.relative_to(ROOT).as_posix() for name in names}
    return {name: path for name, path in found.items() if name not in {*sys.stdlib_module_names, *PACKAGES}}


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in EXTRAS)]
    declared = {plain(re.match(r"[\w.-]+", each).group()) for entries in lists for each in entries}
    distributions = packages_distributions()
    packages = imported()
    assert len(packages) > 25
    missing = {
        name: path
        for name, path in packages.items()
        if name not in BUILT and not declared & {plain(each) for each in distributions.get(name, [name])}
    }
    assert missing == {}
