"""Loops that store values of all their points and reduce them: what is computed is read at once."""

from __future__ import annotations

from tests.compiler.passes.running import plan_of
from thalweg.compiler.describe import describe
from thalweg.compiler.kernels import Loop, Plan


def labels(plan: Plan) -> list[str]:
    return [kernel.label for kernel in plan.kernels]


SOFTMAX = """
    inputs x: f32[6,5]
    t0 : f32[6]   = max[axes=(1)](x)
    t1 : f32[6,1] = reshape[shape=(6,1)](t0)
    t2 : f32[6,5] = subtract(x, t1)
    t3 : f32[6,5] = exp(t2)
    t4 : f32[6]   = sum[axes=(1)](t3)
    t5 : f32[6,1] = reshape[shape=(6,1)](t4)
    t6 : f32[6,5] = divide(t3, t5)
    outputs t6"""


def test_the_exponentials_of_a_softmax_with_their_sum() -> None:
    plan = plan_of(SOFTMAX)
    assert labels(plan) == ["max", "subtract+exp+sum", "divide"]
    assert describe(plan.kernels[1]).splitlines() == [
        "subtract+exp+sum",
        "    for i < 6",
        "      over j < 5",
        "        0: f32 = x0[5 i + j]",
        "        1: f32 = v1[i]",
        "        2: f32 = subtract 0 1",
        "        3: f32 = exp 2",
        "        v2[5 i + j] = 3",
        "      r0: f32 = sum of 3",
        "      4: f32 = r0",
        "      v3[i] = 4",
    ]


def test_a_moment_in_its_state_and_the_norms_of_a_step() -> None:
    """LAMB: what is updated in place is read and written at one point, in the body."""
    plan = plan_of(
        """
        inputs p: f32[6,5], g: f32[6,5], m: f32[6,5]
        t0 : f32[6,5] = multiply(m, 0.9)
        t1 : f32[6,5] = add(t0, g)
        t2 : f32[6,5] = multiply(p, 0.01)
        t3 : f32[6,5] = add(t1, t2)
        t4 : f32[6,5] = multiply(t3, t3)
        t5 : f32      = sum[axes=(0,1)](t4)
        t6 : f32[6,5] = multiply(p, p)
        t7 : f32      = sum[axes=(0,1)](t6)
        t8 : f32      = divide(t7, t5)
        t9 : f32[6,5] = multiply(t3, t8)
        t10: f32[6,5] = subtract(p, t9)
        outputs t10, t1""",
        {0: 0, 2: 1},
    )
    first, second = plan.kernels
    assert isinstance(first, Loop)
    assert [r.kind for r in first.reductions] == ["sum", "sum"]
    assert plan.inputs[2] in {store.access.buffer for store in first.body_stores}
    assert isinstance(second, Loop)
    assert not second.reductions


def test_what_a_value_is_reduced_to_may_have_other_axes() -> None:
    """Columns, and a reshape of the points; a value that follows the sum is of the tail."""
    plan = plan_of("""
        inputs x: f32[4,6], y: f32[24]
        t0 : f32[4,6]  = exp(x)
        t1 : f32[6]    = sum[axes=(0)](t0)
        t2 : f32[24]   = reshape[shape=(24)](t0)
        t3 : f32[24]   = add(t2, y)
        t4 : f32[6]    = sqrt(t1)
        outputs t0, t3, t4""")
    (kernel,) = plan.kernels
    assert isinstance(kernel, Loop)
    assert len(kernel.body_stores) == 2
    assert len(kernel.tail_stores) == 1


def test_a_position_is_counted_along_one_loop() -> None:
    """A value whose points would divide the loop of an argmax has a loop of its own."""
    plan = plan_of("""
        inputs x: f32[3,24], y: f32[3,4,6]
        t0 : f32[3,24]  = exp(x)
        t1 : i64[3]     = argmax[axis=1](t0)
        t2 : f32[3,4,6] = reshape[shape=(3,4,6)](t0)
        t3 : f32[3,4,6] = add(t2, y)
        outputs t0, t1, t3""")
    reducing = [k for k in plan.kernels if isinstance(k, Loop) and k.reductions]
    assert len(reducing) == 1
    assert len(plan.kernels) == 2


def test_what_follows_a_reduction_at_all_points_waits_for_it() -> None:
    plan = plan_of("""
        inputs x: f32[4,6]
        t0 : f32[4]   = sum[axes=(1)](x)
        t1 : f32[4,1] = reshape[shape=(4,1)](t0)
        t2 : f32[4,6] = subtract(x, t1)
        t3 : f32[6]   = sum[axes=(0)](t2)
        t4 : f32[4]   = max[axes=(1)](x)
        outputs t2, t3, t4""")
    assert labels(plan) == ["sum+max", "subtract+sum"]


def test_what_may_fail_is_not_reduced_at_once() -> None:
    """The sum may become a state, which keeps its value where an index is out of range."""
    plan = plan_of(
        """
        inputs x: f32[9], i: i64[2,6], s: f32
        t0 : f32[2,6] = gather[axes=(0) wrap=True](x, i)
        t1 : f32      = sum[axes=(0,1)](t0)
        t2 : f32      = add(s, t1)
        outputs t0, t2""",
        {2: 1},
    )
    assert labels(plan) == ["gather", "sum+add"]


def test_a_sum_that_is_put_into_what_its_loop_could_fill() -> None:
    """The zeros around it are there before; so they are not filled in by its own kernel."""
    plan = plan_of(
        """
        inputs x: f32[5], y: f32[5]
        t0 : f32[5] = exp(x)
        t1 : f32[5] = multiply(t0, y)
        t2 : f32[5] = multiply(t0, x)
        t3 : f32    = sum[axes=(0)](t2)
        t4 : f32[1] = reshape[shape=(1)](t3)
        t5 : f32[5] = pad[low=(0) high=(4) inner=(0) value=0](t4)
        t6 : f32[5] = add(t1, t5)
        outputs t6"""
    )
    assert len(plan.kernels) == 3
