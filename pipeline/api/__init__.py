"""Serves the HTTP API below /api/v1, and the web pages. `app.create_app` creates the application with both.

The address of a snapshot contains its digest, and a snapshot never changes. Responses about a snapshot are therefore
immutable and computed once. The response to an error is a problem document (RFC 9457), or a page if the client is a
browser. A request that changes something needs a token and a reason. No client delays another. Pages work without
JavaScript and load nothing from other hosts.

    app.py                 creates the application: routes, error handlers, middleware
    middleware.py          limits request bodies, and adds headers to responses
    security_headers.py    defines the headers that every response has
    server/                runs the HTTP server below the application, with its limits
    client_rates.py        identifies the client of a request, and limits the requests of each client
    costly_work.py         runs costly requests in a thread pool
    login_guard.py         refuses clients that have sent too many invalid tokens
    response_cache.py      caches responses in memory
    cached_response.py     a cached response, how it is compressed and sent
    change_token.py        reads a value that changes whenever the store changes, for the cache
    cache_policies.py      defines headers that say how long a response may be cached
    request_params.py      reads parameters of requests: limits, cursors, ids, formats
    error_responses.py     converts exceptions to problem documents
    table_responses.py     converts rows to JSON, CSV and Parquet
    openapi_responses.py   describes in OpenAPI the responses that FastAPI cannot derive
    documents/             defines Pydantic models of the responses, for OpenAPI
    store_reader.py        reads the store for routes and pages
    operator_view.py       decides whether a reader may see pseudonyms of voters
    snapshot_summaries.py  converts snapshots to JSON, and joins the rows of all views
    model_summaries.py     converts models to JSON: registry entry, rows, history
    battle_records.py      converts the battles between models in the newest snapshot to rows
    move_reasons.py        writes sentences that explain why a model moved
    bundle_files.py        writes bundles to temporary files
    snapshot_routes.py     serves snapshots and boards
    model_routes.py        serves models, providers and history
    public_stories.py      converts stories about variants, claims and removals to JSON, with their proofs
    story_routes.py        serves the stories about variants, claims and removals
    model_comparison.py    compares two models
    comparison_text.py     writes sentences about the comparison of two models
    comparison_routes.py   serves the comparison of two models
    diff_routes.py         serves the moves of models between two snapshots
    alert_routes.py        serves alerts and exclusions
    incident_routes.py     serves incidents
    incident_operator_routes.py  carries out decisions of operators about incidents
    incident_views.py      converts incidents to JSON, for the public and for operators
    ledger_routes.py       serves the public ledger: checkpoints, proofs, receipts, tiles and bundles
    status_routes.py       serves the progress of the pipeline
    notice_routes.py       serves correction notices
    operator_routes.py     carries out decisions of operators, protected by tokens
    page_sessions.py       keeps the sessions of operators who signed in on the page
    page_operator.py       finds the operator of a session, and checks the forms of operators
    operator_access.py     checks tokens and scopes, and records refused requests
    atom_feed.py           writes Atom feeds
    citations.py           writes citations of snapshots as CSL-JSON and BibTeX
    citation_routes.py     serves citations
    share_cards.py         draws share cards as PNG
    badges.py              draws badges as SVG
    svg_text.py            builds small SVG pictures that have text
    head_check.py          checks that the newest snapshot is in the signed log
    charts.py              draws Vega-Lite charts as SVG
    battle_charts.py       draws the heatmap of win rates, and the network of battles
    pages/                 renders the web pages, with templates/ and static/
"""
