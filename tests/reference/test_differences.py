"""What docs/differences.md says PyTorch does, it does."""

from __future__ import annotations

import warnings

import torch

from tests.markdown import differences, matches


def test_differences_are_what_pytorch_does() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of some of what the page is about
        found = list(differences(torch, "torch"))
    assert found
    for example, shown, printed in found:
        assert matches(shown, printed), f"{example.place}: shown\n{shown}\nprinted\n{printed}"
