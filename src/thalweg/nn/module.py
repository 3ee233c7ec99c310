"""Module: parameters, buffers and other modules, and a `forward` that uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from thalweg._tensor import Parameter, Tensor
from thalweg.devices import check_device
from thalweg.dtypes import DType, as_dtype, float32, float64
from thalweg.errors import ConfigError, DTypeError, ThalwegError, nearest
from thalweg.nn.hooks import Hooked
from thalweg.nn.state import IncompatibleKeys, load
from thalweg.ops.creation import zeros
from thalweg.tape import mode as _mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thalweg.nn.summary import Summary

__all__ = ["Module", "tree_repr"]

T = TypeVar("T")


class Module(Hooked):
    """The base of all layers and networks: attributes that train, and a `forward`.

    Whatever is set as an attribute is found by its name: `Parameter`s, other modules, and the
    tensors named by `register_buffer`. There is no second list to keep in step, so
    `super().__init__()` may be left out, and any attribute may be set, replaced or deleted.

    Parameters and modules inside a list, tuple or dictionary count too, as "layers.0": a plain
    list does what `ModuleList` does. (In PyTorch they would silently stay untrained.) To refer to
    a module without containing it, wrap it: `self.teacher = lambda: teacher`.

    >>> import thalweg as tw
    >>> class Residual(tw.nn.Module):
    ...     def __init__(self, width):
    ...         self.layers = [tw.nn.Linear(width, width) for _ in range(2)]
    ...     def forward(self, x):
    ...         for layer in self.layers:
    ...             x = x + layer(x).relu()
    ...         return x
    >>> [name for name, _ in Residual(4).named_parameters()]
    ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']

    An error inside a network says where: its message begins with the path of the layer, such as
    `Sequential.2 (Linear 784 -> 30): ...`.
    """

    _training: bool = True
    # Names of buffers, and whether the state dictionary holds them. Replaced, never changed.
    _buffer_names: Mapping[str, bool] = {}

    @property
    def training(self) -> bool:
        """Whether the module is in training mode: True until `eval()`."""
        if _mode.trace is not None:
            _mode.trace.guard(self, "training", self._training)
        return self._training

    @training.setter
    def training(self, value: bool) -> None:
        self._training = value

    # --- calling ---------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. Define it in your class; call the module itself."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(self, ...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is None:
                return self.forward(*args, **kwargs)
            return self._hooks.run(self, args, kwargs)
        except ThalwegError as error:
            self._add_place(error)
            raise

    def _add_place(self, error: ThalwegError) -> None:
        """Tell an error that passes this module where it is; see `errors.ThalwegError`."""
        if error.layer is None:
            error.layer = self.describe()
        else:
            names = (path for path, child in self.named_modules() if child is error.module)
            error.layers[-1] = next(names, error.layers[-1])
        error.layers.append(type(self).__name__)
        error.module = self

    def describe(self) -> str:
        """The few words by which errors and the summary name this module: "Linear 784 -> 30"."""
        return type(self).__name__

    # --- what it holds ---------------------------------------------------------------------------

    def _members(self, kind: type[T]) -> list[tuple[str, T]]:
        """The attributes of that kind by name, in order, those in lists and dictionaries too."""
        found: list[tuple[str, T]] = []
        for name, value in tuple(self.__dict__.items()):
            if isinstance(value, kind):
                found.append((name, value))
            elif isinstance(value, _HOLDERS):
                found.extend(_inside(name, value, kind, ()))
        return found

    def _walk(self, path: str, closed: set[int], once: bool) -> Iterator[tuple[str, Module]]:
        """Self and all modules below by path, each before its own. Those in `closed` are left out:
        the modules visited if `once`, else those on the way here, so that no circle is followed.
        """
        if id(self) in closed:
            return
        closed.add(id(self))
        yield path, self
        for name, child in self._members(Module):
            yield from child._walk(_joined(path, name), closed, once)
        if not once:
            closed.remove(id(self))

    def _below(self, prefix: str, recurse: bool, once: bool) -> Iterable[tuple[str, Module]]:
        return self._walk(prefix, set(), once) if recurse else [(prefix, self)]

    def named_modules(
        self, *, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(path, module) for this module, whose path is "", and all below it, depth first.

        >>> import thalweg as tw
        >>> [path for path, _ in tw.nn.Sequential(tw.nn.Linear(3, 2), tw.nn.ReLU()).named_modules()]
        ['', '0', '1']
        """
        return self._walk(prefix, set(), remove_duplicate)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) for the modules right below this one, each once."""
        yield from _distinct(self._members(Module))

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(path, parameter) for the parameters of this module and, with `recurse`, of all below.

        >>> import thalweg as tw
        >>> {name: tuple(p.shape) for name, p in tw.nn.Linear(3, 2).named_parameters()}
        {'weight': (2, 3), 'bias': (2,)}
        """
        found = (
            (_joined(path, name), parameter)
            for path, module in self._below(prefix, recurse, remove_duplicate)
            for name, parameter in module._members(Parameter)
        )
        return _distinct(found) if remove_duplicate else found

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(path, buffer) for the buffers of this module and, with `recurse`, of all below."""
        found = (
            (_joined(path, name), buffer)
            for path, module in self._below(prefix, recurse, remove_duplicate)
            for name in module._buffer_names
            if isinstance(buffer := module.__dict__.get(name), Tensor)
        )
        return _distinct(found) if remove_duplicate else found

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once, depth first."""
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator[Module]:
        """The modules right below this one, each once."""
        return (module for _, module in self.named_children())

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and, with `recurse`, of all below, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and, with `recurse`, of all below, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module of that path, such as "encoder.layers.0"; "" is this module."""
        return _found(self, target, self.named_modules(remove_duplicate=False))

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of that path, such as "layers.0.weight"."""
        return _found(self, target, self.named_parameters(remove_duplicate=False))

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of that path, such as "norm.running_mean"."""
        return _found(self, target, self.named_buffers(remove_duplicate=False))

    # --- setting attributes ----------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        is_plain = isinstance(value, Tensor) and not isinstance(value, Parameter)
        if is_plain and isinstance(self.__dict__.get(name), Parameter):
            raise ConfigError(
                f"{type(self).__name__}.{name} is a Parameter; a plain tensor in its place would "
                f"not be trained. Set {name} = nn.Parameter(tensor), or change its value in a "
                f"`with tw.no_grad():` by {name}.copy_(tensor)"
            )
        object.__setattr__(self, name, value)

    def add_module(self, name: str, module: Module | None) -> None:
        """Set a module as the attribute `name`: a str, not empty, without a dot."""
        if module is not None and not isinstance(module, Module):
            raise ConfigError(f"{name!r}: a Module expected, got {type(module).__name__}")
        self._set_new(name, module)

    register_module = add_module

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set a parameter, or None for one that is left out, as the attribute `name`."""
        if param is not None and not isinstance(param, Parameter):
            raise ConfigError(f"{name!r}: a Parameter expected, got {type(param).__name__}")
        self._set_new(name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Set a tensor that belongs to the module but is not trained as the attribute `name`.

        Buffers follow `to` and, unless not `persistent`, are part of the state dictionary.
        """
        if tensor is not None and not isinstance(tensor, Tensor):
            raise ConfigError(f"{name!r}: a Tensor expected, got {type(tensor).__name__}")
        self._set_new(name, tensor)
        self._buffer_names = {**self._buffer_names, name: persistent}

    def _set_new(self, name: str, value: Any) -> None:
        if not name or "." in name:
            raise ConfigError(f"a name is a str, not empty and without a dot; got {name!r}")
        if hasattr(type(self), name):
            raise ConfigError(
                f"{type(self).__name__} has a method or class attribute {name!r}: "
                "choose another name"
            )
        setattr(self, name, value)

    # --- for all of it ---------------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], object]) -> Self:
        """Call `fn` with each module below, then with this one, each once.

        >>> import thalweg as tw
        >>> def start(module):
        ...     if isinstance(module, tw.nn.Linear):
        ...         tw.nn.init.zeros_(module.bias)
        >>> net = tw.nn.Sequential(tw.nn.Linear(3, 2)).apply(start)
        >>> net[0].bias.tolist()
        [0.0, 0.0]
        """
        _apply(self, fn, set())
        return self

    def train(self, mode: bool = True) -> Self:
        """Set `training` here and below: dropout, for one, acts while training only."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """`train(False)`."""
        return self.train(False)

    def compile(self, *, fallback: Literal["eager"] | None = None) -> None:
        """Let the calls of this module run compiled from now on; see `tw.compile`."""
        self._compiled(fallback, inside=True)

    def _compiled(self, fallback: Literal["eager"] | None, inside: bool = False) -> Self:
        from thalweg.nn.compiled import compiled_module

        return compiled_module(self, fallback, inside)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Let all parameters be trained, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or make them zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.zeros_like()

    def to(
        self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: Any = False
    ) -> Self:
        """Cast parameters, their gradients and floating buffers to a floating dtype, in place.

        Takes a dtype, a tensor whose dtype to take, or "cpu".

        >>> import thalweg as tw
        >>> tw.nn.Linear(3, 2).to(tw.float64).weight.dtype
        thalweg.float64
        """
        check_device(device)
        for argument in args:
            if argument != "cpu":
                dtype = zeros(0).to(argument).dtype  # which knows dtypes, tensors and devices
        return self if dtype is None else self._cast(as_dtype(dtype))

    def _cast(self, dtype: DType) -> Self:
        if not dtype.is_floating_point:
            raise DTypeError(f"the parameters of a module are floating, not {dtype!r}")
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.is_floating_point():
                tensor.data = tensor.detach().to(dtype)
            if tensor.grad is not None:
                tensor.grad = tensor.grad.detach().to(dtype)
        return self

    def cpu(self) -> Self:
        """The module itself: it is on the CPU."""
        return self

    def float(self) -> Self:
        """`to(float32)`."""
        return self._cast(float32)

    def double(self) -> Self:
        """`to(float64)`."""
        return self._cast(float64)

    # --- state -----------------------------------------------------------------------------------

    def _state(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """(path, tensor) for what the state dictionary holds: parameters, persistent buffers."""
        for path, module in self._walk(prefix.removesuffix("."), set(), once=False):
            for name, parameter in module._members(Parameter):
                yield _joined(path, name), parameter
            for name, persistent in module._buffer_names.items():
                buffer = module.__dict__.get(name)
                if persistent and isinstance(buffer, Tensor):
                    yield _joined(path, name), buffer

    def state_dict(self, *, prefix: str = "", keep_vars: bool = False) -> dict[str, Tensor]:
        """The values of all parameters and persistent buffers by path, in PyTorch's order.

        A snapshot: tensors are values, so further training does not reach it. (In PyTorch it
        would.) With `keep_vars`, the parameters and buffers themselves.

        >>> import thalweg as tw
        >>> list(tw.nn.Sequential(tw.nn.Linear(3, 2), tw.nn.Tanh()).state_dict())
        ['0.weight', '0.bias']
        """
        return {name: x if keep_vars else x.detach() for name, x in self._state(prefix)}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Take over the values in `state_dict`, each cast to the dtype of its parameter or buffer.

        Gives (missing_keys, unexpected_keys), which must be empty unless `strict` is False.
        Raises `CheckpointError`, with nothing changed, for a missing or an unknown name, and for
        a shape that differs.

        >>> import thalweg as tw
        >>> net = tw.nn.Linear(3, 2)
        >>> net.load_state_dict(tw.nn.Linear(3, 2).state_dict())
        <All keys matched successfully>
        """
        return load(type(self).__name__, dict(self._state()), state_dict, strict)

    # --- printing --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed."""
        return ""

    def __repr__(self) -> str:
        children = [(f"({name})", repr(child)) for name, child in self._members(Module)]
        return tree_repr(type(self).__name__, self.extra_repr(), children)

    def summary(self, *inputs: Tensor | Sequence[int]) -> Summary:
        """The layers with their parameter counts and, for given `inputs`, output shapes.

        See `nn.summary`.
        """
        from thalweg.nn.summary import summary

        return summary(self, *inputs)


_HOLDERS = (list, tuple, dict)


def _inside(
    path: str, holder: Any, kind: type[T], above: tuple[int, ...]
) -> Iterator[tuple[str, T]]:
    """What a list, tuple or dictionary holds of that kind, by path; no circle is followed."""
    if id(holder) in above:
        return
    entries = holder.items() if isinstance(holder, dict) else enumerate(holder)
    for key, value in entries:
        if isinstance(value, kind):
            yield f"{path}.{key}", value
        elif isinstance(value, _HOLDERS):
            yield from _inside(f"{path}.{key}", value, kind, (*above, id(holder)))


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _distinct(named: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    """Each object once, under its first name."""
    seen: set[int] = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


def _found(module: Module, target: str, named: Iterable[tuple[str, T]]) -> T:
    known = dict(named)
    if target not in known:
        hint = nearest(target, [name for name in known if name])
        raise ConfigError(f"{type(module).__name__} has no {target!r}; {hint}")
    return known[target]


def _apply(module: Module, fn: Callable[[Module], object], seen: set[int]) -> None:
    if id(module) in seen:
        return
    seen.add(id(module))
    for child in module.children():
        _apply(child, fn, seen)
    fn(module)


def tree_repr(name: str, options: str, children: list[tuple[str, str]]) -> str:
    """`name(options)`, with the children, each indented, on lines of their own."""
    if not children:
        return f"{name}({options})"
    lines = [f"{label}: {text}".replace("\n", "\n  ") for label, text in children]
    return "\n  ".join([f"{name}(", *filter(None, [options]), *lines]) + "\n)"
