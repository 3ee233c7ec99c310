"""From LLVM IR text to code that runs: parse, verify, optimise, emit, load.

Each module compiles by itself, in a context of its own, so several compile at once; what the disk
keeps of an earlier run (see `cache`) does not compile at all. A `Library` is a set of modules
linked with each other, loaded, and unloaded when nothing refers to it any more.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cache as once
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from thalweg.compiler.host import address
from thalweg.compiler.lower.host import HOST
from thalweg.compiler.machine import Machine
from thalweg.compiler.native import cache
from thalweg.errors import ThalwegError

__all__ = [
    "Library",
    "assembly",
    "compile_modules",
    "emit",
    "kept_library",
    "optimised",
    "versions",
]

# Part of every cache key: to be changed with what `_optimise` and `_target_machine` ask for.
_SETTINGS = "pipeline 3, loop and slp vectorisation, code generation 3"
_DEFINED = re.compile(r"^define (?!internal |private )[^@\n]*@([\w.$]+)\(", re.MULTILINE)
_numbers = itertools.count()
_compiling = threading.RLock()  # nobody forks while LLVM's own locks are held
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_compiling.acquire,
        after_in_parent=_compiling.release,
        after_in_child=_compiling.release,
    )


class Library:
    """Modules loaded together; their code stays as long as this object does.

    `names` are the functions that their object code defines for the outside; it may call
    @thalweg_host, which this process gives it. `keys` say where the disk keeps each object, where
    it does.
    """

    def __init__(
        self, objects: Sequence[bytes], names: Sequence[str], keys: Sequence[str] = ()
    ) -> None:
        import llvmlite.binding as llvm

        builder = llvm.JITLibraryBuilder().add_current_process()
        for code in objects:
            builder.add_object_img(code)
        for name in names:
            builder.export_symbol(name)
        if any(HOST.encode() in code for code in objects):
            builder.import_symbol(HOST, address())
        try:
            self._tracker = builder.link(_linker(), f"thalweg{next(_numbers)}")
        except RuntimeError as error:
            raise ThalwegError(f"the native code cannot be linked: {error}") from error
        self.names, self.keys = list(names), list(keys)

    def address(self, name: str) -> int:
        """Where the function `name` begins."""
        if name not in self.names:
            known = ", ".join(sorted(self.names))
            raise ThalwegError(f"the library gives no address of {name!r}; it does of: {known}")
        return int(self._tracker[name])


def compile_modules(irs: Sequence[str], machine: Machine, plain: Sequence[str] = ()) -> Library:
    """Compile modules of LLVM IR for `machine` and load them as one library.

    The modules `plain` are not optimised: code that only calls what is in others compiles sooner.
    Functions that are not `internal` can be called from the other modules, and have an address.
    Raises `ThalwegError` with LLVM's words where a module is not valid IR, or calls what is
    nowhere.

    >>> from thalweg.compiler.machine import host
    >>> text = "define i64 @twice(i64 %x) {\\n %y = shl i64 %x, 1\\n ret i64 %y\\n}"
    >>> library = compile_modules([text], host())
    >>> ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("twice"))(21)
    42
    """
    modules = [_Module(ir, machine, quick=False) for ir in irs]
    modules += [_Module(ir, machine, quick=True) for ir in plain]
    with _compiling:
        keep = cache.is_on()
        codes = {module: module.kept() if keep else None for module in modules}
        missing = sorted((m for m in modules if codes[m] is None), key=_length, reverse=True)
        for module, code in zip(missing, _each(_Module.made, missing, machine.cores), strict=True):
            codes[module] = code
            if keep:
                cache.save(module.key, code)
        if keep and missing:
            cache.shrink()
        names = [name for module in modules for name in _DEFINED.findall(module.ir)]
        keys = [module.key for module in codes] if keep else []
        return Library([code for code in codes.values() if code is not None], names, keys)


def kept_library(keys: Sequence[str], names: Sequence[str]) -> Library | None:
    """The library of the objects under these keys; None where the disk does not have them all."""
    objects = [code for code in map(cache.load, keys) if code is not None]
    with _compiling:
        return Library(objects, names, keys) if len(objects) == len(keys) else None


@dataclass(frozen=True, slots=True)
class _Module:
    """A module of a library, and what becomes of it."""

    ir: str
    machine: Machine
    quick: bool

    @property
    def key(self) -> str:
        parts = (self.ir, self.machine.name, self.machine.features, f"quick {self.quick}")
        return cache.key_of([*parts, *versions()])

    def kept(self) -> bytes | None:
        return cache.load(self.key)

    def made(self) -> bytes:
        return emit(self.ir, self.machine, quick=self.quick)


def _length(module: _Module) -> int:
    return len(module.ir)


def emit(ir: str, machine: Machine, triple: str | None = None, quick: bool = False) -> bytes:
    """The object code of a module, for this system or another one; `quick`: as it stands."""
    with closing(_Work(ir, machine, triple)) as work:
        _optimise(work, 0 if quick else 3)
        return _emit(work, object_code=True)


def assembly(ir: str, machine: Machine, triple: str | None = None) -> str:
    """The assembly text of a module's optimised code."""
    with closing(_Work(ir, machine, triple)) as work:
        _optimise(work)
        return _emit(work, object_code=False).decode()


def optimised(ir: str, machine: Machine) -> str:
    """The module as LLVM IR text after optimisation."""
    with closing(_Work(ir, machine, None)) as work:
        _optimise(work)
        return str(work.module)


