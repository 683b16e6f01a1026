"""Who may read what is published."""

from typing import Annotated

from pydantic import AfterValidator, Field

from optimizer.config.fields import ConfigModel


def _mode(value: str) -> str:
    """Check that it is a mode by which the owner can read and write."""
    is_octal = value.isascii() and value.isdigit() and not set(value) & {*"89"}
    if not is_octal or len(value) not in (3, 4) or not 0o600 <= int(value, 8) <= 0o666:
        raise ValueError(
            'must be the mode of a file in octal digits, from "0600" to "0666"'
        )
    if int(value, 8) & 0o600 != 0o600 or int(value, 8) & 0o111:
        raise ValueError("must let the owner read and write, and nobody execute")
    return value


class Files(ConfigModel):
    """
    Rights of published files.

    They decide who reads a night, and nothing of the night.
    """

    mode: Annotated[str, AfterValidator(_mode)] = Field(
        "0640",
        description="Mode of the files of a night and of outboxes, in octal digits, "
        "whatever the umask of the job; folders made for them let in whoever it lets "
        "read.",
    )

    @property
    def mode_bits(self) -> int:
        """The mode as the system takes it."""
        return int(self.mode, 8)
