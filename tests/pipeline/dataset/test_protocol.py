import json

import pytest

from pipeline.dataset.protocol import protocol_of


@pytest.mark.parametrize("protocol", ["flight", "tracklet", "strict"])
def test_a_data_set_of_uavpipe_is_evaluated_by_the_protocol_it_was_made_for(tmp_path, protocol):
    (tmp_path / "statistics.json").write_text(json.dumps({"protocol": protocol, "crops": 4}))
    assert protocol_of(str(tmp_path)) == protocol_of(f"market:{tmp_path}") == protocol


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"protocol": "mine"}', '{"protocol": ["flight"]}'])
def test_other_data_are_evaluated_by_market(tmp_path, text):
    assert protocol_of(str(tmp_path)) == protocol_of(None) == "market"
    (tmp_path / "statistics.json").write_text(text)
    assert protocol_of(str(tmp_path)) == "market"


def test_a_published_data_set_is_evaluated_by_market(tmp_path):
    (tmp_path / "statistics.json").write_text('{"protocol": "flight"}')
    assert protocol_of(f"market1501:{tmp_path}") == "market"
    assert protocol_of(str(tmp_path / "crops.csv")) == "market"
