"""The HTTP API below /api/v1, and the web pages. `app.create_app` creates the application with both.

The address of a snapshot contains its digest, and the snapshot never changes, so responses about it are
immutable and computed once. An error is a problem document (RFC 9457), or a page if the client is a browser. A change
needs a token, a name and a reason. No client delays another. Pages work without JavaScript and load nothing from other
hosts.

    app.py                 the application: routes, error handlers, middleware
    middleware.py          limit for request bodies, security headers
    security_headers.py    the headers that every response has
    server/                the HTTP server below the application, with its limits
    client_rates.py        finds the client of a request, and limits the requests of each client
    costly_work.py         the thread pool for costly requests
    login_guard.py         refuses clients that guess tokens
    response_cache.py      caches responses in memory
    change_token.py        a token that changes with the store, for the cache
    cache_policies.py      headers that say how long a response may be cached
    request_params.py      parameters of requests: limits, cursors, ids, formats
    error_responses.py     exceptions as problem documents
    table_responses.py     rows as JSON, CSV, Parquet
    openapi_responses.py   descriptions of responses for OpenAPI
    documents/             Pydantic models of the responses, for OpenAPI
    store_reader.py        what routes and pages read from the store
    operator_view.py       decides whether a reader may see pseudonyms of voters
    snapshot_summaries.py  snapshots as JSON, views side by side
    model_summaries.py     models as JSON: registry entry, rows, history
    move_reasons.py        sentences that explain why a model moved
    bundle_files.py        bundles as temporary files
    snapshot_routes.py     snapshots and boards
    model_routes.py        models, providers, history
    diff_routes.py         moves between two snapshots
    alert_routes.py        alerts and exclusions
    ledger_routes.py       heads, proofs, receipts, tiles, bundles
    status_routes.py       progress of the pipeline
    notice_routes.py       correction notices
    operator_routes.py     decisions of operators, protected by tokens
    operator_access.py     checks tokens and scopes, and records refused requests
    charts.py              Vega-Lite charts as SVG
    pages/                 the web pages, which use templates/ and static/
"""