def _each(
    make: Callable[[_Module], bytes], modules: Sequence[_Module], workers: int
) -> list[bytes]:
    """make(module) for all of them, on several threads where there are several."""
    if min(workers, len(modules)) < 2:
        return [make(module) for module in modules]
    with ThreadPoolExecutor(min(workers, len(modules)), "thalweg-compile") as pool:
        return list(pool.map(make, modules))


@once
def versions() -> tuple[str, ...]:
    """What decides the code beside the text and the processor."""
    import llvmlite
    import llvmlite.binding as llvm

    try:
        own = version("thalweg")
    except PackageNotFoundError:  # run from its source
        own = "source"
    llvm_version = ".".join(map(str, llvm.llvm_version_info))
    triple = llvm.get_process_triple()
    return triple, f"llvmlite {llvmlite.__version__}", f"LLVM {llvm_version}", own, _SETTINGS


# -- one module ------------------------------------------------------------------------------------


class _Work:
    """A module being compiled: parsed and verified, with the machine it is for.

    `close()` frees the module before the context that it lives in. The garbage collector, which
    takes them in any order where an exception holds both, must not find them open.
    """

    def __init__(self, ir: str, machine: Machine, triple: str | None) -> None:
        _initialise(triple)
        import llvmlite.binding as llvm

        self.target = _target_machine(machine, triple)
        self.context = llvm.create_context()
        self.module: Any = None
        try:
            self.module = llvm.parse_assembly(ir, self.context)
            self.module.triple = triple or llvm.get_process_triple()
            self.module.data_layout = str(self.target.target_data)
            self.module.verify()
        except RuntimeError as error:
            self.close()
            raise ThalwegError(f"LLVM refuses a module: {error}\n{_excerpt(ir, error)}") from error

    def close(self) -> None:
        """Free what LLVM holds."""
        if self.module is not None:
            self.module.close()
        self.context.close()


def _optimise(work: _Work, level: int = 3) -> None:
    import llvmlite.binding as llvm

    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = level > 1
    options.slp_vectorization = level > 1
    builder = llvm.create_pass_builder(work.target, options)
    passes = builder.getModulePassManager()
    _llvm().run_passes(_pointer(passes), _pointer(work.module), _pointer(builder))


def _emit(work: _Work, object_code: bool) -> bytes:
    calls, message = _llvm(), ctypes.c_char_p()
    memory = calls.emit(
        _pointer(work.target), _pointer(work.module), int(object_code), ctypes.byref(message)
    )
    if not memory:
        raise ThalwegError(f"LLVM cannot emit a module: {(message.value or b'').decode()}")
    try:
        return ctypes.string_at(calls.start(memory), calls.size(memory))
    finally:
        calls.dispose(memory)


def _target_machine(machine: Machine, triple: str | None) -> Any:
    import llvmlite.binding as llvm

    target = llvm.Target.from_triple(triple or llvm.get_process_triple())
    return target.create_target_machine(
        cpu=machine.name, features=machine.features, opt=3, jit=triple is None
    )


def _excerpt(ir: str, error: RuntimeError) -> str:
    """The lines around the one that LLVM's message names, as `<string>:LINE:COLUMN:`."""
    words = str(error).split("<string>:", 1)
    if len(words) < 2 or not words[1].split(":")[0].isdigit():
        return ""
    wrong = int(words[1].split(":")[0])
    lines = ir.splitlines()
    around = range(max(1, wrong - 3), min(len(lines), wrong + 3) + 1)
    return "\n".join(f"{'>' if n == wrong else ' '} {n:4d} {lines[n - 1]}" for n in around)


# -- llvmlite --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Calls:
    """LLVM's long-running calls, without the lock that llvmlite puts around every call.

    A context, with its modules, is used by one thread only: so LLVM lets them run at once.
    """

    run_passes: Any
    emit: Any
    start: Any
    size: Any
    dispose: Any


@once
def _llvm() -> _Calls:
    from llvmlite.binding import ffi

    library = ctypes.CDLL(None, handle=ffi.lib._handle)
    pointer = ctypes.c_void_p

    def call(name: str, result: Any, *arguments: Any) -> Any:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
        return function

    return _Calls(
        run_passes=call("LLVMPY_RunNewModulePassManager", None, pointer, pointer, pointer),
        emit=call(
            "LLVMPY_TargetMachineEmitToMemory", pointer, pointer, pointer, ctypes.c_int, pointer
        ),
        start=call("LLVMPY_GetBufferStart", pointer, pointer),
        size=call("LLVMPY_GetBufferSize", ctypes.c_size_t, pointer),
        dispose=call("LLVMPY_DisposeMemoryBuffer", None, pointer),
    )


def _pointer(reference: Any) -> int | None:
    """The address of LLVM's object behind one of llvmlite's."""
    return ctypes.cast(reference._ptr, ctypes.c_void_p).value


@once
def _initialise(triple: str | None) -> None:
    import llvmlite.binding as llvm

    if triple is not None:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@once
def _linker() -> Any:
    """What links and loads, once a process."""
    _initialise(None)
    import llvmlite.binding as llvm

    target = llvm.Target.from_triple(llvm.get_process_triple())
    machine = target.create_target_machine(opt=3, jit=True)
    return llvm.create_lljit_compiler(machine)
