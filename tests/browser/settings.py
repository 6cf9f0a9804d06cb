"""The product's settings with static files of the test's own, collected and hashed as in production."""

import os
from pathlib import Path

from backend.config.settings import *  # noqa: F403

STATIC_ROOT = Path(os.environ["FLOWNEXUS_TEST_STATIC"])
