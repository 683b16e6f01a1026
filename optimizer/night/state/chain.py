"""
The chain of published versions: each link holds the hash of the one before.

Whoever changes, removes or inserts a link must change all later links, and with them
the head: the last hash, of which everybody may keep a copy.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What the first link holds as the hash of the one before.
NO_LINK = "0" * 64


#: Format of new links; those of before it was written down have the same one.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Link:
    """
    One entry of the chain.

    Attributes
    ----------
    number
        From 1, without gaps.
    hash
        SHA-256 of the text, in hexadecimal.
    text
        Its content, as canonical JSON.
    """

    number: int
    hash: str
    text: str

    @property
    def body(self) -> dict[str, Any]:
        """Its content; empty where it cannot be read."""
        try:
            found = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def make_link(body: Mapping[str, Any], last: Link | None) -> Link:
    """
    Make the link that follows the last one.

    Examples
    --------
    >>> first = make_link({"date": "2026-11-22"}, None)
    >>> second = make_link({"date": "2026-11-23"}, first)
    >>> second.number, second.body["previous"] == first.hash
    (2, True)
    >>> broken_links([first, second]), len(broken_links([second]))
    ([], 2)
    """
    number = 1 if last is None else last.number + 1
    before = NO_LINK if last is None else last.hash
    whole = {"format": FORMAT, **body, "number": number, "previous": before}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Link(number, text_hash(text), text)


def text_hash(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def broken_links(links: Sequence[Link]) -> list[str]:
    """Describe what is wrong with a chain by itself; empty where it holds."""
    found, number, before = [], 0, NO_LINK
    for link in links:
        if link.number != number + 1:
            found.append(f"link {number + 1} was removed (link {link.number} follows)")
        elif link.body.get("previous") != before:
            found.append(f"link {link.number} does not follow from the one before it")
        if text_hash(link.text) != link.hash or link.body.get("number") != link.number:
            found.append(f"link {link.number} was changed after it was written")
        if (told := link.body.get("format", FORMAT)) != FORMAT:
            found.append(
                f"link {link.number} is of format {told}, and known is {FORMAT}; use "
                "the version of optimizer that wrote it"
            )
        number, before = link.number, link.hash
    if links and links[0].number != 1 and links[0].body.get("previous") != NO_LINK:
        found.append(f"the chain starts with link {links[0].number}")
    return found
