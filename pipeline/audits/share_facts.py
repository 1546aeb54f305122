"""Computes facts about a provider's share of the votes, compared with the share that the sampling policy declares."""

from math import sqrt

from pipeline.audits.facts import COMPLETE_COUNT, FactSources, ProviderFact
from pipeline.audits.sampling import LedgerLine, SamplingLedger
from pipeline.vocabulary.z_values import Z_95


def share_facts(provider: str, book: SamplingLedger | None, sources: FactSources) -> tuple[ProviderFact, ...]:
    """Return facts about a provider's actual and declared share of the votes; no facts if there was no battle.

    Args:
        provider: name of the provider.
        book: appearances of all providers; None if there was no battle.
        sources: names of the data sources.
    """
    if book is None:
        return ()
    places = {line.name: place for place, line in enumerate(book.providers, start=1)}
    line = next((one for one in book.providers if one.name == provider), None)
    return () if line is None else _shares(line, places[provider], book, sources)


def _shares(line: LedgerLine, place: int, book: SamplingLedger, sources: FactSources) -> tuple[ProviderFact, ...]:
    n, name = book.battles, line.name
    half = Z_95 * sqrt(max(line.rate * (2 - line.rate), 0.0) / n)
    drawn = (
        f"{COMPLETE_COUNT} Bounds: 95% for the rate at which the board draws this provider's models, if every "
        "battle is drawn alike."
    )
    facts = [
        ProviderFact(
            name, "votes shown", line.appearances, "appearances",
            "Appearances of the provider's models in accepted and sealed votes; a battle between two of them counts "
            "twice.", sources.votes, f"{COMPLETE_COUNT} Late and rejected votes are not in it.",
        ),
        ProviderFact(
            name, "share of votes", line.share, "of all appearances",
            f"Those appearances over all {2 * n:,} (two a battle).", sources.votes, drawn,
            max(line.rate - half, 0.0) / 2, min(line.rate + half, 2.0) / 2,
            (f"place {place} of {len(book.providers)} providers", f"{line.models} models with votes"),
        ),
        ProviderFact(
            name, "peak daily rate", line.peak, "appearances a battle", "The highest rate of one day (UTC).",
            sources.votes, f"{COMPLETE_COUNT} The highest of {len(book.days)} days is high by chance too.",
            detail=(line.peak_day,),
        ),
        ProviderFact(
            name, "concentration of the board", book.hhi, "HHI",
            "Herfindahl-Hirschman index: the sum of squared shares over providers, 1 where one has all.",
            sources.votes, COMPLETE_COUNT,
        ),
    ]  # fmt: skip
    return (*facts, *_declared(line, half, sources))


def _declared(line: LedgerLine, half: float, sources: FactSources) -> tuple[ProviderFact, ...]:
    definition = (
        "Appearances a battle that follow from the weights of the sampling policy in force, weighed by battles."
    )
    if line.declared is None or line.p_value is None:
        why = "Not known: no sampling policy was in force for a whole day."
        return (
            ProviderFact(line.name, "rate declared", None, "appearances a battle", definition, sources.registry, why),
        )
    return (
        ProviderFact(
            line.name, "rate declared", line.declared, "appearances a battle", definition,
            f"{sources.registry}; {sources.votes}", "None: it follows from the policy and the number of battles a day.",
        ),
        ProviderFact(
            line.name, "rate in practice", line.rate, "appearances a battle",
            "Appearances over battles, to compare with the declared rate.", f"{sources.votes}; {sources.registry}",
            f"95% bounds; under the declared policy a rate as far off has probability {line.p_value:.2g} over all days "
            f"with a policy, and a day as far off {line.peak_p_value:.2g} (Bonferroni).",
            max(line.rate - half, 0.0), min(line.rate + half, 2.0),
        ),
    )  # fmt: skip
