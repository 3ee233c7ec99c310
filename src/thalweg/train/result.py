"""What a training gives."""

from __future__ import annotations

from thalweg.train.progress import Progress

__all__ = ["Result"]


class Result:
    """What `fit` gives: the epochs, the best of them, and its measures on the test set.

    history   one row (a dict) an epoch
    best      the epoch whose parameters the model holds now (0: none was evaluated)
    test      the measures on the test set with those parameters, None where there was no test
    status    "finished", "stopped early", "interrupted" or "diverged"
    diagnosis of a run that diverged: the operation that made the first NaN or infinity, and where

    >>> import thalweg as tw
    >>> splits, model = tw.data.load("mnist1d"), tw.nn.Linear(40, 10)
    >>> optimizer = tw.optim.Adam(model.parameters(), lr=0.01)
    >>> trainer = tw.train.Trainer(model, tw.nn.CrossEntropyLoss(), optimizer, batch_size=100)
    >>> result = trainer.fit(splits, epochs=2)
    >>> result.status, len(result.history), sorted(result.test)
    ('finished', 2, ['accuracy', 'loss'])
    """

    def __init__(
        self,
        progress: Progress,
        test: dict[str, float] | None,
        status: str,
        diagnosis: str | None = None,
    ) -> None:
        self.history = progress.history
        self.best = progress.best_epoch
        self.test = test
        self.status = status
        self.diagnosis = diagnosis
        self.seconds = progress.seconds

    def __repr__(self) -> str:
        test = "".join(f", test {name} {value:.4g}" for name, value in (self.test or {}).items())
        epochs = len(self.history)
        return f"<Result {self.status} after {epochs} epochs: best {self.best}{test}>"
