"""The notebook for newcomers runs as it is, and what it shows was made by such a run."""

import json
import re
from pathlib import Path

import pytest

from tests.test_words import found_in

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "first-flight.ipynb"
LARGEST = 400e3  # bytes
CELLS = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
TEXTS = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown"]


def forms(cells):
    """What each cell gave, by kind: the shape of the outputs without their figures."""
    return [[form(output) for output in cell["outputs"]] for cell in cells if cell["cell_type"] == "code"]


def form(output):
    return sorted(output.get("data", {})) or re.sub(r"\d+", "0", "".join(output["text"]))


def pictures(cells):
    return [
        output for cell in cells for output in cell.get("outputs", ()) if "image/jpeg" in output.get("data", {})
    ]


@pytest.mark.timeout(600)
def test_it_runs_and_gives_what_it_shows(tmp_path):
    pytest.importorskip("ipykernel", reason="a notebook needs ipykernel: pip install '.[dev]'")
    pytest.importorskip("nbclient", reason="notebooks are run by nbclient: pip install '.[dev]'")
    from docs.notebook import executed

    notebook = executed(tmp_path)
    assert forms(notebook.cells) == forms(CELLS)
    assert len(pictures(notebook.cells)) == 5
    assert "the first answer is right" in json.dumps(notebook)
    assert (tmp_path / "runs" / "searches.jsonl").exists()


def test_its_outputs_are_there_and_small():
    assert NOTEBOOK.stat().st_size < LARGEST
    code = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert len(pictures(CELLS)) == 5
    assert [each for cell in code for each in cell["outputs"] if each.get("name") == "stderr"] == []


def test_its_prose_is_as_that_of_the_pages():
    prose = re.sub(r"`[^`]*`", "", "\n".join(TEXTS))
    assert "\n".join(found_in(prose)) == ""
    assert [line for text in TEXTS for line in text.splitlines() if len(line) > 116] == []


def test_its_links_lead_somewhere():
    links = [link for text in TEXTS for link in re.findall(r"\]\(([^)#]+)", text)]
    assert len(links) > 3
    assert [link for link in links if not (NOTEBOOK.parent / link).exists()] == []
