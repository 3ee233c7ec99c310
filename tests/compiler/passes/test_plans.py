"""Programs as kernels: which there are, and that they compute what the interpreter does."""

from __future__ import annotations

import pytest

from tests.compiler.passes.running import plan_of
from thalweg.compiler.kernels import Contraction, Loop

# Of each program the labels of its kernels, in order.
PROGRAMS = {
    "view chain": (
        "add",
        """
        inputs x: f32[4,6], y: f32[6,4]
        t0 : f32[6,4] = transpose[axes=(1,0)](x)
        t1 : f32[6,4] = add(t0, y)
        t2 : f32[3,4] = slice[starts=(1,0) sizes=(3,4) steps=(2,1)](t1)
        t3 : f32[3,4] = flip[axes=(0,1)](t2)
        t4 : f32[3,1,4] = reshape[shape=(3,1,4)](t3)
        t5 : f32[3,5,4] = broadcast[shape=(3,5,4)](t4)
        outputs t5
        """,
    ),
    "all pieces of a value": (
        "contraction+add; contraction",
        """
        inputs x: f32[4,6], w: f32[6,8], b: f32[8]
        t0 : f32[4,8] = contraction[spec=mk,kn->mn](x, w)
        t1 : f32[4,8] = broadcast[shape=(4,8)](b)
        t2 : f32[4,8] = add(t0, t1)
        t3 : f32[4,4] = slice[starts=(0,0) sizes=(4,4) steps=(1,1)](t2)
        t4 : f32[4,4] = slice[starts=(0,4) sizes=(4,4) steps=(1,1)](t2)
        t5 : f32[4,4] = contraction[spec=mk,nk->mn](t3, t4)
        outputs t5
        """,
    ),
    "one piece of a value": (
        "contraction; add; contraction",
        """
        inputs x: f32[4,6], w: f32[6,8], b: f32[8], y: f32[4,4]
        t0 : f32[4,8] = contraction[spec=mk,kn->mn](x, w)
        t1 : f32[4,8] = broadcast[shape=(4,8)](b)
        t2 : f32[4,8] = add(t0, t1)
        t3 : f32[4,4] = slice[starts=(0,4) sizes=(4,4) steps=(1,1)](t2)
        t4 : f32[4,4] = contraction[spec=mk,nk->mn](t3, y)
        outputs t4
        """,
    ),
    "reshape merge": (
        "exp",
        """
        inputs x: f32[4,6]
        t0 : f32[6,4] = transpose[axes=(1,0)](x)
        t1 : f32[24] = reshape[shape=(24)](t0)
        t2 : f32[24] = exp(t1)
        t3 : f32[3,8] = reshape[shape=(3,8)](t2)
        t4 : f32[8,3] = transpose[axes=(1,0)](t3)
        t5 : f32[2,12] = reshape[shape=(2,12)](t4)
        outputs t5
        """,
    ),
    "concat": (
        "add; copy; exp+sum",
        """
        inputs x: f32[4,6], y: f32[4,2], z: f32[4,6]
        t0 : f32[4,6] = add(x, z)
        t1 : f32[4,14] = concatenate[axis=1](t0, y, x)
        t2 : f32[4,14] = exp(t1)
        t3 : f32[14] = sum[axes=(0)](t2)
        outputs t3, t1
        """,
    ),
    "stack": (
        "add",
        """
        inputs x: f32[4], y: f32[4]
        t0 : f32[4] = add(x, y)
        t1 : f32[1,4] = reshape[shape=(1,4)](t0)
        t2 : f32[1,4] = reshape[shape=(1,4)](x)
        t3 : f32[2,4] = concatenate[axis=0](t1, t2)
        outputs t3
        """,
    ),
    "pad": (
        "fill; exp; multiply",
        """
        inputs x: f32[4,6]
        t0 : f32[4,6] = exp(x)
        t1 : f32[9,13] = pad[low=(1,0) high=(1,2) inner=(1,1) value=0.5](t0)
        t2 : f32[9,13] = multiply(t1, 2.0)
        outputs t2
        """,
    ),
    "pads sum": (
        "add",
        """
        inputs x: f32[4], y: f32[4]
        t0 : f32[8] = pad[low=(0) high=(4) inner=(0) value=0](x)
        t1 : f32[8] = pad[low=(4) high=(0) inner=(0) value=0](y)
        t2 : f32[8] = add(t0, t1)
        outputs t2
        """,
    ),
    "overlapping pads sum": (
        "fill; copy; add",
        """
        inputs x: f32[4], y: f32[4]
        t0 : f32[8] = pad[low=(0) high=(4) inner=(0) value=0](x)
        t1 : f32[8] = pad[low=(3) high=(1) inner=(0) value=0](y)
        t2 : f32[8] = add(t0, t1)
        outputs t2
        """,
    ),
    "scatter": (
        "scatter_add; cast+multiply+subtract",
        """
        inputs g: f32[5,3], i: i64[5], w: f32[10,3], lr: f64
        t0 : f32[10,3] = scatter_add[shape=(10,3) axes=(0) wrap=True](g, i)
        t1 : f32 = cast[dtype=f32](lr)
        t2 : f32[10,3] = multiply(t0, t1)
        t3 : f32[10,3] = subtract(w, t2)
        outputs t3, t0
        """,
    ),
    "scatter2": (
        "exp+scatter_add",
        """
        inputs g: f32[5], i: i64[5], j: i32[5]
        t0 : f32[5] = exp(g)
        t1 : f32[3,4] = scatter_add[shape=(3,4) axes=(0,1) wrap=False](t0, i, j)
        outputs t1
        """,
    ),
    "sort": (
        "negative; argsort; argsort; cumsum; cumsum",
        """
        inputs x: f32[5,3]
        t0 : f32[5,3] = negative(x)
        t1 : i64[5,3] = argsort[axis=0 descending=False](t0)
        t2 : i64[5,3] = argsort[axis=1 descending=True](x)
        t3 : f32[5,3] = cumsum[axis=0](t0)
        t4 : f32[5,3] = cumsum[axis=1](t3)
        outputs t1, t2, t4
        """,
    ),
    "gather": (
        "exp+gather+sum",
        """
        inputs x: f32[4,6,5], i: i64[3,1], j: i32[2]
        t0 : f32[4,6,5] = exp(x)
        t1 : f32[3,2,6] = gather[axes=(0,2) wrap=True](t0, i, j)
        t2 : f32[3,2] = sum[axes=(2)](t1)
        outputs t2
        """,
    ),
    "random": (
        "random_bits+greater_equal+cast+multiply; add",
        """
        inputs k: i64, c: i64, x: f32[5,7]
        t0 : u32[5,7] = random_bits[shape=(5,7)](k, c)
        t1 : bool[5,7] = greater_equal(t0, 2147483648)
        t2 : f32[5,7] = cast[dtype=f32](t1)
        t3 : f32[5,7] = multiply(x, t2)
        t4 : i64 = add(c, 9)
        outputs t3, t4
        """,
    ),
    "outputs": (
        "add; fill",
        """
        inputs x: f32[3], y: f32[3]
        t0 : f32[3] = add(x, y)
        t1 : f32[1,3] = reshape[shape=(1,3)](t0)
        outputs x, t0, t0, t1, 2.5, y
        """,
    ),
    "zero": (
        "fill; fill; fill",
        """
        inputs x: f32[0,3], y: f32[3,0]
        t0 : f32[0,3] = exp(x)
        t1 : f32[3] = sum[axes=(0)](t0)
        t2 : f32[3,3] = contraction[spec=mk,kn->mn](y, x)
        t3 : f32[2,3] = pad[low=(2,0) high=(0,0) inner=(0,0) value=1.5](t0)
        outputs t0, t1, t2, t3
        """,
    ),
    "batch": (
        "contraction+multiply+select; max; subtract+exp+sum; divide; contraction; add",
        """
        inputs q: f32[2,5,6], k: f32[2,5,6], m: bool[5,5]
        t0 : f32[2,5,3,2] = reshape[shape=(2,5,3,2)](q)
        t1 : f32[2,5,3,2] = reshape[shape=(2,5,3,2)](k)
        t2 : f32[2,3,5,2] = transpose[axes=(0,2,1,3)](t0)
        t3 : f32[2,3,5,2] = transpose[axes=(0,2,1,3)](t1)
        t4 : f32[2,3,5,5] = contraction[spec=abik,abjk->abij](t2, t3)
        t5 : f32[2,3,5,5] = multiply(t4, 0.7)
        t6 : f32[2,3,5,5] = select(m, t5, -10.0)
        t7 : f32[2,3,5] = max[axes=(3)](t6)
        t8 : f32[2,3,5,1] = reshape[shape=(2,3,5,1)](t7)
        t9 : f32[2,3,5,5] = subtract(t6, t8)
        t10 : f32[2,3,5,5] = exp(t9)
        t11 : f32[2,3,5] = sum[axes=(3)](t10)
        t12 : f32[2,3,5,1] = reshape[shape=(2,3,5,1)](t11)
        t13 : f32[2,3,5,5] = divide(t10, t12)
        t14 : f32[2,3,5,2] = contraction[spec=abij,abjk->abik](t13, t3)
        t15 : f32[2,5,3,2] = transpose[axes=(0,2,1,3)](t14)
        t16 : f32[2,5,6] = reshape[shape=(2,5,6)](t15)
        t17 : f32[2,5,6] = add(t16, q)
        outputs t17
        """,
    ),
}


