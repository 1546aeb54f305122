"""A backlog's voters who support a provider, or click at random, are found alone; honest voters are not."""

import numpy as np

from pipeline.backlog import BacklogEvaluation, BacklogVotes
from pipeline.backlog.backlog_votes import BacklogCells
from pipeline.lab.bench.backlog_stream import PROVIDERS, make_stream


def test_cells_of_providers_have_the_votes_on_exactly_one_of_their_models() -> None:
    voter = np.array([1, 1, 1, 1, 2, 2])
    votes = BacklogVotes.from_columns(
        4, voter, np.array([0, 1, 0, 2, 0, 3]), np.array([2, 3, 1, 3, 2, 2]), np.array([0, 2, 0, 1, 1, 0]), np.arange(6)
    )
    cells = BacklogCells.of_providers(votes, np.array([0, 0, 2, -1]), least=2)
    found = {(int(v), int(m)): (int(n), int(t)) for v, m, n, t in
             zip(cells.voter, cells.model, cells.votes, cells.ties, strict=True)}  # fmt: skip
    # The vote on models 0 and 1 is within the provider 0; cells with one vote, and model 3, are left out.
    assert found == {(0, 0): (2, 1), (0, 2): (2, 0), (1, 2): (2, 0)}
    assert sorted(cells.vote[cells.cell == 0].tolist()) == [0, 1]
    whole = BacklogCells.of_providers(votes, np.arange(4), least=1)
    alone = BacklogCells.of(votes)
    assert (whole.votes == alone.votes).all()
    assert (whole.vote == alone.vote).all()
    assert (whole.place == alone.place).all()


def test_supporters_of_a_provider_are_found_alone_if_the_registry_has_the_provider() -> None:
    stream = make_stream(11, 20_000, "provider", 4, 150)
    votes = stream.votes()
    found = BacklogEvaluation(votes, b"key", providers=PROVIDERS).run()
    attackers = set(stream.attackers.tolist())
    named = {one.voter: one for one in found.voters}
    assert attackers <= set(named)
    assert not set(named) - attackers
    best = [named[voter].likeliest[0] for voter in sorted(attackers)]
    assert {(one["what"], one["model"]) for one in best} == {("promotes all models of the provider of", 7)}


def test_voters_who_click_at_random_are_a_warning_of_their_own() -> None:
    stream = make_stream(12, 20_000, "random clicks", 10, 200)
    found = BacklogEvaluation(stream.votes(), b"key").run()
    clickers, attackers = {one.voter for one in found.random}, set(stream.attackers.tolist())
    assert len(clickers & attackers) >= 6
    assert len(clickers - attackers) <= 10  # of some 1,700 honest voters
    assert not found.unusual[sorted(clickers)].any()
    assert not clickers & {one.voter for one in found.voters}
