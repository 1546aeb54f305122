"""Defines the error tree: every error that this project raises on purpose.

IntegrityError
├── BadInput                    the caller's data is wrong: names the culprit and its place
│   ├── BadRecord               one record of a file or topic (source, position, reason)
│   ├── UnknownFormat           the file is in no known battle format
│   └── RatingError             counts that have no Bradley-Terry estimate
│       ├── BadCounts           negative, NaN, of the wrong shape, or no votes at all
│       ├── Disconnected        the win graph is not strongly connected (components)
│       ├── NotConverged        Newton's method ended with a large gradient (iterations, gradient_norm)
│       └── BadFeature          a style feature has no unique, finite coefficient (feature)
│           ├── Collinear       the models or other features already determine the feature
│           └── Separated       no vote contradicts the feature: the likelihood has no maximum
├── Usage                       the command or its options are invalid
├── UnknownAlert                no alert has this id
├── Unavailable                 a service or a required file is missing
│   ├── StoreUnavailable
│   ├── BrokerUnavailable       no broker answers, or a topic is missing
│   │   ├── BrokerRefused       a broker answers, but refuses our certificate, login or request
│   │   └── TopicUnavailable    a topic that we write to is missing, or an ACL forbids writing (topic)
│   ├── MissingCodec            records are compressed by a codec that is not installed
│   └── MissingKey              the store exists, but its voter key is missing
├── Halted                      the work stopped, and a person must act (runbook)
│   ├── TooManyRejects          too many records are rejected
│   ├── OffsetGap               the broker deleted records before the worker read them
│   ├── QualityGate             a critical expectation failed: nothing is published
│   └── PublicationHeld         top models moved too many places: a person must release the candidate (candidate, moves)
├── Fenced                      another worker owns the partition: the batch is dropped
└── VerificationFailed          what is stored does not follow from the votes
    └── Refuted                 a check of the public ledger fails (reason, where, detail)

Messages read "expected X, got Y". Callers read the place of a fault from the error's fields, never from its message.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class IntegrityError(Exception):
    """Base class of every error of this project."""


class BadInput(IntegrityError):
    """The input data is wrong; the message names the culprit."""


class BadRecord(BadInput):
    """One record cannot be read as a battle.

    Args:
        source: the file or topic of the record.
        position: 0-based row of the record in a file, or its offset in a topic.
        reason: one word for the kind of fault, as counted in metrics.
        detail: a sentence with what was expected and what was found.
        line: 1-based line of the file on which the record begins; None if the file has no lines, or it is not known.
    """

    def __init__(self, source: str, position: int, reason: str, detail: str, line: int | None = None) -> None:
        at_line = "" if line is None else f" (line {line})"
        super().__init__(f"{source}, record {position}{at_line}: {reason}: {detail}")
        self.source = source
        self.position = position
        self.reason = reason
        self.detail = detail


class UnknownFormat(BadInput):
    """The file is in no known battle format."""


class RatingError(BadInput):
    """The counts have no Bradley-Terry estimate. The subclasses name the reasons."""


class BadCounts(RatingError):
    """Counts are negative, not numbers, of the wrong shape, or all zero."""


class Disconnected(RatingError):
    """The win graph is not strongly connected (Ford 1957), so no finite estimate exists.

    Attributes:
        components: the strongly connected components, largest first, as tuples of model names
            (or indices where no names were given).
    """

    def __init__(self, message: str, components: Sequence[Sequence[str | int]]) -> None:
        super().__init__(message)
        self.components = tuple(tuple(part) for part in components)


class NotConverged(RatingError):
    """Newton's method stopped while the gradient was still large.

    Attributes:
        iterations: steps taken.
        gradient_norm: the largest absolute component of the gradient, in votes.
    """

    def __init__(self, iterations: int, gradient_norm: float) -> None:
        super().__init__(
            f"expected convergence, got a gradient of {gradient_norm:.3g} votes after {iterations} Newton steps"
        )
        self.iterations = iterations
        self.gradient_norm = gradient_norm


class BadFeature(RatingError):
    """A style feature has no unique, finite coefficient.

    Attributes:
        feature: name of the feature.
    """

    def __init__(self, message: str, feature: str) -> None:
        super().__init__(message)
        self.feature = feature


class Collinear(BadFeature):
    """A style feature is 0 in every vote, or the models and the features before it in the list determine it."""


class Separated(BadFeature):
    """A style feature predicts no vote wrongly, so the likelihood has no maximum (Albert & Anderson 1984)."""


class Usage(IntegrityError):
    """The command or its options are invalid."""


class UnknownAlert(IntegrityError):
    """The store has no alert with the given id."""


class Unavailable(IntegrityError):
    """A service or a required file is missing. The message says which, and what to do."""


class StoreUnavailable(Unavailable):
    """The database does not answer, or contains no store."""


class BrokerUnavailable(Unavailable):
    """Kafka does not answer, or lacks a topic."""


class BrokerRefused(BrokerUnavailable):
    """Kafka refuses this client's certificate or login, or an access rule forbids a request. Waiting does not help."""


class TopicUnavailable(BrokerUnavailable):
    """A topic that the pipeline writes to is missing, or an access rule forbids writing to it.

    Attributes:
        topic: name of the topic.
    """

    def __init__(self, message: str, topic: str) -> None:
        super().__init__(message)
        self.topic = topic


class MissingCodec(Unavailable):
    """Records of a topic are compressed by a codec that is not installed."""


class MissingKey(Unavailable):
    """The store exists, but the voter key, from which pseudonyms are computed, is missing."""


class Halted(IntegrityError):
    """The work stopped, and a person must act.

    Attributes:
        runbook: the page in deploy/runbooks that says what to do.
    """

    runbook = "worker-halted"


class TooManyRejects(Halted):
    """The worker stops: too many records were rejected, in a row or as a share of the latest records."""

    runbook = "too-many-rejects"


class OffsetGap(Halted):
    """The broker deleted records of a partition before the worker read them."""

    runbook = "offset-gap"


class QualityGate(Halted):
    """A critical expectation failed; nothing was published."""

    runbook = "quality-gate"


class PublicationHeld(Halted):
    """Top models of a candidate moved more places than the settings allow; a person must release the candidate.

    A candidate is a rated board that is not published yet.

    Attributes:
        candidate: id of the candidate.
        moves: one mapping for each moved model: `model` is its name, `before` and `after` are its places, and `places`
            is the distance between them.
    """

    runbook = "publication-held"

    def __init__(self, message: str, candidate: str, moves: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(message)
        self.candidate = candidate
        self.moves = [dict(move) for move in moves]


class Fenced(IntegrityError):
    """Another worker owns the partition now, so the batch is dropped and never written."""


class VerificationFailed(IntegrityError):
    """Stored results do not follow from the votes; the message names the first difference."""


class Refuted(VerificationFailed):
    """A check of the ledger fails: a proof, a signature, a file of a bundle, or a figure of a manifest.

    Attributes:
        reason: one word for the kind of fault, for programs.
        where: the file, leaf or field that is wrong.
        detail: what was expected, and what was found.
    """

    def __init__(self, reason: str, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail} [{reason}]")
        self.reason = reason
        self.where = where
        self.detail = detail
