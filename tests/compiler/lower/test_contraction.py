"""Contractions as native code, against NumPy in float64: every form, size, width and epilogue."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from tests.compiler.lower.contracting import Array, Problem
from thalweg.compiler.kernels import Scalar
from thalweg.compiler.lower import contraction, finish, tile_model, tiling
from thalweg.compiler.lower.axes import normal_form
from thalweg.compiler.lower.contraction import lower_contraction
from thalweg.compiler.lower.tile_model import TileModel
from thalweg.compiler.machine import Machine, host
from thalweg.errors import ThalwegError

WIDTHS = (512, 256, 128)
FORMS = ("mk,kn->mn", "mk,nk->mn", "km,kn->mn", "km,nk->mn", "mk,kn->nm", "mk,nk->nm")
F32 = np.dtype(np.float32)


@pytest.fixture(params=WIDTHS)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """This machine, with vectors of each width that it has."""
    return narrowed(request.param, monkeypatch)


@pytest.fixture
def widest(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return narrowed(512, monkeypatch)


def narrowed(bits: int, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("THALWEG_VECTOR_BITS", str(bits))
    found = host()
    if bits < 512 and found.vector_bits != bits:
        pytest.skip(f"no vectors of {bits} bits")
    return found


def shapes(spec: str, **size: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(size[n] for n in names) for names in spec.replace("->", ",").split(","))


def normal(seed: int, *shape: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def empty(*shape: int, dtype: Any = np.float32) -> Array:
    return np.full(shape, np.nan, dtype)


def assert_product(spec: str, a: Array, b: Array, out: Array) -> None:
    """|out - a b| <= k eps |a| |b|, with k the number of products of a sum."""
    wide = [x.astype(np.float64) for x in (a, b)]
    exact = np.einsum(spec, *wide)
    size = np.einsum(spec, *map(np.abs, wide))
    left, right = spec.split("->")[0].split(",")
    inner = [n for n in left if n in right and n not in spec.split("->")[1]]
    products = np.prod([a.shape[left.index(n)] for n in inner], dtype=float)
    assert np.all(np.abs(out - exact) <= products * np.finfo(out.dtype).eps * size + 1e-300)


def check(machine: Machine, spec: str, a: Array, b: Array, out: Array) -> None:
    Problem(spec, a, b, out).run(machine)
    assert_product(spec, a, b, out)


# -- matrices --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", FORMS)
@pytest.mark.parametrize(("m", "k", "n"), [(17, 33, 31), (33, 16, 15), (3, 5, 2)])
def test_forms(machine: Machine, spec: str, m: int, k: int, n: int) -> None:
    a, b, c = shapes(spec, m=m, k=k, n=n)
    check(machine, spec, normal(1, *a), normal(2, *b), empty(*c))


@pytest.mark.parametrize("spec", FORMS)
def test_double(machine: Machine, spec: str) -> None:
    a, b, c = shapes(spec, m=19, k=23, n=13)
    double = {"dtype": np.float64}
    check(machine, spec, normal(1, *a, **double), normal(2, *b, **double), empty(*c, **double))


SIZES = (1, 2, 3, 5, 7, 15, 16, 17, 31, 33)
TRIPLES = sorted(
    {(m, SIZES[(i * 3 + 1) % 10], SIZES[(i * 7 + 4) % 10]) for i, m in enumerate(SIZES)}
    | {(SIZES[(i * 7 + 2) % 10], k, SIZES[(i * 3 + 5) % 10]) for i, k in enumerate(SIZES)}
    | {(SIZES[(i * 3 + 8) % 10], SIZES[(i * 7 + 6) % 10], n) for i, n in enumerate(SIZES)}
)


@pytest.mark.parametrize(("m", "k", "n"), TRIPLES)
def test_odd_sizes(widest: Machine, m: int, k: int, n: int) -> None:
    for spec in ("mk,kn->mn", "mk,nk->mn"):
        a, b, c = shapes(spec, m=m, k=k, n=n)
        check(widest, spec, normal(1, *a), normal(2, *b), empty(*c))


@pytest.mark.parametrize(
    ("spec", "m", "k", "n"),
    [
        ("mk,nk->mn", 32, 784, 30),
        ("km,kn->mn", 30, 32, 784),
        ("mk,nk->mn", 130, 300, 70),
        ("mk,kn->mn", 130, 1100, 70),  # the inner axis is cut
        ("km,nk->mn", 70, 1100, 130),
        ("mk,nk->mn", 5, 9000, 40),
        ("mk,kn->mn", 1, 700, 90),
        ("mk,kn->mn", 300, 70, 1),
    ],
)
def test_larger(machine: Machine, spec: str, m: int, k: int, n: int) -> None:
    a, b, c = shapes(spec, m=m, k=k, n=n)
    check(machine, spec, normal(1, *a), normal(2, *b), empty(*c))


def test_panels_longer_than_a_cache(widest: Machine) -> None:
    a, b = normal(1, 8, 40_000), normal(2, 64, 40_000)
    check(widest, "mk,nk->mn", a, b, empty(8, 64))
    check(widest, "mk,kn->mn", a[:, ::2], np.ascontiguousarray(b[:, ::2].T), empty(8, 64))


# -- every way to walk -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(24))
def test_any_register_tile_will_do(
    seed: int, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the cost model would never take is as right: only the time it takes is another."""
    chance = random.Random(seed)
    monkeypatch.setattr(tile_model, "LONG_INNER", chance.choice((1, 20, 1024)))
    monkeypatch.setattr(tile_model, "INNER_BLOCK", chance.choice((1, 7, 256)))
    monkeypatch.setattr(tiling, "BLOCK_FLOP", chance.choice((100, 100_000)))
    monkeypatch.setattr(contraction, "FAR", chance.choice((0, 1 << 19)))
    monkeypatch.setattr(finish, "FAR", chance.choice((0, 1 << 19)))
    l1, l2 = chance.choice((1 << 8, 1 << 15)), chance.choice((1 << 8, 1 << 20))
    machine = replace(machine, l1=l1, l2=l2)
    monkeypatch.setattr(
        TileModel, "cheapest", lambda model: [(1.0, chance.choice([*model.shapes()]))]
    )
    spec = chance.choice((*FORMS, "bmk,bkn->bnm", "mjk,jkn->mn", "jmk,kn->mjn"))
    size = {n: chance.choice((2, 3, 5, 8, 15, 17, 33)) for n in "bjmkn"}
    a, b, c = shapes(spec, **size)
    check(machine, spec, normal(1, *a), normal(2, *b), empty(*c))


