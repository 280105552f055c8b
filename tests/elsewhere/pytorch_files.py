# SPDX-License-Identifier: Apache-2.0
"""Networks of PyTorch, pruned with ``torch.nn.utils.prune`` and exported by ``litert-torch``."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import litert_torch
import torch
import torchvision
from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
from litert_torch.quantize.quant_config import QuantConfig
from torch import nn
from torch.nn.utils import prune
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from tests.elsewhere.check import Exported

GROUP_ROWS = 4


class GroupsOfRows(prune.BasePruningMethod):
    """Zeros in groups of four neighbouring output channels, those with the least sum of magnitudes."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float) -> None:
        self.amount = amount

    def compute_mask(self, t: torch.Tensor, default_mask: torch.Tensor) -> torch.Tensor:
        size = t.detach().reshape(len(t), -1).abs()
        padded = nn.functional.pad(size, (0, 0, 0, -len(size) % GROUP_ROWS))
        sums = padded.reshape(-1, GROUP_ROWS, size.shape[1]).sum(1)
        keep = sums > torch.quantile(sums.flatten()[: 2**24 - 1], self.amount)
        rows = keep.repeat_interleave(GROUP_ROWS, 0)[: len(size)]
        return rows.reshape(t.shape).to(t.dtype) * default_mask


def pruned(model: nn.Module, groups: bool, amount: float, forget: bool = True) -> nn.Module:
    """Prunes every matrix and kernel but depthwise ones; without ``forget``, masks stay in the model."""
    for module in model.modules():
        if getattr(module, "groups", 1) > 1 and module.groups == module.in_channels:
            continue
        for name, value in list(module.named_parameters(recurse=False)):
            if value.dim() < 2:
                continue
            if groups:
                GroupsOfRows.apply(module, name, amount)
            else:
                prune.l1_unstructured(module, name, amount)
            if forget:
                prune.remove(module, name)
    return model.eval()


class Mixed(nn.Module):
    """Convolutions of every kind with batch normalization and a residual sum, on channels first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(16, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.second = nn.Conv2d(64, 64, 3, padding=2, dilation=2)
        self.depthwise = nn.Conv2d(64, 64, 3, padding=1, groups=64)
        self.down = nn.Conv2d(64, 128, 3, stride=2, padding=1, groups=4)
        self.up = nn.ConvTranspose2d(128, 64, 2, stride=2)
        self.up_padded = nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)
        self.wide = nn.Conv2d(32, 128, (1, 5), padding=(0, 2))
        self.classes = nn.Sequential(nn.Linear(128, 256), nn.GELU(), nn.Linear(256, 64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = x + torch.relu(self.second(x))
        x = nn.functional.relu6(self.depthwise(x))
        x = torch.relu(x + self.up(self.down(x)))
        x = nn.functional.hardswish(self.up_padded(x))
        return self.classes(self.wide(x).mean((2, 3)))


class Recurrent(nn.Module):
    """A recurrent layer and a classifier of its last state."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.layer, self.classes = kind(64, 128, batch_first=True), nn.Linear(128, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classes(self.layer(x)[0][:, -1])


class Products(nn.Module):
    """Products with bare parameters: on the right, on the left, and one for each head."""

    def __init__(self) -> None:
        super().__init__()
        self.right, self.left = nn.Parameter(torch.randn(64, 128)), nn.Parameter(torch.randn(64, 32))
        self.heads = nn.Parameter(torch.randn(4, 32, 48))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (self.left @ x) @ self.right
        return torch.einsum("bhtd,hde->bhte", x.reshape(1, 64, 4, 32).permute(0, 2, 1, 3), self.heads)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512, bias=False), nn.GELU(), nn.Linear(512, 64))


def volumes() -> nn.Module:
    return nn.Sequential(nn.Conv3d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv3d(32, 32, (1, 3, 3)))


