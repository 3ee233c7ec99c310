"""`thalweg minimize`: a result and a picture; wrong names give the list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from thalweg.cli import app, main


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """The exit status, what was printed, and what was complained of."""
    monkeypatch.setattr("thalweg.cli.app", lambda: app(["minimize", *words]))
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err


@pytest.fixture
def thalweg(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Any:
    monkeypatch.chdir(tmp_path)
    return lambda *words: run(capsys, monkeypatch, *words)


def test_a_problem(thalweg: Any) -> None:
    code, out, _ = thalweg("rosenbrock", "--method", "cma-es")
    assert code == 0
    assert out.startswith("cma-es: converged after ")
    assert out.endswith("Picture: rosenbrock-cma-es.svg\n")
    assert Path("rosenbrock-cma-es.svg").read_text(encoding="utf-8").startswith("<svg")


def test_options(thalweg: Any) -> None:
    code, out, _ = thalweg(
        "sphere", "--method", "adam", "--option", "lr=0.5", "--option", "betas=[0.5, 0.9]",
        "--start=1,1,1", "--max-iterations", "3", "--out", "p.svg",
    )  # fmt: skip
    assert (code, Path("p.svg").exists()) == (1, True)
    assert "adam: stopped after 3 iterations" in out


@pytest.mark.parametrize(
    "words",
    [("tour", "--method", "ant-colony"), ("mixed", "--method", "coordinate-descent"),
     ("sphere", "--method", "random", "--max-iterations", "9"), ("lasso", "--method", "admm"),
     ("sphere", "--method", "grid", "--bounds=-1,1", "--option", "count=3")],
)  # fmt: skip
def test_other_problems(thalweg: Any, words: tuple[str, ...]) -> None:
    code, out, err = thalweg(*words)
    assert code == 0, err
    assert "Picture: " in out


def test_a_function_of_ones_own(thalweg: Any, tmp_path: Path) -> None:
    Path("mine.py").write_text("def bowl(x):\n    return (x - 2).square().sum()\n")
    code, out, _ = thalweg("mine.py:bowl", "--start", "0,0")
    assert code == 0
    assert "[2, 2]" in out
    assert Path("bowl-l-bfgs.svg").exists()


def test_lists(thalweg: Any) -> None:
    code, out, _ = thalweg()
    assert code == 0
    for name in ("rosenbrock", "tour", "cma-es", "newton", "adamw", "scipy:bfgs"):
        assert name in out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("rosenbrok",), "no problem 'rosenbrok': did you mean 'rosenbrock'? Known: ackley"),
        (("sphere", "--method", "cmaes"), "no method 'cmaes': did you mean 'cma-es'? Known:"),
        (("sphere", "--start", "a,b"), "--start: numbers with commas between them"),
        (("sphere", "--bounds", "1"), "--bounds: two numbers, low,high"),
        (("sphere", "--option", "lr"), "--option: NAME=VALUE expected, got 'lr'"),
        (("sphere", "--option", "lr=1"), "has no option 'lr'"),
        (("none.py:g",), "there is no file none.py"),
        (("mine.py:g",), "mine.py has no function 'g': Known: f"),
    ],
)
def test_wrong_words(thalweg: Any, words: tuple[str, ...], complaint: str) -> None:
    Path("mine.py").write_text("def f(x):\n    return x\n")
    code, out, err = thalweg(*words)
    assert (code, out) == (1, "")
    assert err.startswith(f"thalweg: {complaint}") or complaint in err
    assert "Traceback" not in err


def test_it_is_a_command() -> None:
    assert "minimize" in set(app)
