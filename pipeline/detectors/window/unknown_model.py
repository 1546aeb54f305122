"""`unknown_model`: are there votes on a model that the registry does not know?

Formula: none. A model with votes in a window, of which the registry holds no event at the window's start, is a fact.
A registry without any model is none, and then nothing is said.

Source: the design of this pipeline: a vote on an unknown model is admitted, because refusing it would let anybody who
delays the registry silence a model; a person is told.

Blind spot: a model under another's name.

False alarms: none, where the registry is told of a model before its first vote.

>>> from pipeline.lab.simulate.simulated_board import SimulatedBoard
>>> from pipeline.registry import RegistryState
>>> board = SimulatedBoard(days=0.02, votes=9, seed=1, models=4)
>>> few = RegistryState({name: model for name, model in board.context(0).registry.models.items() if name != "m002"})
>>> detector, state, alarms = UnknownModel(), {}, []
>>> for number, window in enumerate(board.windows()):
...     state, said = detector.observe(window, state, WindowContext(few))
...     alarms += [(number, one.subject) for one in said]
>>> alarms
[(1, 'm002')]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.evidence import keyed_state
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import NO_PARTITION, AlertSignal, ClearedSignal, Signal
from pipeline.scoring.window import MEASURES, Window

_APPEARANCES = MEASURES.index("appearances")
_DIRECTION = "not in the registry"


@dataclass(frozen=True)
class UnknownModel:
    """The detector; see the module for formula, source, blind spot and false-alarm rate."""

    name = "unknown_model"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """See `WindowDetector`. Cost: a set."""
        known = context.registry.models
        if not known:
            return state, []
        told = state.get(keyed_state.KEY, np.zeros(0, dtype=np.str_)).tolist()
        said: list[Signal] = [
            ClearedSignal(self.name, name, _DIRECTION, window.start, "the registry knows it now")
            for name in told
            if name in known
        ]
        kept = [name for name in told if name not in known]
        votes = dict(zip(window.models, window.totals[:, _APPEARANCES].tolist(), strict=True))
        fresh = sorted(votes.keys() - known.keys() - set(kept))
        for name in fresh:
            evidence = {
                "what": f"{votes[name]} votes in five minutes on a model that the registry does not know",
                "window": [window.start, window.end],
                "votes": votes[name],
            }
            said.append(
                AlertSignal(
                    self.name, "model", name, _DIRECTION, "warning", None, 1,
                    NO_PARTITION, window.start, window.end, evidence,
                )
            )  # fmt: skip
        return {keyed_state.KEY: np.array(sorted([*kept, *fresh]), dtype=np.str_)}, said
