"""Curves and schedules as pictures."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import thalweg as tw
from tests.drawing.seeing import looked_at, texts
from thalweg.errors import ConfigError
from thalweg.inspect import Lines
from thalweg.optim import lr_scheduler as schedules
from thalweg.optim.lr_scheduler.sparks import sparkline

SVG = "{http://www.w3.org/2000/svg}"


def optimizer(*lrs: float) -> tw.optim.Optimizer:
    groups = [{"params": [tw.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs]
    return tw.optim.SGD(groups, lr=0.1)


def test_a_picture(tmp_path: Path) -> None:
    lines = Lines("A & B", [1, 10, 100], {"up": [1, 2, 3], "down": [3, math.nan, 1]},
                  x_label="x", marks={10: "here"}, x_log=True)  # fmt: skip
    root = looked_at(lines.save(tmp_path / "ab.svg").read_text(encoding="utf-8"))
    assert root[0].text == "A & B"
    assert "up: 1 to 3, between 1 and 3" in (root[1].text or "")
    (up,) = (p for p in root.iter(f"{SVG}path") if p.get("class") == "line s1")
    assert (up.get("d") or "").count("L") == 2
    alone = [c for c in root.iter(f"{SVG}circle") if c.get("class") == "s2"]
    assert len(alone) == 2  # a gap between two values
    said = {text.said for text in texts(root)}
    assert {"here", "up", "down", "x, logarithmic", "1", "10", "100"} <= said
    assert lines._repr_svg_() == lines.svg()


def test_values_above_a_ceiling_hide_none() -> None:
    lines = Lines("held", [0, 1, 2, 3], {"y": [1.0, 2.0, 1e9, 3.0]}, ceiling=5.0)
    said = {text.said for text in texts(looked_at(lines.svg()))}
    assert "1 value is not finite, or above 5: left out" in said
    assert "3.0" in said


def test_values_that_are_not_finite_or_all_alike() -> None:
    for values in ([math.inf, math.nan, -math.inf], [0.0, 0.0, 0.0], [1e-9, 1.0, 1e9]):
        looked_at(Lines("edge", [0, 1, 2], {"y": values}).svg())


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 values of 'y' for 3 of x"):
        Lines("", [0, 1, 2], {"y": [1, 2]})
    with pytest.raises(ConfigError, match="two values or more"):
        Lines("", [0], {"y": [1]})
    with pytest.raises(ConfigError, match=r"expected \.svg"):
        Lines("", [0, 1], {"y": [1, 2]}).save(tmp_path / "y.png")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([1.0], "█"),
        ([0.0, 0.0], "▁▁"),
        ([-1.0, 0.0, 1.0], "▁▅█"),
        ([math.inf, 1.0, math.nan], " █ "),
        ([float(n) for n in range(80)], "▁▂▃▄▅▆▇█"),
    ],
)
def test_sparklines(values: list[float], expected: str) -> None:
    found = sparkline(values)
    assert "".join(sorted(set(found), key=found.index)) == "".join(
        sorted(set(expected), key=expected.index)
    )
    assert len(found) == min(len(values), 40)


def test_a_schedule_alone_and_with_others() -> None:
    on = optimizer(0.5, 0.1)
    step = schedules.StepLR(on, 4, gamma=0.5)
    schedules.LinearLR(on, 0.1, total_iters=5)
    alone = tw.inspect.schedule(step, 12)
    assert alone.curves == {
        "group 0": step.values(12, 0).tolist(),
        "group 1": step.values(12, 1).tolist(),
    }
    together = tw.inspect.schedule(on, 12).curves["group 0"]
    seen = []
    for _ in range(12):
        seen.append(float(on.param_groups[0]["lr"]))
        for each in on.schedules:
            each.step()
    assert together == pytest.approx(seen, rel=1e-12)


def test_groups_that_go_together_are_one_curve_and_no_schedule_a_line() -> None:
    on = optimizer(0.5, 0.5)
    assert list(tw.inspect.schedule(on, 5).curves) == ["group 0"]
    assert tw.inspect.schedule(on, 3).curves["group 0"] == [0.5] * 3
    assert "constant" in tw.inspect.schedule(on, 3).title


def test_what_cannot_be_drawn() -> None:
    on = optimizer(0.5)
    schedules.ReduceLROnPlateau(on)
    with pytest.raises(ConfigError, match="a ReduceLROnPlateau depends on what training gives"):
        tw.inspect.schedule(on, 5)
    with pytest.raises(ConfigError, match="steps=1"):
        tw.inspect.schedule(optimizer(0.5), 1)


def test_representations() -> None:
    on = optimizer(0.5)
    assert repr(schedules.StepLR(on, 20, gamma=0.1)) == (
        "<StepLR(step_size=20, gamma=0.1) ████████████████████▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂>"
    )
    # A function of the user's own is not called without need: it may know a few steps only.
    assert repr(schedules.LambdaLR(on, lambda t: [1.0, 0.5][t])) == "<LambdaLR()>"
    parts = [schedules.LinearLR(on), schedules.LambdaLR(on, lambda t: [1.0, 0.5][t])]
    assert "▁" not in repr(schedules.SequentialLR(on, parts, [3]))
    assert tw.compile(lambda: len(repr(on.schedules[0])))() > 0


def test_a_curve_with_places_of_its_own() -> None:
    lines = Lines("", [1, 10, 100], {"y": [1, 2, 3], "few": {3: 1.5, 300: 2.5}}, x_log=True)
    assert lines.places["few"] == [3, 300]
    assert lines.curves["few"] == [1.5, 2.5]
    assert "left out" not in lines.svg()