# -- strides ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["mk,kn->mn", "mk,nk->mn", "km,kn->nm"])
@pytest.mark.parametrize("turn", list(itertools.product((1, -1), repeat=4))[1::2])
def test_backwards(widest: Machine, spec: str, turn: tuple[int, ...]) -> None:
    a, b, c = shapes(spec, m=18, k=21, n=35)
    first = normal(1, *a)[:: turn[0], :: turn[1]]
    check(widest, spec, first, normal(2, *b)[:: turn[2], ::-1], empty(*c)[:, :: turn[3]])


@pytest.mark.parametrize("spec", FORMS)
def test_slices(machine: Machine, spec: str) -> None:
    a, b, c = shapes(spec, m=36, k=70, n=50)
    first, second, out = normal(1, *a)[3::2, ::2], normal(2, *b)[::2, ::2], empty(*c)[::2, 1::3]
    m = out.shape[spec.split("->")[1].index("m")]
    n = out.shape[spec.split("->")[1].index("n")]
    names = spec.split("->")[0].split(",")
    size = {"k": 33, "m": min(m, 15), "n": min(n, 16)}

    def part(array: Array, letters: str) -> Array:
        return array[tuple(slice(size[n]) for n in letters)]

    check(
        machine, spec, part(first, names[0]), part(second, names[1]),
        part(out, spec.split("->")[1]),
    )  # fmt: skip


def test_repeated_operands(machine: Machine) -> None:
    row = np.broadcast_to(normal(1, 1, 40), (9, 40))
    column = np.broadcast_to(normal(2, 40, 1), (40, 37))
    check(machine, "mk,kn->mn", row, normal(3, 40, 37), empty(9, 37))
    check(machine, "mk,kn->mn", normal(4, 9, 40), column, empty(9, 37))
    check(machine, "mk,kn->mn", np.broadcast_to(normal(5, 9, 1), (9, 40)), column, empty(9, 37))


