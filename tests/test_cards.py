import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import cards

CARD = """# A card

<!-- measured: {kind}
{rows}
-->

{table}

<!-- end of measured -->

The rest stays.
"""


def test_the_figures_of_a_detector_are_those_of_its_evaluation(tmp_path):
    from detector.backends.load import load_predictor
    from detector.config import DataSource, DetectorConfig
    from detector.evaluation.evaluate import evaluate

    (tmp_path / "tiny").mkdir()
    image = np.random.default_rng(1).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "tiny" / "a.png"), image)
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 128, "height": 96}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 20, 40], "area": 800, "iscrowd": 0}
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "tiny.json").write_text(json.dumps(content))
    card = CARD.format(
        kind="detector",
        rows="One picture <- tiny resize={width: 128, height: 128}\nNo data <- nothing",
        table="| data | AP50 | before |\n|---|---|---|\n| One picture | 9.999 | 0.5 |\n| No data | 0.123 | 0.4 |",
    )
    found = cards.rewrite(card, tmp_path)
    config = DetectorConfig(weights="embedded", resize={"width": 128, "height": 128}, floor=0.01)
    source = DataSource(annotations=tmp_path / "tiny.json", images=tmp_path / "tiny")
    expected = evaluate(load_predictor(config), source)["AP50"]
    assert found == card.replace("9.999", f"{expected:.3f}")


def test_the_figures_of_an_embedder_are_those_of_its_evaluation(tmp_path):
    for folder, camera in (("query", 1), ("bounding_box_test", 2)):
        (tmp_path / "two" / folder).mkdir(parents=True)
        for person, colour in ((1, (200, 40, 40)), (2, (40, 40, 200))):
            noise = np.random.default_rng((person, camera)).integers(-30, 30, (64, 32, 3))
            image = (np.array(colour) + noise).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "two" / folder / f"{person:04d}_c{camera}s1_000001_00.png"), image)
    card = CARD.format(
        kind="reid",
        rows="Two persons: mAP / rank-1 <- two",
        table="| data | this network | another |\n|---|---|---|\n| Two persons: mAP / rank-1 | 0 / 0 | 0.1 / 0.2 |",
    )
    assert cards.rewrite(card, tmp_path) == card.replace("| 0 / 0 |", "| 1.000 / 1.000 |")


def test_without_data_a_card_stays_as_it_is(tmp_path):
    for card in cards.CARDS:
        text = card.read_text("utf-8")
        assert cards.rewrite(text, tmp_path) == text


@pytest.mark.parametrize("card", cards.CARDS, ids=lambda card: card.parts[-3])
def test_each_row_that_is_to_be_measured_is_in_its_table(card):
    tables = cards._TABLE.findall(card.read_text("utf-8"))
    assert tables
    for _, rows, table in tables:
        titles = [cards._cells(line)[0] for line in table.splitlines() if line.startswith("|")]
        assert {row.split(" <- ")[0] for row in rows.splitlines()} <= set(titles)


def test_without_any_data_the_command_names_the_rows_and_fails(tmp_path, monkeypatch, capsys):
    mine = Path(shutil.copy(cards.CARDS[1], tmp_path / "CARD.md"))
    monkeypatch.setattr("sys.argv", ["cards.py", str(tmp_path), str(mine)])
    with pytest.raises(SystemExit) as stopped:
        cards.main()
    assert stopped.value.code.startswith(f"{tmp_path}: none of the data that the cards name")
    rows = cards._TABLE.search(mine.read_text("utf-8"))[2].splitlines()
    expected = [f"left as it was: {row.split(' <- ')[0]}" for row in rows]
    assert capsys.readouterr().out.splitlines() == expected
    assert mine.read_text("utf-8") == cards.CARDS[1].read_text("utf-8")


def test_the_command_rewrites_the_given_cards_alone(tmp_path, monkeypatch, capsys):
    mine = Path(shutil.copy(cards.CARDS[0], tmp_path / "CARD.md"))
    monkeypatch.setitem(cards._KINDS, "detector", lambda data, settings: {"AP50": data.name})
    monkeypatch.setattr("sys.argv", ["cards.py", str(tmp_path), str(mine)])
    cards.main()
    assert "| 42 VisDrone-DET images of other clips | 0.141 | visdrone | 0.084 |" in mine.read_text("utf-8")
    line = f"measured on {tmp_path / 'visdrone'}: 42 VisDrone-DET images of other clips\n"
    assert line in capsys.readouterr().out
