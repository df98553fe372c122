"""A trainer that goes on where another one was: after a pickle, or with other numbers."""

from __future__ import annotations

from copy import copy
from typing import Any

from ..optimizers import LBFGS
from ..training import Trainer


def snapshot(trainer: Trainer) -> dict[str, Any]:
    """All that a trainer knows beside its network, in plain values and copies."""
    return {
        "rule": type(trainer.optimizer).__name__,
        "first_rate": trainer.optimizer.first_rate,
        "learning_rate": trainer.learning_rate,
        "state": [array.copy() for array in trainer.state],
        "steps": trainer._engine.steps,
        "epochs": trainer.epochs,
        "plateau": copy(trainer._plateau),
    }


def resumed(trainer: Trainer, past: dict[str, Any] | None) -> Trainer:
    """The new `trainer`, going on from a snapshot of one with the same kind of rule."""
    optimizer, engine = trainer.optimizer, trainer._engine
    if past is None or past["rule"] != type(optimizer).__name__:
        return trainer
    if isinstance(optimizer, LBFGS):  # it has as many arrays as it remembers changes
        engine.set_state(past["state"][-2 * optimizer.history_size :])
    elif len(past["state"]) == len(trainer.state):
        for array, old in zip(trainer.state, past["state"], strict=True):
            array[...] = old
    else:  # momentum comes or goes
        return trainer
    engine.steps = past["steps"]
    trainer._epochs = past["epochs"]
    if past["first_rate"] == optimizer.first_rate:
        engine.learning_rate = past["learning_rate"]
        trainer._plateau = past["plateau"]
    return trainer
