"""What `import uavpipe` loads, and what it offers."""

import subprocess
import sys
from pathlib import Path

import pytest

import uavpipe

ROOT = Path(__file__).parents[2]


def loaded(code):
    """The packages that are loaded after `code`, which are not Python's own."""
    listing = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(result.stdout.split()) - sys.stdlib_module_names


def test_the_import_loads_nothing_but_itself():
    assert loaded("import uavpipe") - loaded("") == {"uavpipe"}


def test_tables_need_no_torch():
    names = loaded("import uavpipe\nuavpipe.open, uavpipe.Detections, uavpipe.FlightConfig")
    assert "pandas" in names
    assert "torch" not in names


def test_every_name_is_there_and_no_other():
    assert {name for name in uavpipe.__all__ if not hasattr(uavpipe, name)} == set()
    assert set(uavpipe.__all__) <= set(dir(uavpipe))
    with pytest.raises(AttributeError, match="no attribute 'detekt'"):
        _ = uavpipe.detekt


def test_the_package_is_typed():
    assert (ROOT / "uavpipe" / "py.typed").exists()
    assert '"uavpipe" = ["py.typed"]' in (ROOT / "pyproject.toml").read_text("utf-8")
