"""The arena: temporaries share memory, and never while both live."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.compiler.passes.running import agree, arrays_for, plan_of
from thalweg.compiler.kernels import Buffer
from thalweg.compiler.parse import parse
from thalweg.compiler.passes import build_plan
from thalweg.compiler.passes.plan.memory import check_memory, lifetimes, with_buffers, writes_of
from thalweg.compiler.reference import run
from thalweg.errors import TraceError

CHAIN = "inputs x: f32[64,64]\n" + "\n".join(
    f"t{n} : f32[64,64] = contraction[spec=ij,jk->ik]({'x' if n == 0 else f't{n - 1}'}, x)"
    for n in range(8)
) + "\noutputs t7"  # fmt: skip


def test_dead_memory_is_used_again() -> None:
    plan = plan_of(CHAIN)
    assert len(plan.kernels) == 8
    assert len(lifetimes(plan.kernels)) == 7
    assert plan.arena == 2 * 64 * 64 * 4


def test_places_are_aligned() -> None:
    plan = plan_of(CHAIN.replace("64", "5"))
    assert {buffer.place for buffer in lifetimes(plan.kernels)} == {0, 128}


def moved_to(plan: object, place: int) -> None:
    """Put all temporaries of a plan at one place."""
    new: dict[Buffer, Buffer] = {}

    def exchange(buffer: Buffer) -> Buffer:
        if buffer.kind != "temporary":
            return buffer
        return new.setdefault(buffer, replace(buffer, place=place))

    plan.kernels = [with_buffers(kernel, exchange) for kernel in plan.kernels]  # type: ignore[attr-defined]


def test_overlap_is_noticed() -> None:
    plan = build_plan(parse(CHAIN), {})
    moved_to(plan, 0)
    with pytest.raises(TraceError, match="overlap in kernels"):
        check_memory(plan)
    moved_to(plan, 64 * 1024)
    with pytest.raises(TraceError, match="is not within 32768 bytes"):
        check_memory(plan)


def test_the_reference_shows_an_overlap() -> None:
    graph = parse(CHAIN)
    plan = agree(graph, arrays_for(graph), {}, within=1e-4)
    (right,) = run(plan, arrays_for(graph))
    moved_to(plan, 0)
    (wrong,) = run(plan, arrays_for(graph))
    assert abs(right - wrong).max() > 1


def test_the_reference_poisons_what_is_dead() -> None:
    graph = parse(CHAIN)
    plan = build_plan(graph, {})
    first, last = plan.kernels[0], plan.kernels[-1]
    plan.kernels.append(first)  # reads only what is given; but then its result is used
    plan.kernels[-1] = last
    plan.kernels.insert(2, first)
    plan.kernels.pop(1)  # the second product is missing: what it would have written is poison
    (wrong,) = run(plan, arrays_for(graph))
    (right,) = run(build_plan(graph, {}), arrays_for(graph))
    assert not (abs(right - wrong) < 1).all()


def test_kernels_that_end_the_life_of_a_value_come_first() -> None:
    """The two products of a layer's backward pass: the one that needs no new memory first."""
    plan = plan_of(
        """
        inputs x: f32[64,64], w: f32[64,64], v: f32[64,64]
        t0 : f32[64,64] = contraction[spec=ij,jk->ik](x, w)
        t1 : f32[64,64] = contraction[spec=ij,jk->ik](t0, v)
        t2 : f32[64,64] = contraction[spec=ij,kj->ik](t1, v)
        t3 : f32[64,64] = contraction[spec=ji,jk->ik](t0, t1)
        t4 : f32[64,64] = contraction[spec=ji,jk->ik](x, t2)
        t5 : f32[64,64] = subtract(v, t3)
        t6 : f32[64,64] = subtract(w, t4)
        outputs t5, t6""",
        {2: 0, 1: 1},
    )
    # v is updated only after its last reader; t0 and t1 die there.
    labels = ["contraction", "contraction", "contraction"]
    labels += ["contraction+subtract", "contraction+subtract"]
    assert [kernel.label for kernel in plan.kernels] == labels
    assert plan.outputs[0].buffer in writes_of(plan.kernels[3])
    assert plan.arena == 3 * 64 * 64 * 4


def test_what_needs_nothing_waits_for_its_reader() -> None:
    plan = plan_of("""
        inputs x: f32[64,64], w: f32[64,64]
        t0 : f32[64,64] = contraction[spec=ij,jk->ik](x, w)
        t1 : f32[64,64] = contraction[spec=ij,jk->ik](t0, w)
        t2 : f32[32,64] = slice[starts=(0,0) sizes=(32,64) steps=(2,1)](t1)
        t3 : f32[64,64] = pad[low=(0,0) high=(32,0) inner=(0,0) value=0](t2)
        t4 : f32[64,64] = contraction[spec=ij,jk->ik](t3, w)
        outputs t4""")
    labels = ["contraction", "contraction", "fill", "copy", "contraction"]
    assert [kernel.label for kernel in plan.kernels] == labels
