"""Writes sentences about a provider. Each sentence names the facts on which it is based.

A sentence states figures in words. The facts on the same page state the definition, source and uncertainty of each
figure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.incident_text import count
from pipeline.store.boards.snapshot_intervals import shown_interval

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence about a provider.

    Attributes:
        text: the sentence.
        facts: numbers of the facts on which the sentence is based. Facts are numbered from 1 in the order of the page's
            list.
    """

    text: str
    facts: tuple[int, ...] = ()


class _Facts:
    """Looks up the facts about a provider by what each is about (the provider or a model) and by the fact's name."""

    def __init__(self, facts: Sequence[Mapping[str, Any]]) -> None:
        self._found = {(one["about"], one["fact"]): (number, one) for number, one in enumerate(facts, 1)}
        self.models = list(dict.fromkeys(about for about, name in self._found if name == "variants tested, seen"))

    def get(self, about: str, name: str) -> tuple[int, Mapping[str, Any]] | None:
        """Return the number of a fact and the fact itself; None if there is no such fact or its value is not known."""
        found = self._found.get((about, name))
        return None if found is None or found[1]["value"] is None else found

    def number(self, about: str, name: str) -> int | None:
        """Return the number of a fact in the list of facts; None if there is no such fact."""
        found = self._found.get((about, name))
        return None if found is None else found[0]

    def ending(self, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the facts whose names end with `text`."""
        return ((number, one) for (_, name), (number, one) in self._found.items() if name.endswith(text))


def board_sentences(models: Sequence[Mapping[str, Any]], under_test: int) -> list[Sentence]:
    """Return sentences about the models of a provider on the newest board.

    Args:
        models: the provider's models that may be named, with the fields of `ModelDocument`, best first.
        under_test: number of the provider's models under test.
    """
    rated = [one for one in models if one["defended"]]
    if not rated:
        return [Sentence("None of its models that may be named is rated in the newest snapshot.")]
    best = rated[0]
    row = best["defended"]
    low, high = shown_interval(row)
    many = f"Its best of {count(len(rated), 'rated model')}" if len(rated) > 1 else "Its only rated model"
    interval = f"95% interval {low:,.1f} to {high:,.1f}"
    lines = [f"{many}, {best['model']}, is at rank {row['rank']} with {row['rating']:,.1f} points ({interval})."]
    lines += [
        f"If the votes that are left out counted, {one['model']} would be at rank {one['raw']['rank']} instead of "
        f"{one['defended']['rank']}."
        for one in rated[:_SHOWN]
        if one["raw"] and one["raw"]["rank"] != one["defended"]["rank"]
    ]
    if under_test:
        verb = "is" if under_test == 1 else "are"
        unnamed = "under test or withdrawn, and not named before a release"
        lines.append(f"{count(under_test, 'model')} of it {verb} {unnamed}.")
    return [Sentence(line) for line in lines]


def fact_sentences(provider: str, facts: Sequence[Mapping[str, Any]]) -> list[Sentence]:
    """Return sentences that state the facts about a provider.

    Args:
        provider: name of the provider.
        facts: facts about the provider and its models, with the fields of `ProviderFactDocument`.
    """
    known = _Facts(facts)
    found = [*_share(provider, known), *_variants(provider, known)]
    for model in known.models:
        found += _release(model, known)
    return [*found, *_claims(known), *_removals(provider, known)]


def _share(provider: str, known: _Facts) -> Iterator[Sentence]:
    share = known.get(provider, "share of votes")
    if share is None:
        return
    number, fact = share
    bounds = "" if fact["lower"] is None else f" (95% interval {fact['lower']:.1%} to {fact['upper']:.1%})"
    place = f", {fact['detail'][0]}" if fact["detail"] and fact["detail"][0].startswith("place ") else ""
    yield Sentence(f"Its models are {fact['value']:.1%} of all appearances in battles{bounds}{place}.", (number,))
    rate = known.get(provider, "rate in practice")
    declared = known.get(provider, "rate declared")
    if rate and declared:
        text = f"They appear {rate[1]['value']:.3g} times a battle, where {declared[1]['value']:.3g} was declared."
        yield Sentence(text, (rate[0], declared[0]))
    elif (undeclared := known.number(provider, "rate declared")) is not None:
        yield Sentence("How often they should be shown was not declared.", (undeclared,))


def _variants(provider: str, known: _Facts) -> Iterator[Sentence]:
    total, most, now = (
        known.get(provider, name)
        for name in ("private variants", "most private variants at once", "private variants under test now")
    )
    if total is None:
        return
    if not total[1]["value"]:
        yield Sentence("It submitted no private variant under its name.", (total[0],))
        return
    at_once = f", at most {most[1]['value']:,} at the same time" if most else ""
    still = f", {now[1]['value']:,} now" if now else ""
    used = tuple(one[0] for one in (total, most, now) if one)
    yield Sentence(f"It tested {count(total[1]['value'], 'private variant')}{at_once}{still}.", used)


def _release(model: str, known: _Facts) -> Iterator[Sentence]:
    seen, disclosed = known.get(model, "variants tested, seen"), known.get(model, "variants tested, disclosed")
    if seen is None:
        return
    used = [seen[0]]
    if disclosed:
        used.append(disclosed[0])
        told = f"disclosed {count(disclosed[1]['value'], 'tested variant')}"
    else:
        told = "did not disclose how many variants it tested"
    text = f"For {model} it {told}; {count(seen[1]['value'], 'variant')} of it can be seen here, itself included."
    score, fair = known.get(model, "score"), known.get(model, "score without the winner's curse")
    if score and fair and round(score[1]["value"] - fair[1]["value"], 1) > 0:
        luck = score[1]["value"] - fair[1]["value"]
        text += f" About {luck:,.1f} of its {score[1]['value']:,.1f} points are luck of the choice among them."
        used += [score[0], fair[0]]
    yield Sentence(text, tuple(used))


def _claims(known: _Facts) -> Iterator[Sentence]:
    for number, fact in known.ending(": claimed less measured"):
        benchmark = fact["fact"].removesuffix(": claimed less measured")
        gap = fact["value"]
        if gap is not None:
            side = "more" if gap > 0 else "less"
            bounds = "" if fact["lower"] is None else f" (95% bounds {fact['lower']:+.1f} to {fact['upper']:+.1f})"
            claim = f"{abs(gap):.1f} percentage points {side} on {benchmark} than was measured"
            yield Sentence(f"For {fact['about']} it claims {claim}{bounds.replace('-', '−')}.", (number,))


def _removals(provider: str, known: _Facts) -> Iterator[Sentence]:
    for name, none, what in (
        ("models removed in silence", "None of its models was removed in silence.", "removed in silence"),
        ("models not shown for a time", "", "not shown for a time before any notice"),
        ("models whose published votes fell", "No published vote count of its models fell.", "left with fewer votes"),
        ("registry events refused", "", ""),
    ):
        found = known.get(provider, name)
        if found is None:
            continue
        number, fact = found
        if not fact["value"]:
            if none:
                yield Sentence(none, (number,))
        elif what:
            verb = "was" if fact["value"] == 1 else "were"
            yield Sentence(f"{count(fact['value'], 'model')} {verb} {what}: {_listed(fact['detail'])}.", (number,))
        else:
            text = f"{count(fact['value'], 'event')} of the registry about it contradict earlier ones and were refused."
            yield Sentence(text, (number,))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more
