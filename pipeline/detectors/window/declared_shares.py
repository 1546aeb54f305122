"""Computes the shares of the votes that `sampling_skew` expects of models by the sampling policy."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.detectors.window.sampling_bounds import other_rule
from pipeline.registry import RegistryState


@dataclass(frozen=True)
class DeclaredShares:
    """Expected share of the votes of each model, by the usual rule and by the other rule of `sampling_bounds`.

    Attributes:
        since: when the shares came into force, in microseconds since 1970 UTC.
        theta: model → number of its group, and its expected share of the group's votes by the usual rule.
        other: model → its expected share of the group's votes by the other rule.
        source: where the shares are declared, as text for people.
    """

    since: int
    theta: Mapping[str, tuple[int, float]]
    other: Mapping[str, float]
    source: str


def declared_shares(registry: RegistryState) -> DeclaredShares | None:
    """Return the shares that the sampling policy declares; without a policy, equal shares within each licence group.

    None is returned if there is no share to test.
    """
    if registry.policy is not None:
        appearance = registry.policy.appearance
        theta = {model: (0, share / 2) for model, share in appearance.items() if share > 0}
        drawn = {model: share for model, share in appearance.items() if share > 0}
        other = dict(zip(drawn, (other_rule(drawn, registry.policy.weights, registry) / 2).tolist(), strict=True))
        return DeclaredShares(registry.policy.since, theta, other, "the policy") if theta else None
    groups: dict[str, list[str]] = {}
    changed = 0
    for model in registry.models.values():
        times = (model.submitted_at, model.released_at, model.deprecated_at, model.retracted_at)
        changed = max(changed, *(t for t in times if t is not None), 0)
        if model.license and model.deprecated_at is None and model.retracted_at is None:
            groups.setdefault(model.license, []).append(model.name)
    theta = {
        name: (number, 1 / len(names))
        for number, (_, names) in enumerate(sorted(groups.items()))
        if len(names) > 1
        for name in names
    }
    source = "no declared policy: equal shares within its licence group"
    return (
        DeclaredShares(changed, theta, {name: share for name, (_, share) in theta.items()}, source) if theta else None
    )
