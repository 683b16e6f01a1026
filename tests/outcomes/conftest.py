"""The small night of the nightly tests serves here too."""

from nightly.conftest import inputs_only, published, published_once

__all__ = ["inputs_only", "published", "published_once"]
