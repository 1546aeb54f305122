"""`unknown_model`: detects votes on a model that is not in the registry.

Formula: none. An alert is raised for each model that has votes in a window and is not in the registry at the start of
the window. The alert has no e-value. If the registry has no model at all, there are no alerts.

Source: the design of this pipeline. Votes on an unknown model are accepted, since otherwise a delay of the registry
would silence a model. An alert informs a person instead.

Blind spot: a model that appears under another model's name.

False alarms: none, if every model is registered before its first vote.

>>> from pipeline.registry import RegisteredModel, RegistryState
>>> from pipeline.scoring.window import MEASURES, GroupedModelCounts
>>> nothing = GroupedModelCounts((), (), np.zeros((0, len(MEASURES)), int))
>>> votes = np.ones((2, len(MEASURES)), int)
>>> window = Window(0, 300_000_000, 1, 0, ("known", "new"), votes, nothing, nothing, nothing, {})
>>> context = WindowContext(RegistryState({"known": RegisteredModel("known")}))
>>> state, signals = UnknownModel().observe(window, {}, context)
>>> [(one.subject, one.evidence["what"]) for one in signals]
[('new', '1 votes in five minutes on a model that the registry does not know')]
"""

from dataclasses import dataclass

import numpy as np

from pipeline.evidence import keyed_state
from pipeline.scoring.detector_contracts import WindowContext, WindowState
from pipeline.scoring.signals import ClearedSignal, Signal
from pipeline.scoring.window import MEASURES, Window

_APPEARANCES = MEASURES.index("appearances")
_DIRECTION = "not in the registry"


@dataclass(frozen=True)
class UnknownModel:
    """Detects votes on a model that is not in the registry.

    The module docstring has formula, source, blind spot and false-alarm rate.
    """

    name = "unknown_model"

    def observe(self, window: Window, state: WindowState, context: WindowContext) -> tuple[WindowState, list[Signal]]:
        """Compute the state of the detector after a window, and the signals about what is irregular in it.

        If the registry has no model, the state is returned unchanged, without signals. Cost: one set of the names of
        the window's models.

        Args:
            window: the next window, in order of time.
            state: the state after the previous window, as named arrays.
            context: the registry and the settings for this window.

        Returns:
            Two values: the state after the window; and the signals.
        """
        registered = context.registry.models
        if not registered:
            return state, []
        open_alerts = state.get(keyed_state.KEY, np.zeros(0, dtype=np.str_)).tolist()
        signals: list[Signal] = [
            ClearedSignal(self.name, name, _DIRECTION, window.start, "the registry knows it now")
            for name in open_alerts
            if name in registered
        ]
        still_open = [name for name in open_alerts if name not in registered]
        votes = dict(zip(window.models, window.totals[:, _APPEARANCES].tolist(), strict=True))
        new = sorted(votes.keys() - registered.keys() - set(still_open))
        for name in new:
            evidence = {
                "what": f"{votes[name] or 'late'} votes in five minutes on a model that the registry does not know",
                "window": [window.start, window.end],
                "votes": votes[name],
            }
            signals.append(window.alert(self.name, "model", name, _DIRECTION, None, 1, evidence))
        return {keyed_state.KEY: np.array(sorted([*still_open, *new]), dtype=np.str_)}, signals
