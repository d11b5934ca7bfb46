import numpy as np

from pipeline.stages.crops import sharpness


def test_blur_lowers_sharpness():
    import cv2

    noise = np.random.default_rng(0).integers(0, 256, (96, 48, 3), np.uint8)
    blurred = [cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (1, 2, 4)]
    values = [sharpness(image) for image in (noise, *blurred)]
    assert values == sorted(values, reverse=True)
    assert sharpness(np.full((40, 20, 3), 90, np.uint8)) == 0
