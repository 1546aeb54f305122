"""What readers ask over HTTP: the API under /api/v1, and the pages.

Laws: a snapshot is named by its digest and never changes, so its answers say `immutable` and are made once; an error is
a problem document (RFC 9457), or a page where a browser asked for one; whoever changes something shows a token, a name
and a reason; a page works without JavaScript and loads nothing from anywhere else.

    app.py         the application: routes, errors, headers
    change_token.py   a token that changes with the store
    response_cache.py responses in memory: immutable ones, and others until the token changes
    asking.py      what a request may say: limits, cursors, forms of answer
    problems.py    every error as a problem document
    tables.py      rows as JSON, CSV, Parquet
    documents.py   what the answers look like, for OpenAPI
    snapshots.py, models.py, moves.py, alerts.py, ledger.py   the API's routes
    operators.py   what changes something, behind tokens
    charts.py      Vega-Lite charts as SVG
    pages.py       the pages
"""

from pipeline.api.app import create_app

__all__ = ["create_app"]
