"""LangChain: its Markdown splitter and PGVector. PLACE is the address of a database, as SQLAlchemy writes it."""

import logging
import sys

import manual
from langchain_core.embeddings import Embeddings
from langchain_postgres import PGVector


class LocalEmbeddings(Embeddings):
    """Our embedder as LangChain asks for vectors."""

    def embed_documents(self, texts):
        """Return a vector for each text, as lists."""
        return manual.embed(texts).tolist()

    def embed_query(self, text):
        """Return the vector of one text, as a list."""
        return self.embed_documents([text])[0]


logging.disable(logging.WARNING)  # it warns that the collection which it deletes is not there
manual.take_time(
    PGVector(LocalEmbeddings(), connection=sys.argv[2], use_jsonb=True, pre_delete_collection=True).add_documents
)
