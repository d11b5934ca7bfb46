"""`detector` and `reid` do not import each other; what both need to train is written in both, and stays equal."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"detector": "DetectorError", "reid": "ReidError"}
TWINS = (
    "_Run._follow",
    "_Run.any_process",
    "RunFolder.append",
    "RunFolder.open_log",
    "RunFolder.resumable",
    "RunFolder.state",
    "RunFolder.torn",
    "_accelerator",
    "_is_row",
    "_stop_request",
    "forget_after",
)


class OneError(ast.NodeTransformer):
    """Each package has its own exception; here they are one."""

    def visit_Name(self, node):
        return ast.Name("Error", node.ctx) if node.id in PACKAGES.values() else node


def functions(package):
    """Every function of a package's training, by its name within its module."""
    found = {}
    for path in sorted((ROOT / package / "training").glob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                found[node.name] = node
            elif isinstance(node, ast.ClassDef):
                found |= {
                    f"{node.name}.{part.name}": part for part in node.body if isinstance(part, ast.FunctionDef)
                }
    return found


@pytest.mark.parametrize("name", TWINS)
def test_twins_are_equal(name):
    first, second = (ast.unparse(OneError().visit(functions(package)[name])) for package in PACKAGES)
    # Docstrings name the package's exception too.
    assert first.replace(PACKAGES["detector"], "Error") == second.replace(PACKAGES["reid"], "Error")
