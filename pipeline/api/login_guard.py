"""Counts the invalid tokens of each client, and refuses clients that have sent too many."""

from fastapi import Request

from pipeline.api.client_rates import ClientRates
from pipeline.api.costly_work import refuse_if_too_often, requesting_client
from pipeline.metrics import ApiMetrics


class LoginGuard:
    """Refuses clients that guess tokens: after too many invalid tokens, a client gets status 429 for every token."""

    def __init__(self, rates: ClientRates, metrics: ApiMetrics) -> None:
        self._rates = rates
        self._metrics = metrics

    def admit(self, request: Request) -> None:
        """Raise an error if the client of a request may not send a token at present.

        Raises:
            Problem: status 429, if the client has sent more invalid tokens within a minute than the settings permit.
        """
        refuse_if_too_often(self._rates, request, self._metrics, "invalid tokens")

    def failed(self, request: Request) -> None:
        """Count an invalid token of the client that sent this request."""
        self._metrics.failed_logins.inc()
        self._rates.count(requesting_client(request))
