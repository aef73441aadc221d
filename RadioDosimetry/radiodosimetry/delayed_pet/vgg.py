"""The convolutions of VGG19, whose features the perceptual loss compares; weights are the user's, by path.

The file is the usual one of the ImageNet network without batch normalisation: a state dict with the keys
`features.0.weight` to `features.34.bias` (and `classifier.…`, which is left aside), as .pth or .safetensors. No weights
come with the package.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import FileFormatError

VGG19_CHANNELS: tuple[int | str, ...] = (
    64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool",
    512, 512, 512, 512, "pool", 512, 512, 512, 512, "pool",
)  # fmt: skip
"""Configuration E of Simonyan and Zisserman, ICLR 2015 (arXiv:1409.1556), Table 1."""

CONTENT_LAYER = 22
"""Index of the activation after conv4_2: the content features of Gatys 2016."""

STYLE_LAYERS = (1, 6, 11, 20, 29)
"""Activations after conv1_1, conv2_1, conv3_1, conv4_1, conv5_1: the style features of Gatys 2016."""

INPUT_PIXELS = 224
"""Side of the images that the network sees."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the three channels of the images it was trained on."""


class Vgg19Features(nn.Module):
    """Activations of VGG19 at the layers that content and style are told by; frozen.

    Parameters
    ----------
    weights
        File of the weights; None leaves them at random (for tests of shapes).

    Raises
    ------
    FileFormatError
        The file is missing, cannot be read, or is not that of a VGG19 without batch normalisation.
    """

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for entry in VGG19_CHANNELS:
            if isinstance(entry, str):
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(width, entry, 3, padding=1), nn.ReLU()]
                width = entry
        self.features = nn.Sequential(*layers)
        if weights is not None:
            self._load(Path(weights))
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[None, :, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[None, :, None, None], persistent=False)
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Content features, and style features of five layers, of images (n, 1, j, i) near 0 to 1."""
        values = nn.functional.interpolate(images, (INPUT_PIXELS, INPUT_PIXELS), mode="bilinear", align_corners=False)
        values = (values.expand(-1, 3, -1, -1) - self.mean) / self.std
        content, style = values, []
        for index, layer in enumerate(self.features):
            values = layer(values)
            if index in STYLE_LAYERS:
                style.append(values)
            if index == CONTENT_LAYER:
                content = values
            if index >= max(CONTENT_LAYER, *STYLE_LAYERS):
                break
        return content, style

    def _load(self, path: Path) -> None:
        state = {name: value for name, value in _state_of(path).items() if name.startswith("features.")}
        try:
            self.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise FileFormatError(
                f"{path.name} holds no VGG19 without batch normalisation; expected the keys features.0.weight to "
                "features.34.bias of the ImageNet network."
            ) from error


def gram_matrix(features: Tensor) -> Tensor:
    """Correlations of the features (n, c, j, i) over the image, (n, c, c), per number of features."""
    count, channels, rows, columns = features.shape
    flat = features.reshape(count, channels, rows * columns)
    return flat @ flat.transpose(1, 2) / (channels * rows * columns)


def _state_of(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}; the perceptual loss needs the weights of VGG19 by path.")
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(str(path)))
        loaded = torch.load(str(path), map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle, safetensors and torch each have their own
        raise FileFormatError(f"{path.name} cannot be read as network weights ({type(error).__name__}).") from error
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise FileFormatError(f"{path.name} holds no state dict; expected names of layers with their weights.")
    return loaded
