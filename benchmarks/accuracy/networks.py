# SPDX-License-Identifier: Apache-2.0
"""Networks of studies, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Shape = tuple[int, int, int]


def resnet20(width: float, shape: Shape, classes: int) -> Any:
    """ResNet-20; ``width`` is the channels of its first stage."""
    from fashion import network

    return network.resnet20(round(width), classes, shape)


def vgg(width: float, shape: Shape, classes: int) -> Any:
    """In the style of VGG-16; ``width`` is the channels of its first stage."""
    from fashion import network

    return network.vgg(round(width), classes, shape)


def mobilenet_v2(width: float, shape: Shape, classes: int) -> Any:
    """MobileNetV2 for small images; ``width`` multiplies its channels."""
    from fashion import network

    return network.mobilenet_v2(width, classes, shape)


def mobilenet_v2_imagenet(width: float, shape: Shape, classes: int) -> Any:
    """MobileNetV2 of ``keras.applications``; ``width`` multiplies its channels."""
    import keras

    return keras.applications.MobileNetV2(shape, alpha=width, weights=None, classes=classes, classifier_activation=None)


def small(width: float, shape: Shape, classes: int) -> Any:
    """Three convolutions, trained in seconds; it has one width."""
    from fashion import network

    return network.small(classes, shape)


NETWORKS: dict[str, Callable[[float, Shape, int], Any]] = {
    "resnet20": resnet20,
    "vgg": vgg,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v2_imagenet": mobilenet_v2_imagenet,
    "small": small,
}


def _positive(width: float) -> bool:
    return width > 0


def _whole(width: float) -> bool:
    return width >= 1 and width == round(width)


def _one(width: float) -> bool:
    return width == 1


#: Width of networks whose width is a multiplier, where a plan says none; others count channels.
MULTIPLIERS = dict.fromkeys(("mobilenet_v2", "mobilenet_v2_imagenet", "small"), 1.0)
#: By network which widths it has, and how that is said.
WIDTHS: dict[str, tuple[Callable[[float], bool], str]] = {
    "resnet20": (_whole, "a whole number >= 1 for resnet20"),
    "vgg": (_whole, "a whole number >= 1 for vgg"),
    "mobilenet_v2": (_positive, "above 0"),
    "mobilenet_v2_imagenet": (_positive, "above 0"),
    "small": (_one, "1 for small, which has one width"),
}
