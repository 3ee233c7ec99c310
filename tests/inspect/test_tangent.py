"""The first-order Taylor approximation: computed, of any function, and drawn, of one number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from tests.drawing.seeing import looked_at, texts
from thalweg.errors import ConfigError, ShapeError
from thalweg.func import grad, taylor, vmap

SVG = "{http://www.w3.org/2000/svg}"


def test_value_and_slope_of_any_function() -> None:
    a = tw.tensor([[1.0, 2.0], [0.5, -1.0]]).double()
    b = {"x": tw.tensor([0.3, -0.2]).double()}

    def f(a: tw.Tensor, b: dict[str, tw.Tensor]) -> dict[str, tw.Tensor]:
        return {"y": (a @ b["x"]).sin(), "z": a.square().sum() * b["x"][0]}

    near = taylor(f, a, b)
    assert near.at[0] is a
    exact = f(a, b)
    np.testing.assert_array_equal(near(a, b)["y"].numpy(), exact["y"].numpy())
    # The error falls with the square of the distance.
    errors = []
    for step in (1e-2, 1e-3):
        x, y = a + step, {"x": b["x"] - step}
        gap = near(x, y)["y"] - f(x, y)["y"]
        errors.append(float(gap.abs().amax()))
        assert abs(float(near(x, y)["z"] - f(x, y)["z"])) < 20 * step**2
    assert 50 < errors[0] / errors[1] < 200


def test_it_composes() -> None:
    near = taylor(lambda x: x**3, tw.tensor(2.0))
    assert vmap(near)(tw.tensor([2.0, 3.0])).tolist() == [8, 20]
    assert grad(near)(tw.tensor(5.0)).item() == 12
    assert tw.compile(lambda x: near(x))(tw.tensor(3.0)).item() == 20
    assert grad(lambda a: taylor(lambda x: x**3, a)(tw.tensor(3.0)))(tw.tensor(2.0)).item() == 12
    with pytest.raises(ShapeError, match=r"shapes \(\); got \(2,\)"):
        near(tw.ones(2))


def test_the_picture(tmp_path: Path) -> None:
    picture = tw.inspect.tangent(tw.sin, at=1.0, low=-1.0, high=4.0)
    assert str(picture) == "0.8415 + 0.5403 (x - 1)"
    assert picture(1.0) == picture.value
    root = looked_at(picture.save(tmp_path / "sine.svg").read_text(encoding="utf-8"))
    paths = {p.get("class"): p.get("d") for p in root.iter(f"{SVG}path")}
    assert set(paths) == {"line s1", "line s2"}
    assert (paths["line s1"] or "").count("L") == 200
    (dot,) = root.iter(f"{SVG}circle")
    # The line goes through the dot, and the curve too.
    ends = [tuple(map(float, p.split())) for p in (paths["line s2"] or "")[1:].split("L")]
    (x0, y0), (x1, y1) = ends[0], ends[-1]
    x, y = float(dot.get("cx") or 0), float(dot.get("cy") or 0)
    assert abs(y0 + (y1 - y0) * (x - x0) / (x1 - x0) - y) < 0.3
    assert picture._repr_svg_() == picture.svg()


def test_what_is_not_finite_leaves_a_gap() -> None:
    looked_at(tw.inspect.tangent(tw.log, at=0.5).svg())
    flat = tw.inspect.tangent(lambda x: x * 0 + 3, at=-1)
    assert str(flat) == "3 + 0 (x + 1)"
    looked_at(flat.svg())


def test_a_pole_hides_nothing_else() -> None:
    root = looked_at(tw.inspect.tangent(lambda x: 1 / x, at=0.5, low=-2.0, high=2.0).svg())
    beside = {text.said for text in texts(root)}
    assert {"−5", "0", "5"} <= beside
    assert "f(x) and its tangent 2 − 4 (x − 0.5)" in beside


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"shape \(2,\)"):
        tw.inspect.tangent(tw.sin, at=tw.ones(2))
    with pytest.raises(ShapeError, match="gives one number"):
        tw.inspect.tangent(lambda x: tw.stack([x, x]), at=0.0)
    with pytest.raises(ConfigError, match="low <= at <= high"):
        tw.inspect.tangent(tw.sin, at=0.0, low=1.0)
    with pytest.raises(ConfigError, match=r"expected \.svg"):
        tw.inspect.tangent(tw.sin, at=0.0).save("sine.png")