# -- axes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("bmk,bkn->bmn", {"b": 5, "m": 7, "k": 9, "n": 20}),
        ("bhqd,bhkd->bhqk", {"b": 2, "h": 3, "q": 17, "k": 33, "d": 16}),
        ("bhqk,bkhd->bqhd", {"b": 2, "h": 3, "q": 17, "k": 33, "d": 16}),
        ("btk,kn->btn", {"b": 3, "t": 5, "k": 24, "n": 18}),
        ("btk,btn->kn", {"b": 3, "t": 5, "k": 24, "n": 18}),
        ("abk,kcd->cabd", {"a": 3, "b": 4, "c": 5, "d": 6, "k": 7}),
        ("ijk,jkl->il", {"i": 6, "j": 5, "k": 4, "l": 19}),
        ("ik,kij->ij", {"i": 6, "j": 35, "k": 4}),
        ("bi,bi->b", {"b": 40, "i": 17}),
        ("bi,ib->b", {"b": 40, "i": 17}),
        ("k,k->", {"k": 100}),
        ("m,n->mn", {"m": 33, "n": 18}),
        ("km,k->m", {"k": 50, "m": 70}),
        ("mk,k->m", {"k": 50, "m": 70}),
        ("cp,cpk->ck", {"c": 20, "p": 9, "k": 3}),
    ],
)
def test_axes(machine: Machine, spec: str, size: dict[str, int]) -> None:
    a, b, c = shapes(spec, **size)
    check(machine, spec, normal(1, *a), normal(2, *b), empty(*c))


def test_axes_are_merged() -> None:
    problem = Problem("btk,kn->btn", normal(1, 4, 5, 6), normal(2, 6, 7), empty(4, 5, 7))
    form = normal_form(problem.kernel)
    assert [(dim.role, dim.size) for dim in form.outer] == [("row", 20), ("column", 7)]
    assert [dim.size for dim in form.inner] == [6]


def test_a_repeated_batch_axis_is_a_row() -> None:
    weight = np.broadcast_to(normal(2, 6, 7), (4, 6, 7))
    problem = Problem("bmk,bkn->bmn", normal(1, 4, 5, 6), weight, empty(4, 5, 7))
    form = normal_form(problem.kernel)
    assert [(dim.role, dim.size) for dim in form.outer] == [("row", 20), ("column", 7)]


@pytest.mark.parametrize(
    ("image", "channels", "filters", "stride"),
    [(8, 16, 32, 1), (7, 3, 20, 1), (9, 5, 17, 2), (14, 32, 64, 1)],
)
def test_convolution(
    machine: Machine, image: int, channels: int, filters: int, stride: int
) -> None:
    padded = np.zeros((3, image + 2, image + 2, channels), np.float32)
    padded[:, 1:-1, 1:-1] = normal(1, 3, image, image, channels)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    x = windows[:, ::stride, ::stride]  # b h w c i j
    weight = normal(2, 3, 3, channels, filters)
    out = empty(*x.shape[:3], filters)
    check(machine, "bhwcij,ijco->bhwo", x, weight, out)
    gradient = empty(3, 3, channels, filters)
    check(machine, "bhwcij,bhwo->ijco", x, normal(3, *out.shape), gradient)


def test_channels_first_convolution(widest: Machine) -> None:
    images = normal(1, 2, 6, 12, 12)
    x = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
    out = empty(2, 10, 10, 10)
    check(widest, "bchwij,ocij->bohw", x, normal(2, 10, 6, 3, 3), out)
    check(widest, "bchwij,bohw->ocij", x, normal(3, *out.shape), empty(10, 6, 3, 3))


def test_loops_over_taps_stand_inside_where_lines_of_a_large_result_are_shared(
    widest: Machine,
) -> None:
    small_caches = replace(widest, l2=1 << 13)  # beside which the result is large
    padded = normal(1, 2, 6, 6, 40)
    x = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    gradient, out = normal(2, 2, 4, 4, 50), empty(50, 40, 3, 3)
    spec = "bhwcij,bhwo->ocij"
    check(small_caches, spec, x, gradient, out)
    form = normal_form(Problem(spec, x, gradient, out).kernel)
    for machine, inside in ((small_caches, True), (widest, False)):
        levels = tiling.choose(form, F32, machine, 0.0).levels
        taps = [level.dim.size == 3 for level in levels]
        assert sum(taps) == 2
        assert all(taps[-2:]) is inside


