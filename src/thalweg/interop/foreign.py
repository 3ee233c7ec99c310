"""What a file is that is not what its name says, told by how it begins, and what to do."""

from __future__ import annotations

from typing import Final

__all__ = ["looks_like"]

_CONVERT: Final = (
    "In PyTorch, convert it with safetensors.torch.save_file("
    "torch.load(FILE, weights_only=True), 'model.safetensors')"
)
_READ: Final = "Read it with thalweg.interop.torch_files.load_file"
_ARRAYS: Final = "Read it with {} and save the arrays with thalweg.interop.safetensors.save_file"
_AGAIN: Final = "Get or save it again"
_FILE_ITSELF: Final = "Get the file itself: the address led to a page about it"

# fmt: off
_STARTS: Final = (
    (b"PK\x03\x04",              "a zip archive, as torch.save writes it (.pt, .pth)", _READ),
    (b"\x89HDF\r\n\x1a\n",       "an HDF5 file, as Keras writes it",   _ARRAYS.format("h5py")),
    (b"\x93NUMPY",               "a NumPy array (.npy)",        _ARRAYS.format("numpy.load")),
    (b"GGUF",                    "a GGUF file, as llama.cpp has it", "Get it as safetensors"),
    (b"\x1f\x8b",                "a file compressed by gzip",        "Unpack it with gunzip first"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file",  "Get the file: git lfs pull"),
    (b"<!doctype html",          "a web page",                       _FILE_ITSELF),
    (b"<html",                   "a web page",                       _FILE_ITSELF),
)
# fmt: on


def looks_like(start: bytes, size: int) -> str:
    """A sentence that names a foreign file by its first bytes, and says what to do with it.

    >>> looks_like(b"", 0)
    'not a safetensors file: it is empty. Get or save it again'
    """
    what, remedy = _recognise(start, size)
    return f"not a safetensors file: it {what}. {remedy}"


def _recognise(start: bytes, size: int) -> tuple[str, str]:
    """What a file is or does, and the remedy."""
    if not size:
        return "is empty", _AGAIN
    if not start.strip(b"\0"):
        return "begins with zeros only, as after a loss of power or a broken download", _AGAIN
    for magic, what, remedy in _STARTS:
        if start[: len(magic)].lower() == magic.lower():
            return f"looks like {what}", remedy
    if _is_pickle(start):
        return "looks like a pickle, as old versions of torch.save write it", _CONVERT
    if _is_onnx(start):
        return "looks like an ONNX model", "Export its parameters as safetensors"
    if _is_text(start):
        return (
            f"looks like a text that begins with {_excerpt(start)!r}",
            "Check that it is the right one",
        )
    if size < 8:
        return f"holds {size} bytes, fewer than the 8 that give the header's length", _AGAIN
    return f"begins with the bytes {start[:8].hex(' ')}, which no known format does", _AGAIN


def _is_pickle(start: bytes) -> bool:
    """The opcode PROTO, and a protocol."""
    return len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5


def _is_onnx(start: bytes) -> bool:
    """A protobuf whose first field is a small number (ir_version), whose next is a text."""
    return len(start) > 3 and start[0] == 0x08 and 1 <= start[1] <= 20 and start[2] in (0x12, 0x1A)


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # else a letter is cut in two at the end
            return False
        text = start[: error.start].decode("utf-8")
    return text != "" and all(c.isprintable() or c in "\t\r\n" for c in text)


def _excerpt(start: bytes) -> str:
    return start.decode("utf-8", "replace").split("\n")[0][:30].strip()
