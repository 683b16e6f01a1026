"""Columns that are declared not to be personal data, though they look like it."""

from pydantic import Field

from optimizer.config.fields import ConfigModel, Name


class NotPersonal(ConfigModel):
    """
    Columns that are not personal data, and why; both are recorded with each night.

    Their names are accepted, and ids that are numbers like those of phones. E-mail
    addresses, masked and identity numbers, and phone numbers within a sentence are
    still refused.
    """

    columns: tuple[Name, ...] = Field(
        min_length=1, description="Names of columns, in whatever table."
    )
    reason: Name = Field(description="Why they are no person's data.")


class Privacy(ConfigModel):
    """How personal data is kept out."""

    allow: NotPersonal | None = Field(
        None, description="Columns that look personal and are not."
    )
