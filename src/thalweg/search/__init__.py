"""Hyperparameter search: what to try, how to choose the next, and what came out."""

from thalweg.search.objective import Trial
from thalweg.search.results import Results
from thalweg.search.running import search
from thalweg.search.space import Choice, Range, parse_space

__all__ = ["Choice", "Range", "Results", "Trial", "parse_space", "search"]
