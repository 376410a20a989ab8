"""Chroma: LangChain's Markdown splitter and a collection on the disk. PLACE is the folder of a new one."""

import itertools
import sys

import chromadb
import manual
from chromadb.config import Settings


class LocalEmbeddings(chromadb.EmbeddingFunction):
    """Our embedder as Chroma asks for vectors."""

    def __init__(self):
        pass

    def __call__(self, texts):
        """Return a vector for each text."""
        return list(manual.embed(texts))


client = chromadb.PersistentClient(sys.argv[2], Settings(anonymized_telemetry=False))
collection = client.create_collection("manual", embedding_function=LocalEmbeddings())
numbers = itertools.count()


def store(pieces):
    """Add pieces in the largest batches that Chroma takes."""
    most = client.get_max_batch_size()
    for start in range(0, len(pieces), most):
        batch = pieces[start : start + most]
        collection.add(
            ids=[str(next(numbers)) for _ in batch],
            documents=[piece.page_content for piece in batch],
            metadatas=[piece.metadata for piece in batch],
        )


manual.take_time(store)
