"""The same bits on any number of threads, and near the same ones in vectors of any width."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F
from thalweg import nn, optim

# Sizes that no vector and no tile divides.
SIZES = (129, 301, 257, 11)
BATCH, STEPS = 67, 4


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = tw.get_num_threads()
    yield
    tw.set_num_threads(before)


def trained() -> tuple[list[bytes], int]:
    """The bytes that a training scan ends with, and how many threads its program is worth."""
    tw.manual_seed(0)
    first, second, third = (nn.Linear(a, b) for a, b in pairwise(SIZES))
    model = nn.Sequential(first, nn.Tanh(), nn.Dropout(0.2), second, nn.Softmax(1), third)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    data, labels = tw.randn(5 * BATCH, SIZES[0]), tw.randint(0, SIZES[-1], (5 * BATCH,))

    @tw.compile
    def step(index: tw.Tensor) -> tw.Tensor:
        loss = F.cross_entropy(model(data[index]), labels[index])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    losses = step.scan(tw.randperm(5 * BATCH)[: STEPS * BATCH].reshape(STEPS, BATCH))
    values = [losses, *model.parameters(), *(p.grad for p in model.parameters())]
    assert step.last is not None
    return [
        x.detach().numpy().tobytes() for x in values if x is not None
    ], step.last.bound.program.threads


def test_the_same_bits_on_any_number_of_threads() -> None:
    tw.set_num_threads(1)
    wanted, worth = trained()
    assert worth > 1, "or there is nothing to test"
    for threads in (2, 3, 8):
        tw.set_num_threads(threads)
        assert trained()[0] == wanted, f"{threads} threads"


REPORT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import numpy as np
from tests.compiler.test_threads import STEPS, trained
values, _ = trained()
numbers = [np.frombuffer(v, np.float32) for v in values]
print(*numbers[0].tolist(), *(float(np.linalg.norm(n)) for n in numbers[1:]))
"""


def test_the_same_numbers_in_vectors_of_any_width() -> None:
    found = []
    for bits in (512, 256, 128):
        environment = {**os.environ, "THALWEG_VECTOR_BITS": str(bits)}
        done = subprocess.run(
            [sys.executable, "-c", REPORT],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not done.returncode, done.stderr
        found.append(np.array(done.stdout.split(), np.float64))
    assert len(found[0]) > STEPS
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-4)
