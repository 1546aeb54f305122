"""Counts invalid tokens by client, and refuses clients that guess tokens."""

from fastapi import Request

from pipeline.api.client_rates import ClientRates
from pipeline.api.costly_work import refuse_if_too_often, requesting_client
from pipeline.metrics import ApiMetrics


class LoginGuard:
    """Refuses every token (429) of a client that has sent too many invalid tokens."""

    def __init__(self, rates: ClientRates, metrics: ApiMetrics) -> None:
        self._rates = rates
        self._metrics = metrics

    def admit(self, request: Request) -> None:
        """Check that the client of a request may send a token.

        Raises:
            Problem: 429; the client has sent too many invalid tokens.
        """
        refuse_if_too_often(self._rates, request, self._metrics, "invalid tokens")

    def failed(self, request: Request) -> None:
        """Count an invalid token."""
        self._metrics.failed_logins.inc()
        self._rates.count(requesting_client(request))
