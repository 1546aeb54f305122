"""Counts invalid tokens, and refuses a client that guesses."""

from fastapi import Request

from pipeline.api.client_rates import ClientRates
from pipeline.api.costly_work import refuse_if_too_often, requesting_client
from pipeline.metrics import ApiMetrics


class LoginGuard:
    """A client that has sent too many invalid tokens gets 429 for every token, so that it cannot go on guessing."""

    def __init__(self, rates: ClientRates, metrics: ApiMetrics) -> None:
        self._rates = rates
        self._metrics = metrics

    def admit(self, request: Request) -> None:
        """Let a client with a token try it.

        Raises:
            Problem: 429.
        """
        refuse_if_too_often(self._rates, request, self._metrics, "invalid tokens")

    def failed(self, request: Request) -> None:
        """Count an invalid token."""
        self._metrics.failed_logins.inc()
        self._rates.count(requesting_client(request))
