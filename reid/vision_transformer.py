"""torchvision's vision transformers as trunks: images of any size that their patches divide, class token out."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from reid.errors import ReidError


class TransformerTrunk(nn.Module):
    """The layers of a vision transformer (Dosovitskiy et al. 2021) up to its class token, named as torchvision's.

    The position embeddings, learned for a square, are interpolated to the grid of the image's patches.

    Args:
        whole: the transformer; its layers are taken over.

    """

    def __init__(self, whole: VisionTransformer) -> None:
        super().__init__()
        self.patch = whole.patch_size
        self.class_token = whole.class_token
        self.conv_proj = whole.conv_proj
        self.encoder = whole.encoder

    def check_size(self, height: int, width: int) -> None:
        """Check that patches divide an image.

        Raises:
            ReidError: they do not; names the next sizes that do.

        """
        if height % self.patch or width % self.patch:
            above = [-(-size // self.patch) * self.patch for size in (height, width)]
            raise ReidError(
                f"network.height {height}, network.width {width}: the backbone's patches are {self.patch} px; take "
                f"multiples of that, such as {above[0]} and {above[1]}"
            )

    def forward(self, images: Tensor) -> Tensor:
        """The class token of each image, (n, channels, 1, 1)."""
        patches = self.conv_proj(images)
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        positions = self._positions(patches.shape[2], patches.shape[3])
        encoded: Tensor = self.encoder.ln(self.encoder.layers(self.encoder.dropout(tokens + positions)))
        return encoded[:, 0, :, None, None]

    def _positions(self, rows: int, columns: int) -> Tensor:
        learned = self.encoder.pos_embedding
        side = round((learned.shape[1] - 1) ** 0.5)
        if (rows, columns) == (side, side):
            return learned
        grid = learned[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, (rows, columns), mode="bicubic", align_corners=False)
        return torch.cat([learned[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


class ClassToken(nn.Module):
    """A trunk whose output (n, tokens, channels) becomes its class token, or the mean of all tokens without one.

    Args:
        trunk: of timm; its attribute `num_prefix_tokens` says whether there is a class token, which is the first.

    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self._has_token = bool(getattr(trunk, "num_prefix_tokens", 0))

    def forward(self, images: Tensor) -> Tensor:
        """One feature of each image, (n, channels, 1, 1)."""
        tokens: Tensor = self.trunk(images)
        return (tokens[:, 0] if self._has_token else tokens.mean(dim=1))[:, :, None, None]