def image_network(name: str) -> nn.Module:
    """A network of torchvision whose batch normalization has seen some images."""
    model = getattr(torchvision.models, name)(weights=None)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(8, 3, 64, 64))
    return model.eval()


_IMAGE = (1, 3, 96, 96)
#: Makers of networks, and the shapes of their inputs.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mixed CNN": (Mixed, (1, 16, 16, 16)),
    "MLP": (mlp, (1, 256)),
    "LSTM": (lambda: Recurrent(nn.LSTM), (1, 8, 64)),
    "GRU": (lambda: Recurrent(nn.GRU), (1, 8, 64)),
    "transformer layer": (lambda: nn.TransformerEncoderLayer(128, 4, 256, batch_first=True), (1, 16, 128)),
    "products": (Products, (1, 32, 64)),
    "Conv3d": (volumes, (1, 16, 6, 8, 8)),
    "MobileNetV2": (lambda: image_network("mobilenet_v2"), _IMAGE),
    "ResNet-18": (lambda: image_network("resnet18"), _IMAGE),
}


def _network(name: str, groups: bool, forget: bool = True) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    return pruned(make().eval(), groups, 0.8 if groups else 0.9, forget), torch.randn(shape)


def _file(exported: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        # It tells its steps on standard output.
        with contextlib.redirect_stdout(None):
            exported.export(str(path))
        return path.read_bytes()


def plain(name: str, groups: bool, channels_last: bool = False, forget: bool = True) -> Exported:
    """A float32 file; images come channels first unless ``channels_last``."""
    model, x = _network(name, groups, forget)
    if channels_last:
        model, x = litert_torch.to_channel_last_io(model, args=[0]), x.permute(0, 2, 3, 1).contiguous()
    with torch.no_grad():
        return Exported(_file(litert_torch.convert(model, (x,))), x.numpy(), model(x).numpy())


def quantized(name: str, dynamic: bool) -> Exported:
    """A file quantized by PyTorch's own quantizer (PT2E), per channel; it rounds in its own way, so is not compared."""
    model, x = _network(name, groups=True)
    quantizer = PT2EQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic))
    prepared = prepare_pt2e(torch.export.export(model, (x,)).module(), quantizer)
    for _ in range(4):
        prepared(torch.randn(x.shape))
    ready = convert_pt2e(prepared, fold_quantize=False)
    return Exported(_file(litert_torch.convert(ready, (x,), quant_config=QuantConfig(pt2e_quantizer=quantizer))))


def two_signatures() -> Exported:
    """One network at batch 1 and at batch 8: two subgraphs that share their weights."""
    model, _ = _network("MLP", groups=True)
    single, many = torch.randn(1, 256), torch.randn(8, 256)
    return Exported(_file(litert_torch.signature("one", model, (single,)).signature("many", model, (many,)).convert()))


def open_batch() -> Exported:
    """Convolutions on a batch of any size, which the exporter refuses for ``Linear``."""
    layers = nn.Sequential(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1))
    model, x = pruned(layers, True, 0.8), torch.randn(2, 32, 8, 8)
    sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    return Exported(_file(litert_torch.convert(model, (x,), dynamic_shapes=sizes)))


#: Files by name.
FILES: dict[str, Callable[[], Exported]] = {
    **{f"{name}, groups of 4": functools.partial(plain, name, True) for name in NETWORKS},
    **{f"{name}, single weights": functools.partial(plain, name, False) for name in NETWORKS},
    "mixed CNN, channels last": lambda: plain("mixed CNN", True, channels_last=True),
    "MLP, masks not removed": lambda: plain("MLP", False, forget=False),
    "MLP, two signatures": two_signatures,
    "convolutions, open batch": open_batch,
    **{
        f"{name}, {kind}": functools.partial(quantized, name, kind == "PT2E dynamic")
        for name in ("MLP", "mixed CNN")
        for kind in ("PT2E dynamic", "PT2E int8")
    },
}
