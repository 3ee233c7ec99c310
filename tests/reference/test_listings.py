"""The decks' listings in both frameworks: the same losses from the same weights and data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from tests.reference.both import BOTH, TOLERANCES, copied, plain
from tests.reference.training import STEPS
from tests.test_listings import (
    AUTOGRAD,
    CUSTOM_LOSS,
    DIFFERENTIATION,
    LOSS,
    MODEL,
    OPTIMIZERS,
    STEP,
    TENSORS,
    VARIABLES,
)

RANDOM = np.random.default_rng(5)
SCORES, CLASSES = RANDOM.normal(size=(32, 10)).astype("float32"), RANDOM.integers(0, 10, size=32)
IMAGE, LABELS = RANDOM.random((1, 3, 64, 64)), RANDOM.random((1, 1000))
CLOSE = TOLERANCES["trajectory", "float32"]


def run(tw: Any, listing: str, **known: Any) -> dict[str, Any]:
    """Execute a listing with the import lines of the framework; gives the names it leaves."""
    if tw is torch:
        listing = listing.replace("import thalweg as torch", "import torch")
        listing = listing.replace("thalweg", "torch")
    exec(listing, known)
    return known


def modelled(tw: Any) -> dict[str, Any]:
    """What the listing of the two-layer network leaves, with weights and data of PyTorch's run."""
    torch.manual_seed(0)
    theirs = run(torch, MODEL)
    left = run(tw, MODEL)
    left["model"].load_state_dict(copied(tw, theirs["model"].state_dict()))
    return left | {"x": tw.tensor(plain(theirs["x"]))}


def test_tensors_print_alike(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for tw in BOTH:
        run(tw, TENSORS)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_variables(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = (run(tw, VARIABLES) for tw in BOTH)
    assert capsys.readouterr().out
    assert ours["y"].item() == theirs["y"].item()
    assert ours["a"].grad.tolist() == theirs["a"].grad.tolist()


def test_losses() -> None:
    found = []
    for tw in BOTH:
        out, target = tw.tensor(SCORES), tw.tensor(CLASSES)
        custom = run(tw, CUSTOM_LOSS, num_examples=len(CLASSES))["myCrossEntropyLoss"]
        loss = run(tw, LOSS, out=out, target=target)["loss"]
        found.append([loss.item(), custom(out, target).item()])
    np.testing.assert_allclose(*found, *TOLERANCES["value", "float32"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training(name: str) -> None:
    found = []
    for tw in BOTH:
        known = modelled(tw)
        known |= {"loss_fn": tw.nn.CrossEntropyLoss(), "train_batch": known["x"]}
        known = run(tw, OPTIMIZERS[name], **known, labels_batch=tw.tensor(CLASSES))
        losses = []
        for _ in range(STEPS):
            known = run(tw, STEP.format(optimizer=""), **known)
            losses.append(known["loss"].item())
        found.append(losses)
    np.testing.assert_allclose(*found, *CLOSE)
    assert found[0][-1] < found[0][0]


def test_differentiation() -> None:
    """The data of the slide are random: here both are given the same."""
    listing = DIFFERENTIATION.replace("torch.rand(1, 3, 64, 64)", "image")
    listing = listing.replace("torch.rand(1, 1000)", "label")
    found = []
    for tw in BOTH:
        model = tw.nn.Sequential(tw.nn.Flatten(), tw.nn.Linear(3 * 64 * 64, 1000))
        with tw.no_grad():
            for p in model.parameters():
                p.copy_(tw.linspace(-0.01, 0.01, p.numel()).reshape(tuple(p.shape)))
        image, label = (tw.tensor(x.astype("float32")) for x in (IMAGE, LABELS))
        left = run(tw, listing, model=model, image=image, label=label)
        found.append([left["loss"].item(), *plain(model[1].bias)[::100]])
    np.testing.assert_allclose(*found, *CLOSE)


def test_autograd() -> None:
    ours, theirs = (run(tw, AUTOGRAD) for tw in BOTH)
    for name in ("a", "b"):
        assert ours[name].grad.tolist() == theirs[name].grad.tolist()
    assert ours["q"].tolist() == theirs["q"].tolist()
    assert thalweg.is_tensor(ours["q"])
