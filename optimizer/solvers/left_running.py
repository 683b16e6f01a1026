"""
Solvers of other projects that cannot be interrupted, left running by whoever is.

HiGHS has no ear for signals, and may have minutes left. It runs in a thread that the
end of the program does not wait for; who waits for its answer looks up now and then.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Name of these threads.
THREAD = "optimizer-solver"
#: Seconds between two looks whether the answer is still wanted.
LOOK_SECONDS = 0.1


def answer_of(
    solve: Callable[[], Any], is_stopped: Callable[[], bool] = lambda: False
) -> Any:
    """
    Wait for an answer, as long as it is wanted.

    Parameters
    ----------
    solve
        Is called in a thread of its own; what it raises is raised here.
    is_stopped
        Whether nobody waits for it any more. A signal ends the waiting of the first
        thread by itself.

    Returns
    -------
    What ``solve`` gave; ``None`` where nobody waited for it.

    Examples
    --------
    >>> answer_of(lambda: 7)
    7
    """
    answers, errors = list[Any](), list[BaseException]()

    def work() -> None:
        try:
            answers.append(solve())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=work, name=THREAD, daemon=True)
    thread.start()
    while thread.is_alive() and not is_stopped():
        thread.join(LOOK_SECONDS)
    if errors:
        raise errors[0]
    return answers[0] if answers else None
