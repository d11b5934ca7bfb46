import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.models import FlightConfig
from pipeline.config.yaml import apply_settings, parse_yaml, read_yaml_mapping, validate
from pipeline.errors import PipelineError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOMB, "line 2: aliases"),
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' appears twice"),
        ("[" * 100 + "]" * 100, "nested deeper than 30"),
        ("a: [1, 2\n", "line 2"),
        ("a: !!python/object/apply:os.system ['touch owned']\n", "line 1"),
        ("a: \x00\n", "not valid YAML"),
    ],
)
def test_hostile_yaml_is_one_line_that_names_the_place(text, expected):
    with pytest.raises(PipelineError) as caught:
        parse_yaml(text, "flight.yaml")
    assert expected in str(caught.value)
    assert str(caught.value).startswith("flight.yaml:")
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_text_parses_or_is_refused(text):
    try:
        parse_yaml(text, "any")
    except PipelineError as error:
        assert str(error).startswith("any:")


@given(st.binary(max_size=200))
def test_any_bytes_in_a_file_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("yaml") / "flight.yaml"
    path.write_bytes(data)
    try:
        assert isinstance(read_yaml_mapping(path), dict)
    except PipelineError as error:
        assert str(path) in str(error)


def test_a_file_of_lines_that_are_no_mapping_is_refused(tmp_path):
    path = tmp_path / "flight.yaml"
    path.write_text("- one\n- two\n")
    with pytest.raises(PipelineError, match="expected 'key: value' lines, found list"):
        read_yaml_mapping(path)


def test_a_large_file_is_refused_unread(tmp_path):
    path = tmp_path / "flight.yaml"
    path.write_text("#" * 1_000_001)
    with pytest.raises(PipelineError, match="at most 1000000"):
        read_yaml_mapping(path)


def test_settings_lie_over_the_content_and_leave_it_alone():
    content = {"detector": {"floor": 0.05, "threshold": 0.8}}
    changed = apply_settings(content, ["detector.threshold=0.6", "crops.every=5", "workspace=out"])
    assert changed == {
        "detector": {"floor": 0.05, "threshold": 0.6},
        "crops": {"every": 5},
        "workspace": "out",
    }
    assert content == {"detector": {"floor": 0.05, "threshold": 0.8}}


@pytest.mark.parametrize("setting", ["detector.threshold", "=3", "detector..x=1", "video.x=1"])
def test_a_setting_of_another_form_is_refused(setting):
    with pytest.raises(PipelineError, match="--set"):
        apply_settings({"video": "a.mp4"}, [setting])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"detector": {"treshold": 0.5}}, "detector.treshold: unknown key; did you mean 'threshold'?"),
        ({"flights": 3}, "flights: unknown key"),
        ({"detector": {"resize": {"widht": 9}}}, "resize.widht: unknown key; did you mean 'width'?"),
        ({"crops": {"every": 0}}, "crops.stride: input should be greater than or equal to 1, not 0"),
        ({"crops": {"quality": "high"}}, "crops.quality: input should be a valid integer"),
        ({"video": "a.mp4", "videos": ["b.mp4"]}, "either 'video' or 'videos'"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(content, expected):
    with pytest.raises(PipelineError) as caught:
        validate(content, FlightConfig, "flight.yaml")
    assert expected in str(caught.value)
    assert str(caught.value).startswith("flight.yaml: ")
    assert "\n" not in str(caught.value)
