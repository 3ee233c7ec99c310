"""What has a picture: notebooks show it, `save` writes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from os import PathLike
from pathlib import Path

from thalweg.errors import ConfigError
from thalweg.files import write_atomically

__all__ = ["Picture"]


class Picture(ABC):
    """Something that can be drawn as an SVG."""

    @abstractmethod
    def svg(self) -> str:
        """The picture as SVG text."""

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture, an .svg."""
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise ConfigError(f"save: {path.name!r} has the suffix {path.suffix!r}, expected .svg")
        write_atomically(path, f"{self.svg()}\n".encode())
        return path

    def _repr_svg_(self) -> str:
        return self.svg()