@pytest.mark.parametrize(("labels", "text"), PROGRAMS.values(), ids=PROGRAMS)
def test_program(labels: str, text: str) -> None:
    plan = plan_of(text)
    assert "; ".join(kernel.label for kernel in plan.kernels) == labels


def test_convolutions_compute_channels_last() -> None:
    plan = plan_of("""
        inputs x: f32[2,3,8,8], w: f32[5,3,3,3], v: f32[4,5,3,3]
        t0 : f32[2,3,6,6,3,3] = windows[sizes=(3,3) strides=(1,1) dilations=(1,1)](x)
        t1 : f32[2,5,6,6]     = contraction[spec=nchwij,ocij->nohw](t0, w)
        t2 : f32[2,5,6,6]     = maximum(t1, 0.0)
        t3 : f32[2,5,8,8]     = pad[low=(0,0,1,1) high=(0,0,1,1) inner=(0,0,0,0) value=0](t2)
        t4 : f32[2,5,6,6,3,3] = windows[sizes=(3,3) strides=(1,1) dilations=(1,1)](t3)
        t5 : f32[2,4,6,6]     = contraction[spec=nchwij,ocij->nohw](t4, v)
        t6 : f32[2,4,3,3,2,2] = windows[sizes=(2,2) strides=(2,2) dilations=(1,1)](t5)
        t7 : f32[2,4,3,3]     = max[axes=(4,5)](t6)
        t8 : f32[2,36]        = reshape[shape=(2,36)](t7)
        t9 : f32[2,36]        = exp(t8)
        outputs t9, t2""")
    assert "; ".join(kernel.label for kernel in plan.kernels) == (
        "fill; contraction+maximum; contraction; maximum+exp"
    )
    _, first, second, pooled = plan.kernels
    assert isinstance(first, Contraction)
    assert isinstance(second, Contraction)
    # An output stays in row-major order; beside it, the next convolution's padded operand.
    channels = {store.access.buffer.name: store.access.strides[-1] for store in first.stores}
    assert channels["out1"] == 36
    assert [stride for name, stride in channels.items() if name != "out1"] == [1]
    assert [axis.size for axis in second.columns] == [4]
    assert second.inner[-1].a == 1  # the channels
    assert second.stores[0].access.strides[-1] == 1
    assert isinstance(pooled, Loop)
    assert pooled.stores[0].access.buffer.kind == "output"


