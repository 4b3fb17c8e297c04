"""Fixtures of the tests of `media`, which make small recordings."""

from tests.media.conftest import *  # noqa: F403
