"""The backward pass: the tape, once, in reverse order of creation.

For i = N, ..., 1 the cotangent of v_i is the sum, over the operations j it went into, of the
vector-Jacobian product of j. A node is visited after everything that was computed from it,
so its cotangent is complete when it is visited. Source: deck 004, "Autograd algorithm".
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from thalweg.errors import AnomalyError, GradientError, ShapeError
from thalweg.ops.creation import ones_like
from thalweg.ops.lift import literal
from thalweg.primitives.core import AllOperands
from thalweg.tape import Node, TensorBase, mode, not_a_tensor, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = [
    "HookHandle",
    "Step",
    "backward",
    "backward_steps",
    "grad",
    "pulled",
    "register_hook",
    "retain_grad",
]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a backward pass: a node, or at the end a leaf, and its cotangent.

    `node` is the recorded operation (None for a leaf), `leaf` the leaf (None for a node),
    `value` what the forward pass computed, `cotangent` d loss / d value, of the same shape.
    """

    node: Node | None
    leaf: Tensor | None
    value: Tensor
    cotangent: Tensor

    @property
    def name(self) -> str:
        """The operation's name, or "leaf"."""
        return self.node.name if self.node else "leaf"


Roots = list[tuple["Tensor", "Tensor"]]
Cotangents = dict[Any, "Tensor"]


def backward(
    output: Tensor, gradient: Tensor | None, retain_graph: bool | None, create_graph: bool
) -> None:
    """Accumulate d output / d leaf into every leaf's `.grad`; see `Tensor.backward`."""
    retain = create_graph if retain_graph is None else retain_graph
    leaves: Cotangents = {}
    for _ in _walk([(output, _seed(output, gradient))], leaves, retain, create_graph):
        pass
    for leaf, cotangent in leaves.items():
        _accumulate(leaf, _own(cotangent, create_graph))


def _own(cotangent: Tensor, create_graph: bool) -> Tensor:
    """A tensor of its own: x + y hands one cotangent to both, and a gradient may be changed."""
    parent = cotangent if cotangent._node is None else cotangent._node
    return _saved(cotangent._value, parent if create_graph and cotangent._requires_grad else None)


