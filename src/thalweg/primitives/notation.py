"""How rows of the table are written by people: `w * x` for multiply(w, x)."""

__all__ = ["INFIX"]

# fmt: off
INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/",
    "power": "**", "remainder": "%", "floor_divide": "//",
}
# fmt: on
