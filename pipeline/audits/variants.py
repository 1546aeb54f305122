"""Runs the audit `variant_churn`: counts private variants of a provider that are under test at the same time.

For each provider, the audit finds the largest number of private variants that were ever under test at the same time.
More than 3 are a warning; more than 10 are critical (the limit of one public policy for "provisional" models). The
finding remains after the tests have ended.

Source: Singh et al. 2025, "The Leaderboard Illusion", section 3: 27 private variants of one provider before one
release; the score of one variant was published.

The same registry gives the same findings. A variant counts as under test from its submission to its release, retraction
or deprecation.

Blind spot: variants that were never submitted under the provider's name.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.audits.finding import Finding
from pipeline.registry import RegistryState
from pipeline.scoring.signals import Severity
from pipeline.vocabulary.time import format_rfc3339

MANY, TOO_MANY = 3, 10


def release_times(state: RegistryState) -> dict[str, int]:
    """Return the times of all releases: model → time of its release, in microseconds since 1970 UTC.

    A released variant is included, and so is the public model that it became.
    """
    found: dict[str, int] = {}
    for model in state.models.values():
        for name in (model.name, state.first_name(model.released_as or model.name)):
            if model.released_at is not None:
                found[name] = min(found.get(name, model.released_at), model.released_at)
    return found


def _tested_until(state: RegistryState) -> dict[str, tuple[int, int | None]]:
    """Return private variant → (start, end) of its test. The end is None while the test lasts."""
    public, result = release_times(state), {}
    for model in state.models.values():
        if model.provider and model.visibility == "private" and model.submitted_at is not None:
            ends = [t for t in (public.get(model.name), model.retracted_at, model.deprecated_at) if t is not None]
            result[model.name] = (model.submitted_at, min(ends, default=None))
    return result


def variants_under_test(state: RegistryState) -> dict[str, tuple[str, ...]]:
    """Return provider → its private variants that are under test now. Providers and variants are sorted by name.

    Variants without a provider are left out.
    """
    result: dict[str, list[str]] = {}
    for name, (_, end) in sorted(_tested_until(state).items()):
        if end is None:
            result.setdefault(state.models[name].provider or "", []).append(name)
    return {provider: tuple(names) for provider, names in sorted(result.items())}


@dataclass(frozen=True, slots=True)
class ConcurrentVariants:
    """The largest set of private variants that a provider had under test at the same time.

    Attributes:
        names: the variants, sorted by name.
        at: the first time at which that many were under test, in microseconds since 1970 UTC.
    """

    names: tuple[str, ...]
    at: int

    @property
    def most(self) -> int:
        """The number of variants in `names`."""
        return len(self.names)


def peak_variants(state: RegistryState) -> dict[str, ConcurrentVariants]:
    """Return provider → the largest set of private variants that it ever had under test at the same time.

    If one test ends at the time at which another begins, the two do not count as simultaneous. Providers without a
    private variant are left out.
    """
    tests: dict[str, list[tuple[int, int, str]]] = {}
    for name, (start, end) in _tested_until(state).items():
        of = tests.setdefault(state.models[name].provider or "", [])
        of += [(start, 1, name), *([] if end is None else [(end, 0, name)])]
    found = {provider: _peak(steps) for provider, steps in sorted(tests.items())}
    return {provider: peak for provider, peak in found.items() if peak.names}


def _peak(steps: Iterable[tuple[int, int, str]]) -> ConcurrentVariants:
    """Return the largest set of names under test, from steps (time, 1 for a start and 0 for an end, name)."""
    now: set[str] = set()
    most = ConcurrentVariants((), 0)
    for at, begins, name in sorted(steps):
        if begins:
            now.add(name)
        else:
            now.discard(name)
        if len(now) > most.most:
            most = ConcurrentVariants(tuple(sorted(now)), at)
    return most


def variant_churn(state: RegistryState) -> tuple[Finding, ...]:
    """Return the findings about providers that had more than three private variants under test at the same time."""
    findings = []
    now = variants_under_test(state)
    for provider, peak in peak_variants(state).items():
        if peak.most > MANY:
            severity: Severity = "critical" if peak.most > TOO_MANY else "warning"
            still = len(now.get(provider, ()))
            when = format_rfc3339(peak.at, "seconds")
            what = (
                f"{peak.most} private variants of {provider} were under test at once on {when}, {still} are now; more "
                f"than {MANY} is many"
            )
            figures = {
                "variants": list(peak.names), "at": when, "now": still, "limit": MANY, "critical_limit": TOO_MANY,
            }  # fmt: skip
            findings.append(
                Finding("variant_churn", "provider", provider, "private variants", severity, what, None, figures)
            )
    return tuple(findings)
