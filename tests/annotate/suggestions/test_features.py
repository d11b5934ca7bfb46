import numpy as np
import pandas as pd
import pytest

from annotate.errors import AnnotateError
from annotate.operations import Seen
from annotate.suggestions.features import read_features


@pytest.fixture
def workspace(make_workspace, walk):
    return make_workspace({"f1": [walk(1, 0, 4)], "f2": [walk(2, 0, 4)]})


def embed(workspace, flight, rows, model="m"):
    path = workspace / flight / "embeddings" / "embeddings.parquet"
    path.parent.mkdir()
    pd.DataFrame(rows, columns=["frame", "rank", "feature"]).assign(model=model).to_parquet(path)
    return path


def test_colours_serve_until_every_flight_has_been_embedded(workspace):
    assert read_features(workspace, ["f1", "f2"]).source == "colours"
    embed(workspace, "f1", [(0, 0, [3.0, 4.0])])
    assert read_features(workspace, ["f1", "f2"]).source == "colours"
    embed(workspace, "f2", [(0, 0, [0.0, 2.0])])
    features = read_features(workspace, ["f1", "f2"])
    assert (features.source, features.length) == ("re-id model m", 2)
    np.testing.assert_allclose(features.flights["f1"].of([Seen(0, 0)]), [[0.6, 0.8]], atol=1e-3)  # of length 1


def test_vectors_of_two_models_are_not_compared(workspace):
    embed(workspace, "f1", [(0, 0, [1.0, 0.0])], model="one")
    embed(workspace, "f2", [(0, 0, [1.0, 0.0])], model="other")
    assert read_features(workspace, ["f1", "f2"]).source == "colours"


def test_a_detection_without_a_vector_has_that_of_the_nearest_before_it(workspace):
    embed(workspace, "f1", [(1, 0, [1.0, 0.0]), (3, 0, [0.0, 1.0])])
    embed(workspace, "f2", [(0, 0, [1.0, 0.0])])
    found = read_features(workspace, ["f1", "f2"]).flights["f1"].of([Seen(frame, 0) for frame in range(5)])
    np.testing.assert_array_equal(found, [[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]])


def test_where_nothing_is_known_all_are_zero(workspace):
    embed(workspace, "f1", [(1, 0, [1.0, 0.0])])
    embed(workspace, "f2", [(0, 0, [1.0, 0.0])])
    features = read_features(workspace, ["f1", "f2"])
    assert features.flights["f1"].of([Seen(1, 7), Seen(2, 7)]).tolist() == [[0, 0], [0, 0]]


def test_a_sample_is_of_those_that_have_a_vector_evenly_from_first_to_last(workspace):
    for flight in ("f1", "f2"):
        embed(workspace, flight, [(frame, 0, [1.0, float(frame)]) for frame in range(0, 20, 2)])
    flight = read_features(workspace, ["f1", "f2"]).flights["f1"]
    content = [Seen(frame, 0) for frame in range(1, 19)]
    ratios = [round(float(y / x)) for x, y in flight.sample(content, 4)]
    assert ratios == [2, 8, 12, 18]
    assert len(flight.sample(content, 100)) == 9
    assert len(flight.sample([Seen(1, 0)], 4)) == 0


def test_vectors_of_two_lengths_are_refused(workspace):
    embed(workspace, "f1", [(0, 0, [1.0, 0.0])])
    path = embed(workspace, "f2", [(0, 0, [1.0, 0.0, 0.0])])
    with pytest.raises(AnnotateError, match=f"{path}: vectors of 3 numbers, those of f1 have 2"):
        read_features(workspace, ["f1", "f2"])


@pytest.mark.parametrize(("value", "why"), [([np.nan, 1.0], "not a finite number"), ("text", "not a table")])
def test_a_damaged_table_is_named(workspace, value, why):
    path = embed(workspace, "f1", [(0, 0, value)])
    embed(workspace, "f2", [(0, 0, [1.0, 0.0])])
    with pytest.raises(AnnotateError, match=why) as caught:
        read_features(workspace, ["f1", "f2"])
    assert str(path) in str(caught.value)
