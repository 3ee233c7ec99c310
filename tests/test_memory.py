"""Freed memory is kept, unless the environment says otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
import thalweg

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def arrays():
    for _ in range(20):
        a, b = np.ones(2**20), np.ones(2**20)
        del a, b

arrays()
before = faults()
arrays()
print(faults() - before)
"""


def page_faults(**environment: str) -> int:
    plain = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=plain | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a rule of glibc's")
def test_large_arrays_are_not_cleared_anew_by_the_system() -> None:
    kept, returned = page_faults(), page_faults(THALWEG_KEEP_MEMORY="0")
    assert kept < 500
    assert returned > 5 * kept
