"""Names of models that a person takes for one name are told, and no others."""

import pytest

from pipeline.vote_files.similar_names import similar_name_notes


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        ("Alder-7b", "'Alder-7b', 'alder-7b'"),
        ("alder-7b ", "'alder-7b', 'alder-7b '"),
        ("alder-7b\u00a0", "(with U+00A0)"),
        ("\u0430lder-7b", "(with U+0430)"),
        ("\uff41lder-7b", "(with U+FF41)"),
    ],
)
def test_a_name_that_looks_like_another_is_told(other: str, shown: str) -> None:
    (note,) = similar_name_notes(["birch", "alder-7b", other])
    assert "count as different models" in note and shown in note


def test_names_that_can_be_told_apart_are_not_told() -> None:
    names = ["gpt-4", "gpt-4o", "gpt4", "gpt 4", "qwen [int4]", "qwen [int8]", "通义", "Ёлка", "a", "b"]
    assert similar_name_notes(names) == []


def test_many_sets_are_counted() -> None:
    names = [name for k in range(5) for name in (f"m{k}", f"M{k}")]
    (note,) = similar_name_notes(names)
    assert note.endswith("'M0', 'm0'; 'M1', 'm1'; 'M2', 'm2'; and 2 more")


def test_a_name_that_means_a_missing_one_is_told() -> None:
    assert similar_name_notes(["nan", "None", "nana", "alder"]) == [
        "rated as a model, although the name looks like a missing one: 'None', 'nan'"
    ]
