"""Every error that this package raises on purpose.

IntegrityError
├── BadInput                    the caller's data is wrong: names the culprit and its place
│   ├── BadRecord               one record of a file or topic (source, position, reason)
│   ├── UnknownFormat           a file is in no battle format that we read
│   └── RatingError             counts that have no Bradley-Terry estimate
│       ├── BadCounts           negative, NaN, of the wrong shape, or no votes at all
│       ├── Disconnected        the win graph is not strongly connected (components)
│       ├── NotConverged        Newton stopped before the gradient did (iterations, gradient_norm)
│       └── BadFeature          a style feature without a finite coefficient of its own (feature)
│           ├── Collinear       the models, or other features, already determine it
│           └── Separated       no vote speaks against it: the likelihood rises for ever
├── Usage                       the command cannot mean anything as given
├── UnknownAlert                no alert has this id
├── Unavailable                 a service or a file that we need is not there
│   ├── StoreUnavailable
│   ├── BrokerUnavailable
│   └── MissingKey              the store exists and its key folder does not
├── Halted                      a limit or a gap stopped the work; says what to do
│   ├── TooManyRejects          a bad deploy must not drain a topic into the rejects
│   ├── OffsetGap               the log was truncated or retention passed our offset
│   └── QualityGate             a critical expectation failed: nothing is published
├── Fenced                      another worker owns the partition now: drop the batch
└── VerificationFailed          what is stored does not follow from the votes (what, where)
    └── Refuted                 a check of the public ledger fails (reason, where)

Messages read "expected X, got Y"; places are fields, so that a caller never parses a message.
"""

from __future__ import annotations

from collections.abc import Sequence


class IntegrityError(Exception):
    """The root: catching it catches every error of this package and nothing else."""


class BadInput(IntegrityError):
    """The data given is wrong; the message names the culprit."""


class BadRecord(BadInput):
    """One record cannot be read as a battle.

    Args:
        source: the file or topic it came from.
        position: its 0-based row or its offset.
        reason: one word for the kind of fault, as counted in metrics.
        detail: a sentence with what was expected and what was found.
    """

    def __init__(self, source: str, position: int, reason: str, detail: str) -> None:
        super().__init__(f"{source}, record {position}: {reason}: {detail}")
        self.source = source
        self.position = position
        self.reason = reason
        self.detail = detail


class UnknownFormat(BadInput):
    """A file is in no battle format that we read."""


class RatingError(BadInput):
    """The counts have no Bradley-Terry estimate."""


class BadCounts(RatingError):
    """Counts that are negative, not numbers, of the wrong shape, or all zero."""


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
    """Newton stopped while the gradient was still large.

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
    """A style feature has no finite coefficient of its own.

    Attributes:
        feature: its name.
    """

    def __init__(self, message: str, feature: str) -> None:
        super().__init__(message)
        self.feature = feature


class Collinear(BadFeature):
    """The models, or the features before it, already determine the feature."""


class Separated(BadFeature):
    """No vote speaks against the feature, so the likelihood has no maximum (Albert & Anderson 1984)."""


class Usage(IntegrityError):
    """The command cannot mean anything as given."""


class UnknownAlert(IntegrityError):
    """No alert has this id."""


class Unavailable(IntegrityError):
    """A service or a file that we need is not there; says which and how to start it."""


class StoreUnavailable(Unavailable):
    """The database does not answer, or holds no store."""


class BrokerUnavailable(Unavailable):
    """Kafka does not answer."""


class MissingKey(Unavailable):
    """The store exists and the key that made its pseudonyms does not."""


class Halted(IntegrityError):
    """A limit or a gap stopped the work.

    Attributes:
        runbook: the name of the page in deploy/runbooks that says what to do.
    """

    runbook = "worker-halted"


class TooManyRejects(Halted):
    """More rejects than a healthy stream has: the work stops before it drains a topic."""

    runbook = "too-many-rejects"


class OffsetGap(Halted):
    """Votes that we have not read are gone from the log."""

    runbook = "offset-gap"


class QualityGate(Halted):
    """A critical expectation failed; nothing was published."""

    runbook = "quality-gate"


class Fenced(IntegrityError):
    """Another worker owns the partition now: the batch is dropped, never flushed."""


class VerificationFailed(IntegrityError):
    """What is stored does not follow from the votes; names the first thing that is wrong."""


class Refuted(VerificationFailed):
    """A check of the ledger fails: a proof, a signature, a file of a bundle, a figure of a manifest.

    Attributes:
        reason: one word for the kind of fault, for programs; the message is for people.
        where: the file, leaf or field that is wrong.
    """

    def __init__(self, reason: str, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail} [{reason}]")
        self.reason = reason
        self.where = where
