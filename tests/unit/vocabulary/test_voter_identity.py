"""Whom a voter's id names."""

import pytest

from pipeline.vocabulary.voter_identity import find_voter, names_nobody, parse_proxies, spell_voter

NOBODY = [
    "", " ", "\t", "-", "None", "none", "nan", "NaN", "N/A", "n/a", "null", "NULL", "<NA>", "localhost", "LOCALHOST",
    "127.0.0.1", "127.8.9.1", "::1", "0.0.0.0",  # noqa: S104
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.9.9", "192.168.1.1",
    "169.254.3.4", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::7", "::ffff:10.0.0.1", "10.1.2.3:8080",
    "[::1]:443", "10.0.0.1, 192.168.0.9",
    "arena_user", "arena_user_127.0.0.1", "arena_user_::1", "arena_user_172.17.0.1", "arena_user_10.4.5.6",
    "arena_user_192.168.65.1", "arena_user_localhost", "arena_user_None", "arena_user_nan", "arena_user_fd00::2",
    "user_10.0.0.9", "ip:172.20.0.3",
]  # fmt: skip
SOMEBODY = [
    "al", "3", "3.5", "0", "198.51.100.7", "203.0.113.9", "arena_user_203.0.113.9", "172.15.0.1", "172.32.0.1",
    "11.0.0.1", "2001:4860::1", "arena_user_2001:4860::1", "nancy", "None of them", "null_island", "bob_10.0.0.1",
    "na", "8.8.8.8, 10.0.0.1", "user_al", "10.0.0", "fade",
]  # fmt: skip


@pytest.mark.parametrize("voter_id", NOBODY)
def test_placeholders_and_addresses_that_many_share_name_nobody(voter_id: str) -> None:
    assert names_nobody(voter_id)
    assert find_voter(voter_id) is None


@pytest.mark.parametrize("voter_id", SOMEBODY)
def test_other_ids_name_a_voter(voter_id: str) -> None:
    assert not names_nobody(voter_id)
    assert find_voter(voter_id) == voter_id


def test_a_configured_proxy_names_nobody_with_and_without_a_prefix() -> None:
    proxies = parse_proxies("203.0.113.9, 198.51.100.0/24,2001:4860::/32")
    for address in ("203.0.113.9", "198.51.100.77", "2001:4860::1"):
        assert names_nobody(address, proxies)
        assert names_nobody(f"arena_user_{address}", proxies)
        assert not names_nobody(address)
    assert not names_nobody("203.0.113.10", proxies)


@pytest.mark.parametrize(
    ("text", "spelling"), [("3", "3"), ("3.0", "3"), ("3.00", "3"), ("-7.0", "-7"), ("3.10", "3.10")]
)
def test_a_whole_number_has_one_spelling(text: str, spelling: str) -> None:
    assert spell_voter(text) == spelling
