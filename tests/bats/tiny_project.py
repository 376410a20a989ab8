"""Write a project that real pip installs without a network: one wheel, a hashed lock and a build backend of its own."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

BACKEND = """
import zipfile

INFO = {
    "entry_points.txt": "[console_scripts]\\ntrailblazer = trailblazer:main\\n",
    "METADATA": "Metadata-Version: 2.1\\nName: trailblazer\\nVersion: 1\\n",
    "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "RECORD": "",
}


def build_editable(folder, settings=None, metadata=None):
    name = "trailblazer-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("trailblazer.py", "def main(): print('it runs')")
        for file, text in INFO.items():
            wheel.writestr(f"trailblazer-1.dist-info/{file}", text)
    return name
"""


def main(folder: Path) -> None:
    """Write the files into a folder."""
    wheel = folder / "one-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("one.py", "")
        file.writestr("one-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: one\nVersion: 1\n")
        file.writestr("one-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("one-1.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "requirements.lock").write_text(f"one @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "trailblazer"\nversion = "1"\n'
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