@pytest.mark.parametrize(
    "equation",
    [
        "t0 : f32 = contraction[spec=,->](2.0, 3.0)",
        "t0 : f32[3] = contraction[spec=a,->a](x, 3.0)",
        "t0 : f32 = sum[axes=()](2.0)",
    ],
)
def test_a_literal_that_is_to_stand_in_memory(equation: str) -> None:
    plan_of(f"inputs x: f32[3]\n{equation}\noutputs t0")


def test_reshape_of_what_is_computed_on_the_spot() -> None:
    """The derivative of pooling, spread over its tiles, goes on in the same loop."""
    plan = plan_of("""
        inputs x: f32[2,3,4,6], y: f32[2,3,2,3,2,2]
        t0 : f32[2,3,2,3,2,2] = exp(y)
        t1 : f32[2,3,4,6] = overlap_add[shape=(4,6) strides=(2,2) dilations=(1,1)](t0)
        t2 : f32[2,3,4,6] = multiply(t1, x)
        outputs t2""")
    (kernel,) = plan.kernels
    assert isinstance(kernel, Loop)
    assert kernel.label == "exp+multiply"
    assert kernel.space == (12, 2, 3, 2)


def test_a_padded_value_is_stored_once() -> None:
    """Others read it where it was padded; in the kernel that computes it, from its register."""
    plan = plan_of("""
        inputs x: f32[2,32,6,6], v: f32[16,32,3,3]
        t0 : f32[2,32,6,6]     = exp(x)
        t1 : f32[2,32,8,8]     = pad[low=(0,0,1,1) high=(0,0,1,1) inner=(0,0,0,0) value=0](t0)
        t2 : f32[2,32,6,6,3,3] = windows[sizes=(3,3) strides=(1,1) dilations=(1,1)](t1)
        t3 : f32[2,16,6,6]     = contraction[spec=nchwij,ocij->nohw](t2, v)
        t4 : f32[32]           = sum[axes=(0,2,3)](t0)
        t5 : f32[2,32,6,6]     = multiply(t0, 2.0)
        outputs t3, t4, t5""")
    labels = [kernel.label for kernel in plan.kernels]
    assert sorted(labels) == ["contraction", "exp+multiply+sum", "fill"]
    computed = plan.kernels[labels.index("exp+multiply+sum")]
    assert isinstance(computed, Loop)
    assert len(computed.body_stores) == 2  # padded, and the result


