"""The dimensions of models, asked for once and kept in var/embedders/."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from trailblazer import schemas
from trailblazer.errors import DocumentInvalid
from trailblazer.paths import Places, timestamp


def read_dimension(places: Places, base_url: str, model: str) -> int | None:
    """Return the kept dimension of a model at an address, None when it was not asked for or is not readable."""
    file = dimension_file(places, base_url, model)
    if not file.is_file():
        return None
    try:
        document = schemas.read_json(file)
        schemas.check("model_dimension", document, str(file))
    except DocumentInvalid:
        return None
    return int(document["dimension"]) if document["model"] == model else None


def keep_dimension(places: Places, base_url: str, model: str, dimension: int) -> None:
    """Write the dimension of a model at an address, as a whole file."""
    document = {"baseUrl": _public(base_url), "model": model, "dimension": dimension, "askedOn": timestamp()}
    schemas.publish("model_dimension", document, dimension_file(places, base_url, model))


def dimension_file(places: Places, base_url: str, model: str) -> Path:
    """Return the file that keeps the dimension of a model at an address."""
    key = hashlib.sha256(f"{_public(base_url)}\0{model}".encode()).hexdigest()[:16]
    return places.var / "embedders" / f"{key}.json"


def _public(base_url: str) -> str:
    """Return an address without user name, password and query: they may be secrets."""
    address = urlsplit(base_url)
    return urlunsplit((address.scheme, address.netloc.rpartition("@")[2], address.path.rstrip("/"), "", ""))
