"""Whole training steps as code for a processor that is not here: AArch64, with 128-bit vectors."""

from __future__ import annotations

import re

import pytest

import thalweg as tw
from tests.compiler.oracle import traced
from thalweg import nn
from thalweg.compiler.kernels import leaves
from thalweg.compiler.machine import Machine
from thalweg.compiler.native.jit import assembly, emit
from thalweg.compiler.native.lowering import lower_all
from thalweg.compiler.passes import build_plan

ARM = Machine(128, 32, "neoverse-n1", "+neon", cores=4, l1=64 << 10, l2=1 << 20)
TRIPLE = "aarch64-unknown-linux-gnu"


class Recurrent(nn.Module):
    def __init__(self) -> None:
        self.lstm, self.head = nn.LSTM(8, 12, batch_first=True), nn.Linear(12, 5)

    def forward(self, x: tw.Tensor) -> tw.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


NETWORKS = {
    "rows": (nn.Sequential(nn.Linear(40, 33), nn.GELU(), nn.Dropout(0.1), nn.LayerNorm(33)), (40,)),
    "images": (
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                      nn.Flatten(), nn.Linear(128, 5)), (3, 8, 8)),
    "loops": (Recurrent(), (6, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_step_is_emitted_and_calls_nothing(name: str) -> None:
    model, shape = NETWORKS[name]
    optimizer = tw.optim.AdamW(model.parameters())
    data, labels = tw.randn(500, *shape), tw.randint(0, 5, (500,))

    def step(rows: tw.Tensor) -> tw.Tensor:
        loss = nn.functional.cross_entropy(model(data[rows]), labels[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    trace = traced(step, tw.arange(16))
    plan = build_plan(trace.graph, trace.updates)
    code = lower_all([kernel for kernel, _ in leaves(plan.kernels)], ARM)
    declared = sorted({line for c in code for line in c.declarations})
    helpers = {name: text for c in code for name, text in c.helpers.items()}
    text = "\n".join([*declared, *helpers.values(), *{c.name: c.ir for c in code}.values()])
    assert emit(text, ARM, TRIPLE)[:4] == b"\x7fELF"
    shown = assembly(text, ARM, TRIPLE)
    assert "fmla" in shown
    assert all(called.startswith("tw.") for called in re.findall(r"\tbl\t(\S+)", shown))
