"""What a pretended GPU cannot show: kernels beyond int32, the order of additions, memory."""

import cv2
import numpy as np
import pytest
import torch

from detector.backends.torchvision import GPU_BATCH, Predictor
from detector.config import DetectorConfig, Resize
from detector.errors import DetectorError
from detector.models.faster_rcnn import build
from detector.models.presets import ARCHITECTURES
from pipeline.chain.table import CROPS
from pipeline.config.models import FlightConfig, FramesConfig
from pipeline.engine.progress import progress_bar
from pipeline.run.flight import run_stages

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")


def pictures(count, size=(216, 384)):
    return np.random.default_rng(5).integers(0, 256, (count, *size, 3)).astype(np.uint8)


@pytest.mark.parametrize("preset", ARCHITECTURES)
def test_a_batch_with_as_many_rois_as_there_can_be_is_judged_as_its_images_alone(preset):
    torch.manual_seed(0)
    architecture = ARCHITECTURES[preset]
    model = build(architecture).cuda().eval()
    width, height = architecture.resize.size(1920, 1080)
    corners = (
        torch.rand(architecture.proposals[1], 2, device="cuda") * torch.tensor([width - 80, height - 160]).cuda()
    )
    boxes = torch.cat([corners, corners + torch.tensor([40, 100]).cuda()], dim=1)
    judged = []
    model.roi_heads.postprocess_detections = lambda logits, *others: judged.append(logits) or ([], [], [])
    with torch.inference_mode(), torch.autocast("cuda", torch.float16):
        for images in (1, GPU_BATCH):
            features = model.backbone(torch.zeros(images, 3, height, width, device="cuda") + 0.1)
            model.roi_heads(features, [boxes] * images, [(height, width)] * images)
    alone, together = judged
    assert together.isfinite().all()
    assert together.abs().sum() > 0
    for part in together.split(len(boxes)):
        torch.testing.assert_close(part, alone, rtol=2e-2, atol=2e-2)


def test_an_image_is_found_alike_alone_and_in_a_batch():
    predictor = Predictor.load(DetectorConfig(weights="embedded", precision="fp32", floor=0.02))
    prepared = [predictor.preprocess(picture) for picture in pictures(GPU_BATCH)]
    for one, expected in zip(prepared, predictor.predict(prepared), strict=True):
        (alone,) = predictor.predict([one])
        assert len(alone) == len(expected)
        np.testing.assert_allclose(alone.boxes, expected.boxes, rtol=1e-3, atol=0.05)


def test_the_same_flight_twice_gives_the_same_bytes(tmp_path):
    frames = tmp_path / "flight"
    frames.mkdir()
    for number, picture in enumerate(pictures(40)):
        cv2.imwrite(str(frames / f"{number}.png"), picture)
    detector = DetectorConfig(weights="embedded", resize=Resize(width=320, height=320), floor=0.02, threshold=0.1)
    found = []
    for workspace in (tmp_path / "first", tmp_path / "second"):
        config = FlightConfig(workspace=workspace, detector=detector, frames=FramesConfig(segment_frames=20))
        run_stages(config, frames, CROPS, progress_bar)
        files = [path for path in workspace.rglob("*") if path.suffix in (".parquet", ".jpg") and path.is_file()]
        found.append({path.relative_to(workspace): path.read_bytes() for path in files})
    assert found[0] == found[1]


def test_too_large_a_batch_is_one_line_and_a_smaller_one_works_afterwards():
    config = DetectorConfig(weights="embedded", resize=Resize(width=4096, height=4096))
    predictor = Predictor.load(config)
    (picture,) = pictures(1, (2048, 2048))
    prepared = predictor.preprocess(picture)
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        with pytest.raises(DetectorError, match=r"the GPU's memory ran out; set a lower detector\.batch_size"):
            predictor.predict([prepared] * 64)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert len(predictor.predict([prepared])) == 1
