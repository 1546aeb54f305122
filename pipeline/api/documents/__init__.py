"""Defines Pydantic models that describe the responses in OpenAPI.

The routes do not write responses with these models, because `table_responses.json_response` is faster. A test checks
that the responses have the fields of the models. In all models, times are RFC 3339 in UTC, ratings are in points
rounded to 0.01, and intervals have 95% coverage.

    base.py                the base class, and the problem document of an error
    board_documents.py     snapshots, their boards, the status of the pipeline
    alert_documents.py     alerts and exclusions
    incident_documents.py  incidents
    model_documents.py     models and providers, and a model's history
    comparison_documents.py  the comparison of two models
    story_documents.py     the story about private variants, claims and removals
    diff_documents.py      moves between two snapshots
    ledger_documents.py    keys, proofs and receipts of the public ledger
    citation_documents.py  citations of snapshots
    notice_documents.py    correction notices
    action_documents.py    requests of operators, and the responses
    operator_documents.py  the operators' log
"""
