"""The PostgreSQL manual: real text that everybody can have."""

from __future__ import annotations

import subprocess
from pathlib import Path

PACKAGE = "postgresql-doc-15"


def download_manual(folder: Path) -> Path:
    """Have apt-get download Debian's package into a folder, and return where the manual's pages are, in HTML."""
    subprocess.run(["apt-get", "download", "-q", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder / "manual"], check=True)
    return folder / "manual/usr/share/doc" / PACKAGE / "html"
