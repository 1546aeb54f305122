"""What the answers look like: the models of OpenAPI.

Answers are written by hand (`tables.as_json`) and only described here; a property test holds them against it.
Times are RFC 3339 in UTC. Ratings are points, rounded to 0.01; intervals cover 95%, in the mean-zero gauge.

    base.py     what every answer is, and what an error is
    boards.py   snapshots and their boards, and how far everything is
    alerts.py   alerts, and the dated list of what does not count
    models.py   models and providers: what is known of them, and where they stood
    moves.py    what moved between two snapshots, and why
    ledger.py   keys, proofs and receipts of the public ledger
"""

from pipeline.api.documents import alerts, boards, ledger, models, moves
from pipeline.api.documents.base import Document, Problem

__all__ = ["Document", "Problem", "alerts", "boards", "ledger", "models", "moves"]
