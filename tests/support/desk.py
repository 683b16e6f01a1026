"""The desk over published nights, asked without a server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from starlette.testclient import TestClient

from optimizer.config import load_config
from optimizer.desk.access import Access
from optimizer.desk.app import make_app
from optimizer.desk.rates import Rates
from tests.support.small_night import SmallNight

LOOPBACK = "http://127.0.0.1"


def ask_desk(
    night: SmallNight,
    access: Access | None = None,
    per_second: float = 1e6,
    client: str = "127.0.0.1",
    **more: Any,
) -> TestClient:
    """A browser's side of a desk over a folder of nights."""
    given = load_config(night.config)
    config = given.model_copy(update={"output": str(night.runs)})
    app = make_app(config, access or Access(), Rates(per_second), **more)
    return TestClient(
        app, LOOPBACK, client=(client, 50_000), raise_server_exceptions=False
    )


@dataclass(frozen=True)
class Seen:
    """What a page holds."""

    text: str

    @property
    def plain(self) -> str:
        """Its words, without tags."""
        return " ".join(re.sub(r"<[^>]*>", " ", self.text).split())

    def links(self) -> list[str]:
        """Addresses on this desk that it leads to."""
        found = re.findall(r'(?:href|action)="(/[^"]*)"', self.text)
        return [link.replace("&amp;", "&") for link in found]

    def first_cells(self) -> list[str]:
        """First cell of each row of its table."""
        rows = re.findall(r'<th scope="row"[^>]*>(.*?)</th>', self.text, re.DOTALL)
        return [Seen(row).plain for row in rows]


def seen(asked: TestClient, address: str, status: int = 200, **how: Any) -> Seen:
    """Open a page, which must answer so."""
    answer = asked.get(address, **how)
    assert answer.status_code == status, (address, answer.status_code, answer.text)
    return Seen(answer.text)
