"""New values of states: in the state's own buffer wherever that is right."""

from __future__ import annotations

from tests.compiler.passes.running import plan_of
from thalweg.compiler.kernels import Plan
from thalweg.compiler.passes.plan.memory import writes_of


def labels(plan: Plan) -> list[str]:
    return [kernel.label for kernel in plan.kernels]


def test_elementwise_update_in_place() -> None:
    plan = plan_of(
        """
        inputs p: f32[3,4], g: f32[3,4], lr: f64
        t0 : f32 = cast[dtype=f32](lr)
        t1 : f32[3,4] = multiply(t0, g)
        t2 : f32[3,4] = subtract(p, t1)
        outputs t2""",
        {0: 0},
    )
    assert labels(plan) == ["cast+multiply+subtract"]
    assert writes_of(plan.kernels[0]) == [plan.inputs[0]]
    assert plan.outputs[0].buffer is plan.inputs[0]
    assert plan.inputs[0].kind == "state"
    assert plan.arena == 0


def test_update_of_a_product_in_its_epilogue() -> None:
    plan = plan_of(
        """
        inputs w: f32[4,3], x: f32[5,3], g: f32[5,4]
        t0 : f32[5,3] = contraction[spec=nm,mk->nk](g, w)
        t1 : f32[4,3] = contraction[spec=nm,nk->mk](g, x)
        t2 : f32[4,3] = multiply(t1, 0.5)
        t3 : f32[4,3] = subtract(w, t2)
        outputs t3, t0""",
        {0: 0},
    )
    # The product that reads the old weights comes first.
    assert labels(plan) == ["contraction", "contraction+multiply+subtract"]
    assert plan.arena == 0


def test_a_value_read_elsewhere_later_is_copied_at_the_end() -> None:
    plan = plan_of(
        """
        inputs p: f32[4], q: f32[4]
        t0 : f32[4] = add(p, q)
        t1 : f32    = sum[axes=(0)](t0)
        t2 : f32[4] = flip[axes=(0)](p)
        t3 : f32[4] = multiply(t2, t1)
        outputs t0, t3""",
        {0: 0},
    )
    assert labels(plan)[-1] == "copy"
    assert writes_of(plan.kernels[-1]) == [plan.inputs[0]]


def test_a_kernel_that_reads_other_elements_does_not_write_in_place() -> None:
    plan = plan_of(
        """
        inputs p: f32[4]
        t0 : f32[4] = flip[axes=(0)](p)
        t1 : f32[4] = add(p, t0)
        outputs t1""",
        {0: 0},
    )
    assert labels(plan) == ["add", "copy"]


def test_reduction_of_a_state_into_itself() -> None:
    plan = plan_of(
        """
        inputs p: f32[4,4]
        t0 : f32[4] = sum[axes=(1)](p)
        t1 : f32[4,4] = add(p, t0)
        outputs t1""",
        {0: 0},
    )
    assert labels(plan) == ["sum", "add"]
    assert writes_of(plan.kernels[-1]) == [plan.inputs[0]]


def test_states_exchange_values() -> None:
    plan = plan_of("inputs p: f32[4], q: f32[4]\noutputs q, p", {0: 0, 1: 1})
    assert {buffer for kernel in plan.kernels for buffer in writes_of(kernel)} >= {*plan.inputs}


def test_a_state_that_keeps_its_value_needs_no_kernel() -> None:
    plan = plan_of("inputs p: f32[4]\noutputs p", {0: 0})
    assert plan.kernels == []


def test_one_value_for_several_states() -> None:
    plan = plan_of(
        """
        inputs s: f64, t: f64, u: f64
        t0 : f64 = add(s, 1.0)
        outputs t0, t0, t0, t0""",
        {0: 0, 1: 1, 2: 3},
    )
    assert labels(plan) == ["add"]
    assert len(writes_of(plan.kernels[0])) == 4


def test_a_state_that_becomes_a_constant_or_a_joined_value() -> None:
    plan = plan_of(
        """
        inputs p: f32[4], q: f32[4], x: f32[2]
        t0 : f32[4] = full[shape=(4) value=0 dtype=f32]()
        t1 : f32[2] = slice[starts=(2) sizes=(2) steps=(1)](q)
        t2 : f32[4] = concatenate[axis=0](t1, x)
        outputs t0, t2""",
        {0: 0, 1: 1},
    )
    assert plan.outputs[0].buffer is plan.inputs[0]


def test_scattered_into_a_state_that_others_read() -> None:
    plan_of(
        """
        inputs p: f32[4], g: f32[3], i: i64[3]
        t0 : f32[4] = scatter_add[shape=(4) axes=(0) wrap=False](g, i)
        t1 : f32[4] = exp(p)
        t2 : f32[3] = gather[axes=(0) wrap=False](p, i)
        t3 : f32[4] = scatter_add[shape=(4) axes=(0) wrap=False](t2, i)
        outputs t3, t1, t0, t0""",
        {0: 0},
    )


def test_three_results_of_one_loop() -> None:
    plan = plan_of(
        """
        inputs p: f32[300,100], m: f32[300,100], v: f32[300,100], g: f32[300,100]
        t0 : f32[300,100] = multiply(m, 0.9)
        t1 : f32[300,100] = multiply(g, 0.1)
        t2 : f32[300,100] = add(t0, t1)
        t3 : f32[300,100] = multiply(v, 0.99)
        t4 : f32[300,100] = multiply(g, g)
        t5 : f32[300,100] = add(t3, t4)
        t6 : f32[300,100] = absolute(t5)
        t7 : f32[300,100] = sqrt(t6)
        t8 : f32[300,100] = add(t7, 0.01)
        t9 : f32[300,100] = divide(t2, t8)
        t10 : f32[300,100] = subtract(p, t9)
        outputs t10, t2, t5""",
        {0: 0, 1: 1, 2: 2},
    )
    (kernel,) = plan.kernels
    assert writes_of(kernel) == [plan.inputs[1], plan.inputs[2], plan.inputs[0]]
    assert plan.arena == 0


def test_a_state_of_no_element() -> None:
    plan_of(
        """
        inputs p: f32[3,0]
        t0 : f32[3,0] = exp(p)
        t1 : f32[3,0] = exp(t0)
        outputs t1, t0""",
        {0: 1},
    )
