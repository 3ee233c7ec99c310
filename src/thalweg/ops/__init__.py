"""Operations: a family a file, each a part of what a Tensor can do."""

__all__: list[str] = []
