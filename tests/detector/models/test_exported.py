from pathlib import Path

import pytest

from detector.config import DetectorConfig
from detector.errors import DetectorError
from detector.models.exported import FORMAT, describe_export, read_openvino_header
from detector.models.presets import ARCHITECTURES
from detector.models.weights import WeightsSource, resolve, source_of

CONFIG = DetectorConfig(floor=0.03, nms_iou=0.4, max_detections=77)


def write(folder, entries):
    """As OpenVINO writes what a model says of itself."""
    quoted = {key: value.replace("&", "&amp;").replace('"', "&quot;") for key, value in entries.items()}
    rows = "".join(f'<{key} value="{value}"/>' for key, value in quoted.items())
    path = folder / "small.xml"
    path.write_text(
        f'<?xml version="1.0"?><net name="m"><layers/><rt_info><uavpipe>{rows}</uavpipe></rt_info></net>'
    )
    path.with_suffix(".bin").write_bytes(b"weights")
    return path


@pytest.fixture
def entries():
    return describe_export(
        CONFIG,
        WeightsSource(
            Path("small.safetensors"), "0" * 64, "uavpipe", ARCHITECTURES["small"], "small", terms="my flights"
        ),
        FORMAT,
    )


def test_what_was_described_is_read(entries, tmp_path):
    header = read_openvino_header(write(tmp_path, entries))
    assert header.architecture == ARCHITECTURES["small"]
    assert header.answers.model_dump() == {"floor": 0.03, "nms_iou": 0.4, "max_detections": 77}
    assert header.terms == "my flights"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": "another"}, "not a detector of this project"),
        ({"architecture": "{"}, "description is damaged"),
        ({"answers": '{"floor": 7}'}, "description is damaged"),
        ({"answers": "[]"}, "description is damaged"),
    ],
)
def test_a_foreign_or_damaged_description_is_refused(entries, change, expected, tmp_path):
    with pytest.raises(DetectorError, match=rf"small.xml: .*{expected}"):
        read_openvino_header(write(tmp_path, entries | change))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no xml",
        "<net>",
        '<!DOCTYPE n [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><net>&b;</net>',
        '<!DOCTYPE n [<!ENTITY a SYSTEM "file:///etc/passwd">]><net>&a;</net>',
    ],
)
def test_what_is_no_xml_or_a_hostile_one_is_refused(text, entries, tmp_path):
    path = write(tmp_path, entries)
    path.write_text(text)
    with pytest.raises(DetectorError, match=r"small.xml: not an OpenVINO model"):
        read_openvino_header(path)


def test_the_weights_must_lie_beside_it(entries, tmp_path):
    path = write(tmp_path, entries)
    path.with_suffix(".bin").unlink()
    with pytest.raises(DetectorError, match=r"small.bin: no such file"):
        read_openvino_header(path)


def test_the_hash_covers_both_files(entries, tmp_path):
    path = write(tmp_path, entries)
    config = DetectorConfig(backend="openvino", weights=str(path))
    before = source_of(config)
    assert before.kind == "openvino"
    path.with_suffix(".bin").write_bytes(b"other weights")
    assert source_of(config).sha256 != before.sha256


def test_another_backend_says_which_runs_it(entries, tmp_path):
    with pytest.raises(DetectorError, match=r"set detector.backend: openvino to run it"):
        resolve(str(write(tmp_path, entries)), None)


def test_a_preset_of_another_architecture_is_refused(entries, tmp_path):
    config = DetectorConfig(backend="openvino", weights=str(write(tmp_path, entries)), preset="fpn")
    with pytest.raises(DetectorError, match="weights of 'small', but the configuration says preset 'fpn'"):
        source_of(config)