def test_short_sums_are_not_stored_one_by_one() -> None:
    """What follows a short product, and must lie in another order, is a loop of its own."""
    plan = plan_of("""
        inputs x: f32[4,10], w: f32[10,512], v: f32[16,8,3,3]
        t0 : f32[4,512]       = contraction[spec=ak,km->am](x, w)
        t1 : f32[4,8,8,8]     = reshape[shape=(4,8,8,8)](t0)
        t2 : f32[4,8,8,8]     = multiply(t1, 2.0)
        t3 : f32[4,8,6,6,3,3] = windows[sizes=(3,3) strides=(1,1) dilations=(1,1)](t2)
        t4 : f32[4,16,6,6]    = contraction[spec=nchwij,ocij->nohw](t3, v)
        outputs t4""")
    assert [kernel.label for kernel in plan.kernels] == ["contraction", "multiply", "contraction"]


def test_an_update_of_taps_is_a_loop_of_its_own() -> None:
    """Three neighbours of a convolution's weight are no vector; those of a dense one are many."""
    text = """
        inputs x: f32[1,32,6,6], g: f32[1,64,4,4], m: f32[64,32,3,3]
        t0 : f32[1,32,4,4,3,3] = windows[sizes=(3,3) strides=(1,1) dilations=(1,1)](x)
        t1 : f32[64,32,3,3]    = contraction[spec=nohw,nchwij->ocij](g, t0)
        t2 : f32[64,32,3,3]    = add(t1, m)
        outputs t2"""
    assert [kernel.label for kernel in plan_of(text).kernels] == ["contraction", "add"]
    text = """
        inputs x: f32[4,256], g: f32[4,64], m: f32[64,256]
        t0 : f32[64,256] = contraction[spec=no,nc->oc](g, x)
        t1 : f32[64,256] = add(t0, m)
        outputs t1"""
    assert [kernel.label for kernel in plan_of(text).kernels] == ["contraction+add"]


def test_products_with_padding_alone_are_not_made() -> None:
    """A convolution knows which rows of its padded image, and which columns, are nothing else."""
    plan = plan_of("""
        inputs x: f32[2,3,5,6], w: f32[4,3,3,3]
        t0 : f32[2,3,7,8]     = pad[low=(0,0,1,1) high=(0,0,1,1) inner=(0,0,0,0) value=0](x)
        t1 : f32[2,3,5,6,3,3] = windows[sizes=(3,3) strides=(1,1) dilations=(1,1)](t0)
        t2 : f32[2,4,5,6]     = contraction[spec=nchwij,ocij->nohw](t1, w)
        t3 : f32[2,4,5,6]     = exp(t2)
        outputs t3""")
    (product,) = (kernel for kernel in plan.kernels if isinstance(kernel, Contraction))
    assert [(m.count, m.size, m.low, m.high) for m in product.margins] == [
        (5, 3, 1, 6),
        (6, 3, 1, 7),
    ]
