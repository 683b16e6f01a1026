"""The desk as a server: its port is taken before anything else is done."""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING

from optimizer.errors import BusyError, ConfigError
from optimizer.extras import import_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from optimizer.config import Config
    from optimizer.desk.access import Access

logger = logging.getLogger(__name__)

#: Requests that are answered or wait at once; others are told to come later.
MAX_CONNECTIONS = 500
#: Seconds that a silent connection is kept, and that requests get when it stops.
KEEP_ALIVE_SECONDS, STOP_SECONDS = 5, 3


def serve(  # noqa: PLR0913 - what the command takes, by name
    config: Config,
    *,
    host: str,
    port: int,
    access: Access,
    per_second: float,
    link_key: str | None,
    max_orders: int,
    tell: Callable[[str], None],
) -> None:
    """
    Serve the desk until it is stopped.

    Parameters
    ----------
    config
        With ``output``.
    host, port
        Where it listens; port 0 takes a free one.
    access, per_second
        Who may read, and how often.
    link_key
        Signs links for merchants.
    max_orders
        Orders of a night that is solved under other rules; 0: none is.
    tell
        Called with the address when it answers.

    Raises
    ------
    ConfigError
        When the address cannot be listened on, or the extra ``desk`` is not installed.
    BusyError
        When another program has the port.
    """
    uvicorn = import_extra("uvicorn", needed_by="serve")
    import_extra("starlette", needed_by="serve")
    from optimizer.desk.app import make_app
    from optimizer.desk.rates import Rates
    from optimizer.desk.solver_process import SolverProcess

    solver = SolverProcess(max_orders) if max_orders else None
    app = make_app(config, access, Rates(per_second), link_key, solver)
    with listening(host, port) as taken:
        settings = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        shown = f"[{host}]" if ":" in host else host
        tell(f"http://{shown}:{taken.getsockname()[1]}")
        try:
            uvicorn.Server(settings).run(sockets=[taken])
        finally:
            if solver is not None:
                solver.close()


def listening(host: str, port: int) -> socket.socket:
    """
    Take a port.

    Raises
    ------
    BusyError
        When another program has it.
    ConfigError
        When there is no such address here, or it may not be taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"--host {host}: {reason}; check the address") from None
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(MAX_CONNECTIONS)
    except OSError as error:
        taken.close()
        if error.errno == errno.EADDRINUSE:
            raise BusyError(
                f"port {port} of {host} is taken by another program; end that, or give "
                "another --port"
            ) from None
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{host}, port {port}: {reason}; give another") from None
    return taken
