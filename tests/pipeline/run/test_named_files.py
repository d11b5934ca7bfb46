"""What a configuration names is looked for before a run begins."""

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.config.models import load_config


def run(*arguments):
    return CliRunner().invoke(main, ["run", *map(str, arguments)])


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("reid.recipe=gone.yaml", "reid.recipe: gone.yaml: no such configuration file"),
        ("reid.recipe=wrong.yaml", "reid.recipe: wrong.yaml: iterations: input should be"),
        ("reid.recipe=init.yaml", "reid.recipe: init: gone.pth: no such file; expected a checkpoint, or one of"),
        ("reid.recipe=heads.yaml", "reid.recipe: init_heads: 'random' has no heads"),
        ("detector.weights=gone.safetensors", "detector.weights: gone.safetensors: no such checkpoint"),
        ("telemetry=gone.srt", "telemetry: gone.srt: no such telemetry file"),
        ("terrain=gone.tif", "terrain: gone.tif: no such file; expected a terrain model, a GeoTIFF"),
        ("report.truth=gone.txt", "report.truth: gone.txt: no such ground truth"),
    ],
)
@pytest.mark.parametrize("how", [("--dry-run",), ()])
def test_what_is_missing_is_told_before_anything_is_run(tmp_path, monkeypatch, setting, told, how):
    monkeypatch.chdir(tmp_path)
    for name, content in {"wrong": "iterations: many", "init": "init: gone.pth"}.items():
        (tmp_path / f"{name}.yaml").write_text(content)
    (tmp_path / "heads.yaml").write_text("init: random\ninit_heads: true")
    result = run("video.mp4", *how, "--set", setting)  # the video is missing too, and is said of its flight
    assert result.exit_code == 1
    assert result.output.startswith(f"uavpipe: {told}")
    assert len(result.output.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_what_no_stage_needs_may_be_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("reid.recipe=gone.yaml", "report.truth=gone.txt", "telemetry=gone.srt", "detector.weights=gone.pth")
    settings = [word for name in names for word in ("--set", name)]
    result = run(*settings, "--from", "dataset", "--until", "dataset", "--dry-run")
    assert result.exit_code == 0, result.output
    told = run(*settings, "--dry-run").output
    assert all(name.partition("=")[0] in told for name in names)


def test_a_recipe_by_name_is_found_from_a_configuration_elsewhere(tmp_path):
    (tmp_path / "flight.yaml").write_text("video: a.mp4\nreid: {recipe: finetune}")
    assert str(load_config(tmp_path / "flight.yaml").reid.recipe) == "finetune"
    (tmp_path / "flight.yaml").write_text("video: a.mp4\nreid: {recipe: mine.yaml}")
    assert load_config(tmp_path / "flight.yaml").reid.recipe == tmp_path / "mine.yaml"