def _accumulate(leaf: Tensor, cotangent: Tensor) -> None:
    if mode.trace is not None:
        mode.trace.touch(leaf)
    held = leaf._grad
    if held is None:
        leaf._grad = cotangent
    else:
        total = held + cotangent
        held._value = total._value
        held._node, held._requires_grad = total._node, total._requires_grad


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` with respect to `inputs`, which may be leaves or computed.

    Nothing is added to any `.grad`. With `create_graph` the gradients are on the tape
    themselves: gradients of gradients. An input that nothing depends on is an error, or, with
    `allow_unused`, None.

    >>> import thalweg as tw
    >>> x = tw.tensor(3.0, requires_grad=True)
    >>> (first,) = tw.autograd.grad(x**3, x, create_graph=True)
    >>> (second,) = tw.autograd.grad(first, x)
    >>> first.item(), second.item()
    (27.0, 18.0)
    """
    outs, ins = _listed(outputs), _listed(inputs)
    seeds = _listed(grad_outputs) if grad_outputs is not None else [None] * len(outs)
    if len(seeds) != len(outs):
        raise GradientError(f"{len(outs)} outputs, but {len(seeds)} grad_outputs were given")
    for position, x in enumerate(ins):
        if not x.requires_grad:
            raise GradientError(
                f"input {position}, of shape {tuple(x.shape)}, does not require a gradient: "
                "set requires_grad=True before it is used"
            )
    retain = create_graph if retain_graph is None else retain_graph
    roots = [(out, _seed(out, seed)) for out, seed in zip(outs, seeds, strict=True)]
    found: Cotangents = {}
    wanted = {x._node for x in ins if x._node is not None}
    for node, cotangent in _walk(roots, found, retain, create_graph):
        if node in wanted:
            found[node] = cotangent
    gradients = tuple(found.get(x if x._node is None else x._node) for x in ins)
    if None in [g if g is None else 0 for g in gradients] and not allow_unused:
        missing = [i for i, g in enumerate(gradients) if g is None]
        raise GradientError(
            f"the outputs do not depend on inputs {missing}; pass allow_unused=True to get None"
        )
    return tuple(None if g is None else _own(g, create_graph) for g in gradients)


def pulled(
    roots: Roots, wanted: Sequence[Node], within: set[Node], retain: bool, connect: bool
) -> list[Tensor | None]:
    """The cotangents of the `wanted` nodes, by a walk that visits nodes `within` alone.

    With `connect` what the VJPs read is connected to where it came from. They are recorded where
    that is asked for, where a cotangent is on the tape itself, and inside a transform, whose tape
    outside may go through them; unless the tape is off. A cotangent that does not arrive is None.
    """
    found: Cotangents = {}
    starts = set(wanted)
    keep = mode.grad and (connect or any(g._requires_grad for _, g in roots))
    record = keep or (mode.grad and mode.level is not None)
    for node, cotangent in _walk(roots, {}, retain, connect, within, record):
        if node in starts:
            found[node] = cotangent
    gradients = [found.get(node) for node in wanted]
    return [None if g is None else _own(g, keep) for g in gradients]


def backward_steps(output: Tensor, gradient: Tensor | None = None) -> Iterator[Step]:
    """Step through the backward pass of `output`, each cotangent as it is computed.

    Yields a `Step` for each recorded operation, from the output backwards, then one for each leaf
    with its gradient. Nothing is freed, no `.grad` changes: look as often as you like.

    >>> import thalweg as tw
    >>> w, x = tw.tensor(2.0, requires_grad=True), tw.tensor(3.0)
    >>> for step in tw.backward_steps((w * x).exp()):
    ...     print(step.name, round(step.value.item(), 1), round(step.cotangent.item(), 1))
    exp 403.4 1.0
    multiply 6.0 403.4
    leaf 2.0 1210.3
    """
    leaves: Cotangents = {}
    for node, cotangent in _walk([(output, _seed(output, gradient))], leaves, True, False):
        yield Step(node, None, wrap(node.output), cotangent)
    for leaf, cotangent in leaves.items():
        yield Step(None, leaf, leaf.detach(), cotangent)


def _seed(output: Tensor, gradient: Tensor | None) -> Tensor:
    """The cotangent a pass from `output` starts with: 1 for a scalar."""
    if not output._requires_grad:
        raise GradientError(
            "backward from a tensor that nothing requiring a gradient led to: was it computed "
            "under no_grad, from detached tensors, or from integers? Set requires_grad=True on "
            "the parameters, before the computation"
        )
    if gradient is None:
        if output.numel() != 1:
            raise GradientError(
                f"backward from a tensor of shape {tuple(output.shape)} needs the cotangent to "
                "start from: reduce it to a scalar (loss.mean().backward()), or pass "
                "gradient=v, of the same shape, for v^T J"
            )
        return literal(1, output.dtype) if not output._value.shape else ones_like(output)
    if not isinstance(gradient, TensorBase):
        raise not_a_tensor("gradient", gradient)
    if gradient._value.shape != output._value.shape:
        raise ShapeError(
            f"gradient has shape {tuple(gradient.shape)}, expected the shape of the output, "
            f"{tuple(output.shape)}"
        )
    return gradient.to(output.dtype)


def _walk(
    roots: Roots,
    leaves: Cotangents,
    retain: bool,
    create_graph: bool,
    within: set[Node] | None = None,
    record: bool | None = None,
) -> Iterator[tuple[Node, Tensor]]:
    """Visit every node from the latest to the earliest; yields it with its complete cotangent.

    Cotangents of leaves gather in `leaves`. VJPs are recorded on the tape only under
    `create_graph`; what a node held is freed when it has been visited, unless `retain`.
    Given nodes `within`, no other and no leaf is visited; `record`, if given, says whether VJPs are
    recorded.
    """
    cotangents: Cotangents = {}
    pending: list[tuple[int, Node]] = []
    before = mode.grad

    def send(parent: Node | Tensor, cotangent: Tensor) -> None:
        if parent.__class__ is Node:
            target = cotangents
            if parent not in target:
                heappush(pending, (-parent.index, parent))
        else:
            target = leaves
        known = target.get(parent)
        target[parent] = cotangent if known is None else known + cotangent

    for output, seed in roots:
        if mode.trace is not None and within is None:
            mode.trace.touch(output)
        send(output if output._node is None else output._node, seed)
    while pending:
        node = heappop(pending)[1]
        cotangent = _hooked(node.hooks, cotangents.pop(node))
        yield node, cotangent
        mode.grad = create_graph if record is None else record
        try:
            for parent, contribution in _pullback(node, cotangent, create_graph, within):
                send(parent, contribution)
        finally:
            mode.grad = before
        if not retain:
            node.values = node.output = None
    for leaf, cotangent in leaves.items():
        leaves[leaf] = _hooked(getattr(leaf, "_hooks", None), cotangent)


def _pullback(
    node: Node, cotangent: Tensor, create_graph: bool, within: set[Node] | None
) -> Iterable[tuple[Node | Tensor, Tensor]]:
    """The VJP of one node: a contribution for each operand that wants one."""
    if node.values is None:
        raise GradientError(
            f"backward a second time through {node.name!r}, whose values were freed by the first. "
            "Compute the loss again before each backward, or pass retain_graph=True to the first"
        )
    if create_graph:
        operands = [_saved(v, parent) for v, parent in zip(node.values, node.parents, strict=True)]
        out = _saved(node.output, node)
    else:
        operands = [wrap(value) for value in node.values]
        out = wrap(node.output)
    vjp = node.op.vjp
    assert vjp is not None
    attributes, parents = node.attributes, node.parents
    if within is not None:
        parents = [parent if parent in within else None for parent in parents]
    try:
        if isinstance(vjp, AllOperands):
            if all(parent is None for parent in parents):
                return []
            together = vjp.rule(cotangent, out, *operands, **attributes)
            pairs = zip(parents, together, strict=True)
            return [(parent, g) for parent, g in pairs if parent is not None and g is not None]
        return [
            (parent, rule(cotangent, out, *operands, **attributes))
            for position, parent in enumerate(parents)
            if parent is not None and (rule := vjp[position]) is not None
        ]
    except AnomalyError as error:
        error.in_derivative(node.name, node.output)
        raise


def _saved(value: Any, parent: Node | Tensor | None) -> Tensor:
    """A saved value as a tensor that is still connected to where it came from."""
    tensor = wrap(value)
    if parent is not None:
        tensor._node, tensor._requires_grad = parent, True
    return tensor


def _listed(x: Any) -> list[Any]:
    return list(x) if isinstance(x, list | tuple) else [x]


# --- hooks -------------------------------------------------------------------------------------


Hook = Callable[["Tensor"], "Tensor | None"]


def _hooked(hooks: list[Hook] | None, cotangent: Tensor) -> Tensor:
    if not hooks:
        return cotangent
    for hook in tuple(hooks):
        changed = hook(cotangent)
        cotangent = cotangent if changed is None else changed
    return cotangent


class HookHandle:
    """What registering a hook gives: `remove()` takes it away again."""

    def __init__(self, hooks: list[Hook], hook: Hook) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks[:] = [hook for hook in self._hooks if hook is not self._hook]


def register_hook(x: Tensor, hook: Hook) -> HookHandle:
    """See `Tensor.register_hook`."""
    if not x._requires_grad:
        raise GradientError("a hook needs a tensor that requires a gradient, this one does not")
    if isinstance(x._node, Node):
        hooks = x._node.hooks = x._node.hooks or []
    else:
        leaf: Any = x if x._node is None else x._node
        hooks = leaf._hooks = getattr(leaf, "_hooks", [])
    kept = 0 if isinstance(hook, _Keep) else sum(isinstance(h, _Keep) for h in hooks)
    hooks.insert(len(hooks) - kept, hook)  # what .grad keeps is what all hooks have made of it
    return HookHandle(hooks, hook)


def retain_grad(x: Tensor) -> None:
    """See `Tensor.retain_grad`."""
    if not isinstance(x._node, Node):
        return  # a leaf has its .grad anyway
    kept = (hook.tensor() for hook in x._node.hooks or () if isinstance(hook, _Keep))
    if not any(tensor is x for tensor in kept):
        register_hook(x, _Keep(x))


class _Keep:
    """The hook by which a computed tensor gets its .grad."""

    def __init__(self, x: Tensor) -> None:
        self.tensor = weakref.ref(x)

    def __call__(self, cotangent: Tensor) -> None:
        tensor = self.tensor()
        if tensor is not None:
            _accumulate(tensor, _own(cotangent, create_graph=True))
