"""Pages, parsed: their elements, their numbers, and what one reads on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "input", "br", "img", "hr"}


@dataclass
class Node:
    """An element as it was parsed."""

    tag: str
    attributes: dict[str, str | None]
    parent: Node | None
    children: list[Node] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    def all(self, *tags: str) -> list[Node]:
        """Elements below, in order; of these tags if any are named."""
        found = []
        for child in self.children:
            found += [child] if not tags or child.tag in tags else []
            found += child.all(*tags)
        return found

    def of_class(self, name: str) -> list[Node]:
        """Elements below that carry a class."""
        return [
            n for n in self.all() if name in (n.attributes.get("class") or "").split()
        ]

    @property
    def text(self) -> str:
        """All text inside."""
        return "".join(self.pieces)

    @property
    def values(self) -> list[float]:
        """Exact numbers inside, in order."""
        data = [self, *self.all()]
        return [float(n.attributes["value"]) for n in data if n.tag == "data"]


class Reader(HTMLParser):
    """Parses a page and fails at the first tag that does not fit."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.here = Node("page", {}, None)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Go into an element."""
        node = Node(tag, dict(attrs), self.here)
        assert len(node.attributes) == len(attrs), f"<{tag}> repeats an attribute"
        self.here.children.append(node)
        if tag not in VOID:
            self.here = node

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        """Note a shape."""
        assert tag in {"rect", "path"}, f"<{tag}/> is not closed by its slash"
        self.here.children.append(Node(tag, dict(attrs), self.here))

    def handle_endtag(self, tag: str) -> None:
        """Go out of an element."""
        assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        """Give the text to all elements around it."""
        node: Node | None = self.here
        while node is not None:
            node.pieces.append(data)
            node = node.parent

    def handle_comment(self, data: str) -> None:
        """Refuse it."""
        raise AssertionError(f"a comment: {data}")


def parse(page: str) -> Node:
    """Read a page whose tags all balance."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.here is reader.root, f"<{reader.here.tag}> is never closed"
    return reader.root


def articles(page: str) -> list[Node]:
    """The page in English and in Chinese."""
    return parse(page).all("article")


def skeleton(node: Node) -> list[str]:
    """Tags in order."""
    return [child.tag for child in node.all()]


def visible(page: str) -> str:
    """The English text, with blanks made single."""
    return " ".join(articles(page)[0].text.split())


#: Elements whose text is read as a line of its own.
_LINES = (
    *("p", "h1", "h2", "h3", "li", "th", "td", "caption", "span", "small"),
    *("title", "desc", "rect"),
)


def lines_of(article: Node) -> list[str]:
    """
    What one reads in an article, line by line, with the exact numbers behind it.

    What it was made from, which is another on each machine, is left out.
    """
    sections = [node for node in article.children if node.tag != "footer"][:-1]
    found = []
    for node in (line for section in sections for line in section.all(*_LINES)):
        if node.tag == "rect":
            found.append(f"bar {node.attributes['width']}")
        elif not node.all("p", "title"):
            numbers = [f"{value:.9g}" for value in node.values]
            found.append(" | ".join([" ".join(node.text.split()), *numbers]))
    return found
