"""The tutorial's configuration, with the lines that it adds later; tests/test_docs.py parses its commands."""

import re
from pathlib import Path

import yaml

from pipeline.config.models import load_config

TUTORIAL = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text("utf-8")


def test_the_configuration_is_valid_at_each_step(tmp_path):
    blocks = re.findall(r"^(?: {4}.*\n)+", TUTORIAL, re.MULTILINE)
    steps = [found for text in blocks if isinstance(found := _mapping(text), dict) and "videos" in found]
    assert len(steps) == 3
    whole = {}
    for step in steps:
        whole |= step
        (tmp_path / "flight.yaml").write_text(yaml.safe_dump(whole))
        config = load_config(tmp_path / "flight.yaml")
        assert [path.name for path in config.flights[:1]] == ["flight01.mp4"]
    assert [place.name for place in config.places] == ["fountain", "gate"]
    assert (config.detector.threshold, str(config.reid.recipe), config.camera.fov_deg) == (0.6, "finetune", 65)


def _mapping(text):
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:  # commands, or what they print
        return None
