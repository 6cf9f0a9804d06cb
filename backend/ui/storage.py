"""Static files under names that change with their content."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.staticfiles.storage import ManifestStaticFilesStorage as CompressedManifestStaticFilesStorage
else:
    from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFilesStorage(CompressedManifestStaticFilesStorage):
    """Compressed and hashed; the imports between our JavaScript modules are rewritten too.

    So every module is cached for good, and after an upgrade a page never mixes old and new ones. Django's own switch
    for this takes in every script of every package, some of which import what they do not bring along.
    """

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        (
            "ui/*.js",
            (
                (r"""(?P<matched>from\s*"(?P<url>\./[^"]+)";)""", 'from "%(url)s";'),
                (r"""(?P<matched>import\(\s*"(?P<url>\./[^"]+)"\))""", 'import("%(url)s")'),
            ),
        ),
    )
