"""One detector by PyTorch, ONNX Runtime and OpenVINO, frames a second on the CPU.

    make openvino
    uavpipe detector export embedded --out small.onnx
    uavpipe detector export embedded --out small-int8.xml --calibrate other_flight.mp4
    python benchmarks/detector_backends.py flight.mp4 --onnx small.onnx --int8 small-int8.xml

Each gets the same scaled frames, as many at once as it asks for (PyTorch: a one-threaded forward a core, its best
here), and they take turns; medians are printed, since a shared machine drifts.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from detector.backends.images import Prepared
from detector.backends.load import load_predictor
from detector.backends.protocol import PersonDetector
from detector.config import DetectorConfig
from pipeline.video import open_video


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--weights", default="embedded")
    parser.add_argument("--onnx", type=Path, help="the same weights, exported")
    parser.add_argument("--int8", type=Path, help="the same weights, exported with --calibrate")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    config = DetectorConfig(weights=given.weights, device="cpu")
    backends = {
        "PyTorch fp32": {},
        "OpenVINO fp32": {"backend": "openvino", "precision": "fp32"},
        "OpenVINO": {"backend": "openvino"},
    }
    if given.int8:
        backends["OpenVINO int8"] = {"backend": "openvino", "weights": str(given.int8)}
        backends["OpenVINO int8, else fp32"] = backends["OpenVINO int8"] | {"precision": "fp32"}
    detectors = {name: load_predictor(config.model_copy(update=change)) for name, change in backends.items()}
    prepared = [detectors["PyTorch fp32"].preprocess(image) for image in frames(given.video, given.frames)]
    runs = {name: over(detector) for name, detector in detectors.items()}
    if given.onnx:
        runs["ONNX Runtime fp32"] = over_onnx(given.onnx)
    report(measure(runs, prepared, given.rounds))


def frames(path: Path, count: int) -> list[np.ndarray]:
    """`count` of them, from all over the video."""
    video = open_video(path)
    wanted = set(np.linspace(0, video.frame_count - 1, count).astype(int))
    return [frame.image for frame in video.read_all() if frame.index in wanted]


def over(detector: PersonDetector) -> Callable[[list[Prepared]], None]:
    threads = ThreadPoolExecutor(detector.workers)
    return lambda images: list(threads.map(lambda image: detector.predict([image]), images)) and None


def over_onnx(path: Path) -> Callable[[list[Prepared]], None]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: list[Prepared]) -> None:
        for image in images:
            session.run(None, {"image": image.tensor[None].contiguous().numpy()})

    return run


def measure(runs: dict[str, Callable], prepared: list[Prepared], rounds: int) -> dict[str, float]:
    """Milliseconds a frame, the median of all rounds but the first."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run(prepared)
            seconds[name].append(time.perf_counter() - start)
    return {name: 1000 * statistics.median(those[1:]) / len(prepared) for name, those in seconds.items()}


def report(milliseconds: dict[str, float]) -> None:
    best = milliseconds["PyTorch fp32"]
    for name, median in milliseconds.items():
        print(f"{name:<26}{median:7.1f} ms a frame{best / median:7.2f} × PyTorch's rate")


if __name__ == "__main__":
    main()
