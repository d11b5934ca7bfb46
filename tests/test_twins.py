"""`detector` and `reid` do not import each other: what both need for training is written in both, and is equal."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ERRORS = {"detector": "DetectorError", "reid": "ReidError"}
OPENVINO = {"detector": "backends/openvino_runtime.py", "reid": "openvino_runtime.py"}
TWINS = (
    "RunFolder.append",
    "RunFolder.open_log",
    "RunFolder.resumable",
    "RunFolder.save_state",
    "RunFolder.state",
    "RunFolder.torn",
    "_Run._follow",
    "_Run.any_process",
    "_accelerator",
    "_is_row",
    "_stop_request",
    "atomic_file",
    "device_errors",
    "forget_after",
    "import_openvino",
    "is_packaged",
    "load_core",
    "own_signal_stack",
    "recipe_file",
    "recipe_names",
    "usable_device",
)


def functions(package):
    """The code of every function of a package's training, files and device, by its name within its module."""
    found = {}
    folder = ROOT / package
    single = (folder / each for each in ("files.py", "device.py", OPENVINO[package]))
    for path in (*single, *sorted((folder / "training").rglob("*.py"))):
        for node in ast.parse(path.read_text("utf-8")).body:
            prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
            parts = node.body if prefix else [node]
            found |= {f"{prefix}{part.name}": part for part in parts if isinstance(part, ast.FunctionDef)}
    return {name: ast.unparse(part).replace(ERRORS[package], "Error") for name, part in found.items()}


def file_functions(package):
    """The code of the functions of a package's `files.py`, by name."""
    body = ast.parse((ROOT / package / "files.py").read_text("utf-8")).body
    return {node.name: ast.unparse(node) for node in body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", ["open_regular", "read_regular"])
@pytest.mark.parametrize("package", ["annotate", "detector", "reid"])
def test_all_packages_open_files_alike(package, name):
    assert file_functions(package)[name] == file_functions("pipeline")[name]


@pytest.mark.parametrize("name", TWINS)
def test_twins_are_equal(name):
    first, second = (functions(package)[name] for package in ERRORS)
    assert first == second
