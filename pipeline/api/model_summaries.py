"""Converts models to JSON: the registry entry of a model, and its rows in the newest and in older snapshots."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.api.error_responses import not_found
from pipeline.api.request_params import VIEWS
from pipeline.api.store_reader import StoreReader
from pipeline.registry import RegisteredModel, Registry, RegistryState
from pipeline.store.boards import board_listing, snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.read import page_queries
from pipeline.store.votes import dictionary, registry_events
from pipeline.vocabulary.time import format_rfc3339

REGISTRY_FIELDS = (
    "provider", "family", "visibility", "license", "submitted_at", "released_at", "released_as", "variants_tested",
    "deprecated_at", "retracted_at",
)  # fmt: skip
_TIMES = ("submitted_at", "released_at", "deprecated_at", "retracted_at")
_UNREGISTERED = RegisteredModel("")
_FIGURES = ("rating", "lower", "upper", "rank", "rank_best", "rank_worst", "votes")
HISTORY_COLUMNS = ("sequence", "snapshot", "published_at", "data_until", *_FIGURES, "share")
# After every event of the registry.
_END_OF_TIME = 2**62

_Rows = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models that are shown to the public.

    Attributes:
        models: the models with the fields of `ModelDocument`, sorted by name.
        under_test: name of a provider → number of its models under test, which are not in `models`. The key is None for
            models without a provider.
    """

    models: list[dict[str, Any]]
    under_test: dict[str | None, int]

    @property
    def number_under_test(self) -> int:
        """Number of models under test, whose names are hidden."""
        return sum(self.under_test.values())

    def has_provider(self, name: str) -> bool:
        """Return whether any model, also one under test, has this provider."""
        return name in self.under_test or any(one["provider"] == name for one in self.models)


def list_models(reader: StoreReader, connection: Connection) -> ModelList:
    """Return the list of all models that a vote or the registry names. Models under test are only counted."""
    state = _registry_state(connection)
    newest, hidden = snapshots.latest(connection), reader.hidden(connection)
    voted_on = {state.first_name(name) for name in dictionary.model_names(connection).values()}
    rows = _newest_rows(reader, connection, newest)
    names = sorted(voted_on | state.models.keys())
    under_test = Counter(state.provider_of(name) for name in names if name in hidden.keys)
    shown = [_model_document(name, state, newest, rows) for name in names if name not in hidden.keys]
    return ModelList(shown, dict(under_test))


def find_model(reader: StoreReader, connection: Connection, name: str) -> dict[str, Any]:
    """Return the model that has or had this name, with the fields of `ModelDocument`.

    Raises:
        Problem: status 404, if no vote and no registry event has this name, or if the model is under test.
    """
    state = _registry_state(connection)
    key = state.first_name(name)
    known = key in state.models or page_queries.has_model(connection, key)
    if not known or key in reader.hidden(connection).keys:
        raise not_found("the name of a model", name)
    newest = snapshots.latest(connection)
    return _model_document(key, state, newest, _newest_rows(reader, connection, newest))


def registry_facts(connection: Connection) -> dict[str, dict[str, str | None]]:
    """Return model → {"provider", "license"} for every model in the registry.

    A value is None if the registry states none.
    """
    models = _registry_state(connection).models
    return {name: {"provider": one.provider or None, "license": one.license or None} for name, one in models.items()}


def model_history(reader: StoreReader, connection: Connection, model: str, view: str) -> list[dict[str, Any]]:
    """Return the rows of a model in one view of all snapshots, oldest first, with the fields of `HistoryPointDocument`.

    Args:
        reader: reads the store.
        connection: a connection to the store.
        model: name of the model.
        view: name of the view.
    """
    return [
        {
            "sequence": row["sequence"],
            "snapshot": row["snapshot_id"],
            "published_at": format_rfc3339(row["published_at"]),
            "data_until": reader.data_until_text(connection, row["log_size"]),
            **{name: row[name] for name in _FIGURES},
            # Every battle counts as a vote of two models.
            "share": round(2 * row["votes"] / int(row["battles"]), 6) if row["battles"] else 0.0,
        }
        for row in page_queries.model_history(connection, model, view)
    ]


def _registry_state(connection: Connection) -> RegistryState:
    events, _ = registry_events.read_since(connection, 0)
    return Registry(events).as_of(_END_OF_TIME)


def _newest_rows(reader: StoreReader, connection: Connection, newest: PublishedSnapshot | None) -> _Rows:
    if newest is None:
        return {view: {} for view in VIEWS}
    return {view: {r["model"]: r for r in reader.listed_rows(connection, newest, view)} for view in VIEWS}


def _model_document(key: str, state: RegistryState, newest: PublishedSnapshot | None, rows: _Rows) -> dict[str, Any]:
    entry = state.models.get(key, _UNREGISTERED)
    fields: dict[str, Any] = {name: getattr(entry, name) for name in REGISTRY_FIELDS}
    for name in _TIMES:
        fields[name] = None if fields[name] is None else format_rfc3339(fields[name])
    unrated = _unrated(newest)
    return {
        "model": key,
        **fields,
        "names": sorted(alias for alias, first in state.aliases.items() if first == key),
        "snapshot": newest.snapshot_id if newest else None,
        **{view: rows[view].get(key) for view in VIEWS},
        "unrated": unrated.get(key),
    }


def _unrated(newest: PublishedSnapshot | None) -> dict[str, str]:
    """Return model → why the defended view does not rate it, for the models that pages may name."""
    if newest is None:
        return {}
    listed = board_listing.list_unrated(newest.body, newest.body["views"]["defended"]["unrated"])
    return {one["model"]: one["reason"] for one in listed}
