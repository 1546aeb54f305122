"""Serves the routes with which operators decide about incidents. All of them need a token.

Each decision is recorded in the operators' log with the name of the token's owner and the reason.
"""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from pipeline.api.cache_policies import NO_STORE
from pipeline.api.change_token import ChangeToken
from pipeline.api.documents.action_documents import AlertActionRequest, IncidentActionDocument
from pipeline.api.incident_views import resolve_id
from pipeline.api.openapi_responses import TOKEN_RESPONSES
from pipeline.api.operator_access import authorize, require_token
from pipeline.api.request_params import IncidentParam
from pipeline.api.store_reader import StoreReader
from pipeline.api.table_responses import json_response
from pipeline.jobs import incident_actions
from pipeline.store.alerting.operator_tokens import OperatorToken


def routes(reader: StoreReader, changes: ChangeToken) -> APIRouter:
    """Return a router with the route by which operators decide about an incident."""
    router = APIRouter(tags=["operators"], responses=TOKEN_RESPONSES)
    has_token = require_token(reader)

    @router.post("/incidents/{incident}/{action}", response_model=IncidentActionDocument)
    def change_incident(
        request: Request,
        incident: IncidentParam,
        action: Literal["ack", "snooze", "appeal", "resolve", "reopen", "note", "exclude", "restore"],
        body: AlertActionRequest,
        token: OperatorToken = has_token,
    ) -> Response:
        """Change the state of all alerts of an incident, exclude or restore its votes, or add a note.

        `resolve` and `reopen` need the scopes `alerts` and `exclusions`. `exclude` and `restore` need the scope
        `exclusions`. The other actions need the scope `alerts`.
        """
        operator = authorize(reader, request, token, *incident_actions.SCOPES[action])
        with reader.connect() as connection:  # status 404 for an unknown id
            found = resolve_id(connection, incident)
        with reader.store.write() as connection:
            result = incident_actions.decide(connection, found, action, operator, body.reason, body.hours)
        changes.expire()
        return json_response({name: result.get(name) for name in IncidentActionDocument.model_fields}, NO_STORE)

    return router
