"""The published night that tests of answers share."""

from tests.support.answers import night_config, night_folder, published

__all__ = ["night_config", "night_folder", "published"]