def test_depthwise_convolution(machine: Machine) -> None:
    x = np.lib.stride_tricks.sliding_window_view(normal(1, 2, 9, 9, 20), (3, 3), axis=(1, 2))
    check(machine, "bhwcij,ijc->bhwc", x, normal(2, 3, 3, 20), empty(2, 7, 7, 20))


# -- nothing ---------------------------------------------------------------------------------------


def test_empty_inner_axis_gives_the_epilogue_of_zero(machine: Machine) -> None:
    out, bias = empty(5, 20), normal(1, 20)
    add = Scalar("add", (0, 1), F32)
    a, b = np.zeros((5, 0), np.float32), np.zeros((0, 20), np.float32)
    Problem("mk,kn->mn", a, b, out, [("n", bias)], [add]).run(machine)
    np.testing.assert_array_equal(out, np.broadcast_to(bias, (5, 20)))


@pytest.mark.parametrize(("m", "k", "n"), [(0, 4, 5), (4, 5, 0), (0, 0, 0)])
def test_empty_result(widest: Machine, m: int, k: int, n: int) -> None:
    out = empty(m, n)
    Problem("mk,kn->mn", normal(1, m, k), normal(2, k, n), out).run(widest)
    assert out.size == 0


# -- epilogues -------------------------------------------------------------------------------------


def scalar(op: str, *inputs: int, dtype: Any = F32, **attributes: Any) -> Scalar:
    return Scalar(op, inputs, np.dtype(dtype), attributes)


@pytest.mark.parametrize("spec", FORMS)
def test_bias_and_relu(machine: Machine, spec: str) -> None:
    a, b, c = shapes(spec, m=35, k=40, n=30)
    first, second, bias, out, mask = (
        normal(1, *a),
        normal(2, *b),
        normal(3, 30),
        empty(*c),
        empty(*c),
    )
    result = spec.split("->")[1]
    epilogue = [scalar("literal", value=0.0), scalar("add", 0, 1), scalar("maximum", 3, 2)]
    stores = [(3, result, mask), (4, result, out)]
    Problem(spec, first, second, out, [("n", bias)], epilogue, stores).run(machine)
    product = np.einsum(spec, first.astype(float), second.astype(float))
    exact = product + (bias if result == "mn" else bias[:, None])
    np.testing.assert_allclose(mask, exact, atol=1e-4)
    np.testing.assert_array_equal(out, np.maximum(mask, 0))


@pytest.mark.parametrize(("m", "k", "n"), [(30, 32, 100), (33, 1500, 47), (5, 8, 3)])
def test_update_in_place(machine: Machine, m: int, k: int, n: int) -> None:
    """p - rate * dW, with a rate that is a float64 tensor of rank 0."""
    g, x, p, rate = normal(1, k, m), normal(2, k, n), normal(3, m, n), np.array(0.125)
    before, scratch = p.copy(), empty(m, n)
    epilogue = [
        scalar("cast", 2, dtype=F32),
        scalar("multiply", 0, 3),
        scalar("subtract", 1, 4),
    ]
    loads = [("mn", p), ("", rate)]
    Problem("km,kn->mn", g, x, scratch, loads, epilogue, [(5, "mn", p)]).run(machine)
    exact = before - 0.125 * (g.T.astype(float) @ x)
    np.testing.assert_allclose(p, exact, atol=1e-5 * k**0.5)
    assert np.isnan(scratch).all()


@pytest.mark.parametrize("spec", ["mk,kn->mn", "mk,nk->mn", "mk,kn->nm"])
def test_long_epilogue(machine: Machine, spec: str) -> None:
    a, b, c = shapes(spec, m=29, k=20, n=37)
    first, second, out = normal(1, *a) / 5, normal(2, *b), empty(*c)
    Problem(spec, first, second, out, [], [scalar("tanh", 0), scalar("exp", 1)]).run(machine)
    exact = np.exp(np.tanh(np.einsum(spec, first.astype(float), second.astype(float))))
    np.testing.assert_allclose(out, exact, rtol=1e-5)


