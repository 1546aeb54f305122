"""Writes the citation of a snapshot, as a CSL-JSON item and as a BibTeX entry."""

from collections.abc import Mapping
from typing import Any

from pipeline.vocabulary.visible_text import visible

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Characters with a meaning in TeX.
_TEX = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
})  # fmt: skip


def csl_item(board: str, snapshot: Mapping[str, Any], site: str) -> dict[str, Any]:
    """Return the citation of a snapshot as a CSL-JSON item.

    Args:
        board: name of the board.
        snapshot: the snapshot, with the fields of `SnapshotDocument`.
        site: the address under which readers reach the pages; "" for a citation without a link.
    """
    year, month, day = (int(part) for part in snapshot["published_at"][:10].split("-"))
    until = f", votes up to {snapshot['data_until'][:10]}" if snapshot["data_until"] else ""
    item = {
        "id": f"leaderboard-{snapshot['snapshot'][:12]}",
        "type": "dataset",
        "title": f"Leaderboard snapshot {snapshot['sequence']} of {board}",
        "author": [{"literal": board}],
        "issued": {"date-parts": [[year, month, day]]},
        "version": str(snapshot["sequence"]),
        "note": f"SHA-256 {snapshot['snapshot']}; {snapshot['votes_counted']:,} votes counted{until}",
    }
    return item | ({"URL": f"{site}/snapshots/{snapshot['snapshot']}"} if site else {})


def bibtex_entry(item: Mapping[str, Any]) -> str:
    """Convert a citation to the text of a BibTeX entry. `item` is the result of `csl_item`."""
    ((year, month, day),) = item["issued"]["date-parts"]
    fields = {
        # In a second pair of braces, capitals stay and a name is not taken apart.
        "title": f"{{{{{_tex(item['title'])}}}}}",
        "author": f"{{{{{_tex(item['author'][0]['literal'])}}}}}",
        "year": f"{{{year}}}",
        "month": _MONTHS[month - 1],
        "day": f"{{{day}}}",
        "version": f"{{{_tex(item['version'])}}}",
        "note": f"{{{_tex(item['note'])}}}",
    }
    if "URL" in item:
        fields["url"] = f"{{{item['URL']}}}"
    lines = "".join(f"  {name} = {value},\n" for name, value in fields.items())
    return f"@misc{{{item['id']},\n{lines}}}\n"


def _tex(text: str) -> str:
    return visible(text).translate(_TEX)
