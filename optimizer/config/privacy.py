"""What is declared to be no person's data, though it looks like it."""

from pydantic import Field

from optimizer.config.fields import ConfigModel, Name


class NotPersonal(ConfigModel):
    """
    Columns that are no person's data, and why; both stand in the record of each night.

    Their names are accepted, and ids that are numbers like those of phones. E-mail
    addresses, masked and identity numbers, and phone numbers within a sentence are
    refused all the same.
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
