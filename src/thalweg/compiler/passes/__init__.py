"""From a graph to a plan of kernels: one function of named passes, in reading order.

equations/: each makes a graph that computes the same
    verify          every equation is what its primitive's shape rule says     (verify.py)
    simplify        algebra that is exact, constants                           (simplify/)
    share_common    equal equations once                                       (cse.py)
    join_pieces     a sum of padded values is their concatenation              (pieces.py)
    remove_dead     nothing that no output depends on                          (dce.py)
    settle_scans    loops: the same in their bodies, and what need not be within
                                                       (loops.py, stacking.py, scans.py)
    settle_branches the same within branches                                   (branches.py)
    release_holds   what was held apart until now                              (holds.py)
    settle_outputs  every output has an equation of its own                    (outputs.py)
fusion/: what is computed together
    fuse            what is stored, what is computed on the spot, and where
                    (held.py, layout.py, channels.py, costs.py, body.py, drafts.py, fuse.py)
plan/: kernels, in order, each with its memory
    schedule        the order of the kernels, state written in place
                    (schedule.py, emit.py, contractions.py, rounds.py)
    chained         loops that go on row by row, for a few rows at a time      (chains.py)
    split           large reductions to few results, in blocks                 (split.py)
    arrange         temporaries in one arena                                   (memory.py)
    with_rows_ahead what a scan's next iteration gathers is asked for in time  (ahead.py)
    with_rows_in_place  products read rows of a large table where they lie  (places.py)
    with_final_stores  what each iteration writes anew is written in the last  (final.py)

What all of them know of primitives is in operations.py, of addresses in views.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from thalweg.compiler.graph import Graph, inner_graphs
from thalweg.compiler.kernels import Buffer, Plan, View
from thalweg.compiler.passes.equations.branches import settle_branches
from thalweg.compiler.passes.equations.cse import share_common
from thalweg.compiler.passes.equations.dce import remove_dead_code
from thalweg.compiler.passes.equations.holds import release_holds
from thalweg.compiler.passes.equations.loops import settle_scans
from thalweg.compiler.passes.equations.outputs import settle_outputs
from thalweg.compiler.passes.equations.pieces import join_pieces
from thalweg.compiler.passes.equations.simplify import simplify
from thalweg.compiler.passes.equations.verify import verify
from thalweg.compiler.passes.fusion.fuse import fuse
from thalweg.compiler.passes.fusion.held import Choice, held_orders
from thalweg.compiler.passes.plan.ahead import with_rows_ahead
from thalweg.compiler.passes.plan.chains import chained
from thalweg.compiler.passes.plan.final import with_final_stores
from thalweg.compiler.passes.plan.memory import arrange, check_memory, in_arena, with_buffers
from thalweg.compiler.passes.plan.places import with_rows_in_place
from thalweg.compiler.passes.plan.rounds import carried, with_results
from thalweg.compiler.passes.plan.schedule import schedule
from thalweg.compiler.passes.plan.split import split_reductions
from thalweg.compiler.passes.views import row_major

__all__ = ["build_plan", "optimize"]


def optimize(graph: Graph) -> Graph:
    """The same program in fewer equations, verified before and after."""
    return verify(_smaller(verify(graph)))


def _smaller(graph: Graph) -> Graph:
    graph = _simpler(graph)
    if any(map(inner_graphs, graph.equations)):
        graph = _simpler(settle_branches(settle_scans(graph, _smaller), _smaller))
    return graph


def _simpler(graph: Graph) -> Graph:
    graph = remove_dead_code(graph)
    graph = simplify(graph)
    graph = share_common(graph)
    graph = join_pieces(graph)
    graph = simplify(graph)
    return remove_dead_code(graph)


def build_plan(graph: Graph, updates: Mapping[int, int], choice: Choice | None = None) -> Plan:
    """The kernels that compute `graph`.

    `updates`, for each input that is state, maps its number to the number of the output that is
    its new value: that output stands in the input's buffer when all kernels have run. `choice`
    says which inputs and outputs may lie in another order than row-major.
    """
    plan = _planned(optimize(graph), updates, choice)
    plan.kernels = with_rows_ahead([in_arena(kernel) for kernel in plan.kernels])
    plan.kernels = with_final_stores(with_rows_in_place(plan.kernels))
    return plan


def _planned(graph: Graph, updates: Mapping[int, int], choice: Choice | None) -> Plan:
    graph, held = release_holds(graph, updates)
    settled = settle_outputs(graph, updates)
    whole = with_results(settled.graph)
    plans = {
        e.output: [_planned(inner, carried(e), None) for inner in inner_graphs(e)]
        for e in whole.equations
    }
    fused = fuse(whole, settled.stored | held, held_orders(whole, updates, choice))
    orders = fused.layout.orders
    scheduled = schedule(whole, fused, settled.roots, updates, plans)
    kernels = split_reductions(chained(scheduled.kernels))
    places, arena = arrange(kernels)
    placed = {buffer: replace(buffer, place=place) for buffer, place in places.items()}

    def final(buffer: Buffer) -> Buffer:
        return placed.get(buffer, buffer)

    plan = Plan(
        kernels=[with_buffers(kernel, final) for kernel in kernels],
        inputs=scheduled.inputs,
        outputs=[
            View(buffer, 0, atom.shape, row_major(atom.shape))
            for buffer, atom in zip(scheduled.outputs, graph.outputs, strict=True)
        ],
        input_orders={n: orders[v] for n, v in enumerate(whole.inputs) if v in orders},
        output_orders={n: orders[v] for n, v in enumerate(settled.roots) if v in orders},
        updates=dict(updates),
        arena=arena,
    )
    check_memory(plan)
    return plan
