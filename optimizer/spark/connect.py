"""Whether a server of Spark Connect answers, before its client waits for it."""

from __future__ import annotations

import os
from typing import Any

from optimizer.errors import BusyError

#: Where Spark Connect is, as its client reads it.
REMOTE = "SPARK_REMOTE"
#: After so long a server that does not answer is taken to be down. The client itself
#: would try for ten minutes, and say nothing.
ANSWER_SECONDS = 15.0


def require_answer() -> None:
    """
    Ask the server that the environment names, where it names one.

    Raises
    ------
    BusyError
        When it does not answer.
    PySparkException
        When its address is none.
    ImportError
        When a package of Spark Connect is missing.
    """
    address = os.environ.get(REMOTE, "")
    if not address.startswith("sc://"):
        return
    from pyspark.sql.connect.client import core

    client: Any = core  # its own module of gRPC has no types
    builder = client.DefaultChannelBuilder(address)
    channel, grpc = builder.toChannel(), client.grpc
    try:
        grpc.channel_ready_future(channel).result(timeout=ANSWER_SECONDS)
    except grpc.FutureTimeoutError:
        # Without what follows the port: it may be a token.
        raise BusyError(
            f"sc://{builder.endpoint}: no Spark Connect server answers there within "
            f"{ANSWER_SECONDS:.0f} s; start it, or mend {REMOTE}, and try again later"
        ) from None
    finally:
        channel.close()
