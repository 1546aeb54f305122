"""The method of a board: the shipped one, none, a file; and what a file is refused for."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import BadInput, Usage
from pipeline.ratings.method import ALL_VOTES, RULES, Method
from pipeline.settings import Settings
from pipeline.settings.method_file import load_method
from pipeline.vocabulary.method_rules import RULE_BITS, SENTENCES, rule_mask

SHIPPED = load_method("arena", "INTEGRITY_METHOD")


def parsed(text: str) -> Method:
    return Method.parse(text, "mine.toml")


def test_the_default_is_the_arenas_method_with_every_rule() -> None:
    assert Settings().method == "arena"
    assert (SHIPPED.name, SHIPPED.rules) == ("arena", tuple(RULES))
    assert (SHIPPED.private_models, SHIPPED.preliminary_votes, SHIPPED.least_board_votes) == ("hidden", 1000, 300)


def test_none_leaves_out_no_vote_and_lists_every_model() -> None:
    assert load_method("none", "INTEGRITY_METHOD") == ALL_VOTES
    assert (ALL_VOTES.rules, ALL_VOTES.least_votes, ALL_VOTES.private_models) == ((), 0, "shown")


def test_every_rule_has_a_bit_of_its_own_and_a_sentence() -> None:
    assert list(RULES) == list(RULE_BITS) == list(SENTENCES)
    assert rule_mask(RULES) == 31


def test_a_file_names_rules_in_any_order_and_the_method_has_them_in_theirs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\n[rules]\nrefusal = true\nnot_anonymous = true\nidentity_leak = false\n'
        "[listing]\nleast_votes = 5\n[boards]\nleast_votes = 7\n"
    )
    assert load_method(str(path), "INTEGRITY_METHOD") == Method("mine", ("not_anonymous", "refusal"), 5, 0, "hidden", 7)


def test_the_digest_changes_with_every_part() -> None:
    others = (
        replace(SHIPPED, name="x"), replace(SHIPPED, rules=SHIPPED.rules[1:]), replace(SHIPPED, least_votes=1),
        replace(SHIPPED, preliminary_votes=1), replace(SHIPPED, private_models="shown"),
        replace(SHIPPED, least_board_votes=1),
    )  # fmt: skip
    assert len({one.digest() for one in (SHIPPED, *others)}) == 7
    assert load_method("arena", "x").digest() == SHIPPED.digest()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = ", "mine.toml: expected TOML"),
        ("[rules]", "expected name"),
        ('name = ""', "expected name"),
        ('name = "a\\nb"', "expected name"),
        ("name = 3", "got 3"),
        ('name = "x"\ncolour = 1', "expected name, [rules], [listing] and [boards], got 'colour'"),
        ('name = "x"\nrules = 1', "expected name, [rules]"),
        ('name = "x"\n[rules]\ndislike = true', "got dislike = True"),
        ('name = "x"\n[rules]\nrefusal = 1', "got refusal = 1"),
        ('name = "x"\n[listing]\nleast_votes = -1', "got least_votes = -1"),
        ('name = "x"\n[listing]\nleast_votes = true', "got least_votes = True"),
        ('name = "x"\n[listing]\nmost_votes = 1', "expected least_votes or preliminary_votes"),
        ('name = "x"\n[listing]\nprivate_models = "secret"', "private_models = hidden or shown, got 'secret'"),
        ('name = "x"\n[boards]\nleast_votes = 1.5', "got least_votes = 1.5"),
        ('name = "x"\n[boards]\nmodels = 2', "[boards]: expected least_votes"),
    ],
)
def test_a_file_that_is_no_method_is_refused_by_its_name_and_key(text: str, told: str) -> None:
    with pytest.raises(BadInput) as found:
        parsed(text)
    assert told in str(found.value)
    assert str(found.value).startswith("mine.toml")


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    for given in (str(tmp_path / "none.toml"), str(tmp_path), "", "a\0b"):
        with pytest.raises(Usage, match=r"INTEGRITY_METHOD: expected arena, none or a file|that can be read"):
            load_method(given, "INTEGRITY_METHOD")
    path = tmp_path / "mine.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(BadInput, match=r"mine.toml: expected a method in UTF-8"):
        load_method(str(path), "INTEGRITY_METHOD")
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(BadInput, match=r"mine.toml: expected a method of at most 65,536 bytes"):
        load_method(str(path), "INTEGRITY_METHOD")
