"""`tw.models`: known networks, a file each, whose parameters have the names they have elsewhere.

    model = tw.models.resnet18()
    model.load_state_dict(tw.interop.torch_files.load_file("resnet18.pth"))

Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thalweg.models.encoder_decoder import Seq2Seq, Seq2SeqConfig, seq2seq
    from thalweg.models.gpt import CharGPT, CharGPTConfig, char_gpt
    from thalweg.models.lenet5 import LeNet, lenet
    from thalweg.models.resnet import BasicBlock, ResNet, resnet18, resnet34
    from thalweg.models.vgg import VGG, vgg11, vgg11_bn

__all__ = [
    "BasicBlock",
    "CharGPT",
    "CharGPTConfig",
    "LeNet",
    "ResNet",
    "Seq2Seq",
    "Seq2SeqConfig",
    "VGG",
    "char_gpt",
    "lenet",
    "resnet18",
    "resnet34",
    "seq2seq",
    "vgg11",
    "vgg11_bn",
]

_HOMES = {
    "encoder_decoder": ("Seq2Seq", "Seq2SeqConfig", "seq2seq"),
    "gpt": ("CharGPT", "CharGPTConfig", "char_gpt"),
    "lenet5": ("LeNet", "lenet"),
    "resnet": ("BasicBlock", "ResNet", "resnet18", "resnet34"),
    "vgg": ("VGG", "vgg11", "vgg11_bn"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'thalweg.models' has no attribute {name!r}")
    return getattr(importlib.import_module(f"thalweg.models.{_HOME[name]}"), name)
