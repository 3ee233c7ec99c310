"""The one device there is, under the names that PyTorch programs use."""

from __future__ import annotations

from typing import Any, Self

from thalweg.errors import ConfigError

__all__ = ["CPU", "check_device", "device"]


class device(str):
    """Where tensors live: `tw.device("cpu")`, the only one. It is the word "cpu", with a `type`.

    >>> import thalweg as tw
    >>> place = tw.device("cuda" if tw.cuda.is_available() else "cpu")
    >>> place, place.type, tw.zeros(2, device=place).device == "cpu"
    (device(type='cpu'), 'cpu', True)

    Raises `ConfigError` for any other device.
    """

    __slots__ = ()

    def __new__(cls, type: Any = "cpu", index: int | None = None) -> Self:
        name, _, number = str(type).partition(":")
        if name != "cpu" or number not in ("", "0") or index not in (None, 0):
            raise ConfigError(f'no device {type!r}: tensors live on the CPU, device("cpu")')
        return super().__new__(cls, "cpu")

    @property
    def type(self) -> str:
        """The kind of device: "cpu"."""
        return "cpu"

    def __repr__(self) -> str:
        return "device(type='cpu')"

    def __reduce__(self) -> Any:
        return device, ("cpu",)


CPU = device("cpu")


def check_device(given: Any) -> None:
    """Raise `ConfigError` unless `given` is None or the CPU."""
    if given is not None and given is not CPU:
        device(given)
