"""The recipe `auto`: the one that fits the networks and the device that are here."""

from pathlib import Path
from typing import Any

import torch

from reid.header import read_header
from reid.training.recipes import recipe_content

AUTO = "auto"
SOURCE = Path("source/last.safetensors")  # of the paper's first stage, beside the folder of the second one
_OF_NETWORK = {"backbone", "last_stride", "pooling", "projection", "normalised", "height", "width"}
_OF_CPU = ("sampler", "iterations", "decay_from")


def automatic_recipe(output: Path) -> tuple[dict[str, Any], str]:
    """The paper's second stage where its first one has left a network, else the bundled network's fine-tuning.

    The network is looked for beside `output`, then where the recipe `drone` names it. The second stage takes over
    its architecture; without a GPU, it has the few iterations and the small batches of the recipe `finetune`.

    Args:
        output: folder of the training.

    Returns:
        The content of a recipe, and a line: the recipe's name and why it was taken.

    Raises:
        ReidError: the first stage's network is damaged.

    """
    drone, finetune = recipe_content("drone"), recipe_content("finetune")
    places = [output.parent / SOURCE, Path(drone["init"])]
    source = next((place for place in places if place.is_file()), None)
    if source is None:
        return (
            finetune,
            f"finetune, from the bundled network: no network of recipe source, as {places[0]}, is there",
        )
    network = read_header(source).network.model_dump(include=_OF_NETWORK)
    drone |= {"init": str(source), "network": network | drone["network"]}
    line = f"drone, the paper's second stage: {source} is there to start from"
    if torch.cuda.is_available():
        return drone, line
    drone |= {name: finetune[name] for name in _OF_CPU}
    crops = drone["sampler"]["identities"] * drone["sampler"]["images"]
    return drone, f"{line}; {drone['iterations']} iterations of {crops} crops, as there is no GPU"
