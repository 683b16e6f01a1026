"""The command that serves the planner's desk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli.options import ConfigOption, LogJsonOption, load_settings
from optimizer.cli.output import say, use_logs

HostOption = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")
]
PortOption = Annotated[
    int,
    typer.Option(
        "--port",
        metavar="NUMBER",
        min=0,
        max=65_535,
        help="Port; 0 takes a free one.",
    ),
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="Let in who gives this file's line as a password or bearer's token.",
    ),
]
HeaderOption = Annotated[
    str | None,
    typer.Option(
        "--proxy-header",
        metavar="NAME",
        help="Let in whom a proxy names in this header.",
    ),
]
ProxyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy-from",
        metavar="ADDRESS",
        help="The proxy's address; 127.0.0.1 and ::1 without. May be repeated.",
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--link-key-file",
        metavar="FILE",
        help="Sign links for merchants with this file's line; or with "
        "OPTIMIZER_DESK_KEY in the environment.",
    ),
]
OrdersOption = Annotated[
    int,
    typer.Option(
        "--what-if-orders",
        metavar="NUMBER",
        min=0,
        help="Largest night that is solved under other rules; 0: none.",
    ),
]
RateOption = Annotated[
    float,
    typer.Option(
        "--requests-per-second",
        metavar="NUMBER",
        min=0.1,
        max=100_000,
        help="Requests of one reader, in the long run.",
    ),
]


def serve(
    *,
    config: ConfigOption,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8765,
    token_file: TokenOption = None,
    proxy_header: HeaderOption = None,
    proxy_from: ProxyOption = None,
    link_key_file: KeyOption = None,
    max_orders: OrdersOption = 2_000_000,
    per_second: RateOption = 50,
    as_log: LogJsonOption = False,
) -> None:
    """
    Serve published nights to browsers: the planner's desk.

    It reads and changes nothing. Without --token-file or --proxy-header it listens on
    this machine's own addresses alone. Control-C or SIGTERM ends it.
    """
    use_logs(as_log)
    from optimizer.desk.access import access_for
    from optimizer.desk.links import link_key
    from optimizer.desk.server import serve as serve_desk

    settings = load_settings(config)
    proxies = tuple(proxy_from or ("127.0.0.1", "::1"))
    access = access_for(host, token_file, proxy_header, proxies)
    serve_desk(
        settings,
        host=host,
        port=port,
        access=access,
        per_second=per_second,
        link_key=link_key(link_key_file),
        max_orders=max_orders,
        tell=lambda address: say(f"the desk is at {address}; Control-C ends it"),
    )
