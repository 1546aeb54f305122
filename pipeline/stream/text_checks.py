"""Checks the texts of a battle when it is published: whether an answer reveals its model, and the hash of the prompt.

The texts are neither stored nor sent. The sent record only gets the flag `identity_leak` (an answer reveals its model)
and the field `prompt_hash`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import BadRecord
from pipeline.events.decode import decode_registry
from pipeline.events.registry_events import Released, Renamed, Submitted
from pipeline.formats.battle_format import Fields, Record
from pipeline.formats.identity_leaks import IdentityLeaks, LeakCheck
from pipeline.formats.identity_table import load_identities
from pipeline.formats.json_pieces import read_lines
from pipeline.formats.record_text import BattleText, battle_text
from pipeline.stream.near_prompts import NearPrompts
from pipeline.stream.text_reading import TextReading


class TextChecks:
    """Computes `identity_leak` and `prompt_hash` from the texts of a record. An instance is a `BatchCheck`.

    Attributes:
        battles: number of records with text so far.
        identity_leaks: number of these records in which an answer reveals its model.
    """

    def __init__(self, prompts: NearPrompts, registry: Path | None = None) -> None:
        """Create the checks.

        Args:
            prompts: hashes prompts.
            registry: a file of registry events, None without one. Answers are searched for the names of its models,
                providers and families, in addition to the names that are known without the file.

        Raises:
            BadRecord: a line of the registry file is no event.
        """
        self.battles = self.identity_leaks = 0
        self._prompts = prompts
        self._leaks = LeakCheck(IdentityLeaks(load_identities(registered_names(registry) if registry else ())))

    def __call__(self, record: Record, fields: Fields) -> Fields:
        """Return the fields that the text adds to a record, and count the record.

        Args:
            record: the source record, with the text.
            fields: the fields of the vote so far, among them the names of the models.

        Returns:
            `identity_leak` if the record has answers; `prompt_hash` if the record has a prompt and `fields` has no
            `prompt_hash`.
        """
        text = battle_text(record)
        return self._added(text, fields, self._leaks.of(text, fields))

    def of_records(self, records: Sequence[Record], fields: Sequence[Fields]) -> list[Fields]:
        """Compute `identity_leak` and `prompt_hash` for many records, several times as fast as one by one.

        Args:
            records: n source records, with their texts.
            fields: for each record, the fields of the vote so far.

        Returns:
            n dictionaries with the fields that the texts add. A field that cannot be computed is missing.
        """
        texts = [battle_text(record) for record in records]
        return [
            self._added(text, of_vote, found)
            for text, of_vote, found in zip(texts, fields, self._leaks.of_all(texts, fields), strict=True)
        ]

    def _added(self, text: BattleText, fields: Fields, found: Fields) -> Fields:
        """Count the battle, and add the hash of its prompt to the fields `found` if the vote has none."""
        self.battles += bool(text)
        self.identity_leaks += found.get("identity_leak") is True
        if text.prompt and not fields.get("prompt_hash"):
            found["prompt_hash"] = self._prompts.hash(text.prompt)
        return found


def registered_names(path: Path) -> Iterator[tuple[str, Sequence[str]]]:
    """Read the names of models, providers and families from a file of registry events.

    Args:
        path: the file, JSON Lines.

    Yields:
        (name of a model, names of its provider and family) for each model, and for each former name and code name of a
        model. A provider or family that the file does not state is left out.

    Raises:
        BadRecord: a line is not a registry event. The message has the line number.
    """
    names: dict[str, tuple[str, ...]] = {}
    with path.open("rb") as lines:
        for position, line in enumerate(read_lines(lines)):
            if not line.strip():
                continue
            found, _, rejects = decode_registry([line])
            for reject in rejects:
                raise BadRecord(path.name, position, reject.reason, reject.detail)
            event = found[0]
            if isinstance(event, Submitted):
                names[event.model] = tuple(filter(None, (event.provider, event.family)))
            elif isinstance(event, Renamed):
                names[event.to] = names.get(event.model, ())
            elif isinstance(event, Released) and event.as_:
                names.setdefault(event.as_, names.get(event.model, ()))
    yield from names.items()


def open_text_reading(
    folder: Path, key: bytes, registry: Path | None = None, *, read_only: bool = False
) -> TextReading:
    """Prepare the functions that check texts for identity leaks and for near copies of prompts.

    Args:
        folder: folder in which signatures of prompts are stored between runs.
        key: secret key of the hashes and signatures.
        registry: a file of registry events; the names in it are looked for in answers. None looks only for the names
            that are known without a file.
        read_only: True leaves the folder unchanged.

    Raises:
        BadRecord: a line of the registry file is not a valid event.
    """
    prompts = NearPrompts(key, folder, read_only=read_only)
    shared = f"another process has the prompts of {folder}: near copies of its new prompts are not found"
    checks = TextChecks(prompts, registry)
    return TextReading(
        checks,
        prompts.flush,
        prompts.close,
        lambda: (checks.battles, checks.identity_leaks),
        lambda: (shared,) if prompts.shared and not read_only else (),
    )
