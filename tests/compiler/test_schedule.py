"""When threads meet: only where one's work depends on another's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.compiler.toys import F32, I64, kernel, lowered
from thalweg.compiler.kernels import (
    Access,
    Axis,
    Buffer,
    Contraction,
    Indirect,
    Kernel,
    Scalar,
    Scan,
    Scatter,
    Sort,
    Store,
    View,
)
from thalweg.compiler.lower.lowered import Lowered
from thalweg.compiler.native.schedule import effects, schedule, threads_worth

A, B, C, D = (Buffer(name, 16, F32, "state") for name in "abcd")


def temporary(name: str, place: int, size: int = 16) -> Buffer:
    return Buffer(name, size, F32, "temporary", place)


def code(blocks: int, seconds: float = 1e-4) -> Lowered:
    return replace(lowered("k", [A], blocks, 1, ""), flops=1e11 * seconds, bytes=0.0)


def barriers(*kernels: tuple[Kernel, int]) -> list[bool]:
    """Where the threads meet, for kernels with their numbers of blocks."""
    steps = schedule([k for k, _ in kernels], [code(blocks) for _, blocks in kernels])
    return [step.barrier for step in steps]


# -- effects ---------------------------------------------------------------------------------------


def test_effects_of_a_loop() -> None:
    effect = effects(kernel([A, B], [C]))
    assert (effect.reads, effect.writes, effect.may_fail) == ({A, B}, {C}, False)


def test_effects_of_computed_addresses() -> None:
    assert effects(kernel([A], [B], may_fail=True)).may_fail


def test_effects_of_a_tail() -> None:
    loop = kernel([A], [B])
    tail = (Scalar("load", (), F32, {"access": Access(C, 0, (0,))}),)
    assert effects(replace(loop, tail=tail)).reads == {A, C}


def test_effects_of_a_contraction() -> None:
    axis = Axis(4, 1, 1)
    epilogue = (
        Scalar("sum", (), F32),
        Scalar("load", (), F32, {"access": Access(C, 0, (1,))}),
        Scalar("add", (0, 1), F32),
    )
    stores = (Store(2, Access(D, 0, (1,))),)
    product = Contraction(A, 0, B, 0, (), (), (), (axis,), epilogue, stores)
    effect = effects(product)
    assert (effect.reads, effect.writes, effect.may_fail) == ({A, B, C}, {D}, False)


def test_effects_of_a_scatter() -> None:
    index = Buffer("index", 4, I64, "input")
    body = (
        Scalar("load", (), I64, {"access": Access(index, 0, (1,))}),
        Scalar("load", (), F32, {"access": Access(A, 0, (1,))}),
    )
    store = Store(1, Access(B, 0, (0,), (Indirect(0, 1, 16, False),)))
    effect = effects(Scatter((4,), body, store, 16))
    assert (effect.reads, effect.writes, effect.may_fail) == ({index, A}, {B}, True)


@pytest.mark.parametrize("kind", [Sort, Scan])
def test_effects_of_whole_kernels(kind: type) -> None:
    views = View(A, 0, (16,), (1,)), View(B, 0, (16,), (1,))
    whole = Sort(*views, descending=False) if kind is Sort else Scan(*views)
    effect = effects(whole)
    assert (effect.reads, effect.writes, effect.may_fail) == ({A}, {B}, False)


# -- barriers --------------------------------------------------------------------------------------


def test_reading_what_was_written() -> None:
    assert barriers((kernel([A], [B]), 4), (kernel([B], [C]), 4)) == [False, True]


def test_writing_what_was_read() -> None:
    assert barriers((kernel([A], [B]), 4), (kernel([C], [A]), 4)) == [False, True]


def test_writing_what_was_written() -> None:
    assert barriers((kernel([A], [B]), 4), (kernel([C], [B]), 4)) == [False, True]


def test_reading_the_same_is_no_matter() -> None:
    assert barriers((kernel([A], [B]), 4), (kernel([A], [C]), 4)) == [False, False]


def test_thread_0_does_not_wait_for_itself() -> None:
    chain = [(kernel([A], [B]), 1), (kernel([B], [C]), 1), (kernel([C], [D]), 1)]
    assert barriers(*chain) == [False, False, False]


def test_all_wait_for_thread_0_and_it_for_all() -> None:
    assert barriers((kernel([A], [B]), 1), (kernel([B], [C]), 4)) == [False, True]
    assert barriers((kernel([A], [B]), 4), (kernel([B], [C]), 1)) == [False, True]


def test_one_barrier_serves_several_kernels() -> None:
    one, two = kernel([A], [B]), kernel([A], [C])
    after = kernel([B], [D]), kernel([C], [A])
    steps = barriers((one, 4), (two, 4), (after[0], 4), (after[1], 4))
    assert steps == [False, False, True, False]


def test_what_was_before_a_barrier_is_settled() -> None:
    e, f = (Buffer(name, 16, F32, "state") for name in "ef")
    steps = barriers((kernel([A], [B]), 4), (kernel([B], [C]), 4), (kernel([e], [f]), 4))
    assert steps == [False, True, False]
    steps = barriers((kernel([A], [B]), 4), (kernel([B], [C]), 4), (kernel([B], [D]), 4))
    assert steps == [False, True, False]


def test_temporaries_that_take_each_others_place() -> None:
    early, late, beside = temporary("t", 0), temporary("u", 32), temporary("v", 64)
    assert barriers((kernel([A], [early]), 4), (kernel([B], [late]), 4)) == [False, True]
    assert barriers((kernel([A], [early]), 4), (kernel([B], [beside]), 4)) == [False, False]


def test_no_state_is_written_before_a_failure_is_known() -> None:
    gather = kernel([A], [temporary("t", 0)], may_fail=True)
    given = Buffer("out", 16, F32, "output")
    for blocks in (1, 4):
        steps = schedule(
            [gather, kernel([B], [given]), kernel([B], [C]), kernel([D], [B])],
            [code(blocks)] * 4,
        )
        assert [step.check for step in steps] == [False, False, True, False]
        assert steps[2].barrier
    assert not any(s.check for s in schedule([kernel([A], [B])] * 2, [code(4)] * 2))


def test_random_orders_never_let_dependent_kernels_overlap() -> None:
    """Between two barriers no kernel touches what another one, done by others, writes."""
    rng = np.random.default_rng(3)
    buffers = [A, B, C, D, *(temporary(f"t{n}", 32 * n) for n in range(4))]
    for _ in range(200):
        kernels, blocks = [], []
        for _ in range(12):
            read, write = rng.choice(len(buffers), 2, replace=False)
            kernels.append(kernel([buffers[read]], [buffers[write]]))
            blocks.append(int(rng.choice([1, 4])))
        steps = schedule(kernels, [code(b) for b in blocks])
        since = 0
        for step in steps:
            since = step.kernel if step.barrier else since
            for other in range(since, step.kernel):
                apart = blocks[other] > 1 or blocks[step.kernel] > 1
                assert not (apart and dependent(kernels[other], kernels[step.kernel]))


def dependent(first: Kernel, second: Kernel) -> bool:
    a, b = effects(first), effects(second)
    return touch(a.writes, b.reads | b.writes) or touch(a.reads, b.writes)


def touch(some: frozenset[Buffer], others: frozenset[Buffer]) -> bool:
    return any(a is b or shared(a, b) for a in some for b in others)


def shared(a: Buffer, b: Buffer) -> bool:
    both = a.kind == b.kind == "temporary"
    return both and a.place < b.place + 4 * b.size and b.place < a.place + 4 * a.size


# -- threads ---------------------------------------------------------------------------------------


def worth(*codes: Lowered, most: int = 64) -> int:
    kernels = [kernel([A], [A])] * len(codes)
    return threads_worth(codes, schedule(kernels, codes), most)


def test_small_work_has_one_thread() -> None:
    assert worth(code(2, 2e-6)) == 1
    assert worth(*[code(2, 1e-6)] * 5) == 1


def test_large_work_has_as_many_as_it_has_blocks() -> None:
    assert worth(code(7, 1e-2)) == 7
    assert worth(code(7, 1e-2), most=3) == 3
    assert worth() == 1


def test_traffic_counts_as_work() -> None:
    assert worth(replace(code(4, 0.0), bytes=1e8)) == 4


def test_what_one_thread_does_is_not_divided() -> None:
    assert worth(code(1, 1.0)) == 1
    assert worth(code(1, 1.0), code(64, 1e-3)) == 1  # less than a twentieth to save


def test_threads_that_save_nothing_are_left_out() -> None:
    assert worth(code(4, 1e-2)) == 4
    assert worth(code(9, 1e-2), most=8) == 5  # two blocks each: 5 end as soon as 8