def test_epilogue_with_positions_and_choices(machine: Machine) -> None:
    """The lower triangle of a product, as causal attention has it."""
    a, b, out = normal(1, 19, 8), normal(2, 21, 8), empty(19, 21)
    epilogue = [
        scalar("index", axis=0, dtype=np.int64),
        scalar("index", axis=1, dtype=np.int64),
        scalar("less_equal", 2, 1, dtype=np.bool_),
        scalar("literal", value=-np.inf),
        scalar("select", 3, 0, 4),
    ]
    Problem("mk,nk->mn", a, b, out, [], epilogue).run(machine)
    keep = np.tri(19, 21, dtype=bool)
    np.testing.assert_allclose(out[keep], (a.astype(float) @ b.T)[keep], atol=1e-5)
    assert np.all(np.isneginf(out[~keep]))


def test_epilogue_that_stores_another_type(machine: Machine) -> None:
    a, b, out = normal(1, 19, 8), normal(2, 8, 21), empty(19, 21)
    positive = np.zeros((19, 21), np.bool_)
    epilogue = [scalar("literal", value=0.0), scalar("greater", 0, 1, dtype=np.bool_)]
    stores = [(0, "mn", out), (2, "mn", positive)]
    Problem("mk,kn->mn", a, b, out, [], epilogue, stores).run(machine)
    np.testing.assert_array_equal(positive, out > 0)


# -- integers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
@pytest.mark.parametrize("spec", ["mk,kn->mn", "bmk,bnk->bmn", "k,k->"])
def test_integers(widest: Machine, dtype: Any, spec: str) -> None:
    a, b, c = shapes(spec, b=2, m=9, k=11, n=17)
    generator = np.random.default_rng(0)
    first, second = (generator.integers(0, 200, s).astype(dtype) for s in (a, b))
    if dtype is np.bool_:
        first, second = (generator.random(s) < 0.3 for s in (a, b))
    out = np.zeros(c, dtype)
    Problem(spec, first, second, out).run(widest)
    np.testing.assert_array_equal(out, np.einsum(spec, first, second))


# -- blocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["mk,kn->mn", "mk,nk->mn", "km,nk->mn"])
@pytest.mark.parametrize(("m", "k", "n"), [(128, 160, 200), (90, 1200, 130)])
def test_any_order_of_blocks_gives_the_same_bits(
    widest: Machine, spec: str, m: int, k: int, n: int
) -> None:
    a, b, c = shapes(spec, m=m, k=k, n=n)
    first, second, out, again = normal(1, *a), normal(2, *b), empty(*c), empty(*c)
    lowered = Problem(spec, first, second, out).run(widest)
    assert lowered.blocks > 1
    order = np.random.default_rng(0).permutation(lowered.blocks).tolist()
    Problem(spec, first, second, again).run(widest, order)
    np.testing.assert_array_equal(out, again)
    assert_product(spec, first, second, out)


def test_small_products_are_one_block(widest: Machine) -> None:
    problem = Problem("mk,kn->mn", normal(1, 10, 30), normal(2, 30, 32), empty(10, 32))
    assert lower_contraction(problem.kernel, "kernel", widest).blocks == 1


def test_an_operand_is_never_written(widest: Machine) -> None:
    square = normal(1, 8, 8)
    problem = Problem("mk,kn->mn", square, normal(2, 8, 8), square)
    with pytest.raises(ThalwegError, match="over one of its own operands"):
        lower_contraction(problem.kernel, "kernel", widest)


def test_other_processors() -> None:
    """The text is no processor's: AArch64 keeps a register tile in its registers."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = Machine(128, 32, "neoverse-n1", "+neon", 4, 64 << 10, 1 << 20)
    problem = Problem("mk,kn->mn", normal(1, 128, 512), normal(2, 512, 512), empty(128, 512))
    lowered = lower_contraction(problem.kernel, "kernel", machine)
    module = llvm.parse_assembly("\n".join([*sorted(lowered.declarations), lowered.ir]))
    target = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(
        cpu=machine.name, features=machine.features, opt=3
    )
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)
    text = target.emit_assembly(module)
    assert text.count("fmla") >= 24
    assert not re.search(r"(str|stp)\s+q\d+,.*\[sp", text)


def test_the_work_is_counted(widest: Machine) -> None:
    problem = Problem("mk,kn->mn", normal(1, 10, 30), normal(2, 30, 32), empty(10, 32))
    lowered = lower_contraction(problem.kernel, "kernel", widest)
    assert lowered.flops == 2 * 10 * 30 * 32
    assert lowered.bytes == 4 * (10 * 30 + 30 * 32 + 10 * 32)
