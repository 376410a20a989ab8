"""What both peers of benchmarks/embedding.py begin with: the text, its pieces, and trailblazer's local embedder.

The text is cut as LangChain cuts Markdown, in pieces of the same length in the same tokens as ours. A peer is started
as `python PEER.py FILE PLACE`: FILE holds the documents. It says `ready` when it has loaded everything and stored some
text, and works when it gets a line.
"""

import json
import sys
import time
from pathlib import Path

import splintr
from langchain_text_splitters import MarkdownTextSplitter

from trailblazer.config import load_config
from trailblazer.pipeline.embedders import load_embedder

CAP, OVERLAP = 800, 60  # the defaults of chunk.max_tokens and chunk.overlap
embed = load_embedder(load_config({"embed.provider": "local"})).embed
_table = splintr.Tokenizer.from_pretrained("cl100k_base")
_splitter = MarkdownTextSplitter(
    chunk_size=CAP, chunk_overlap=OVERLAP, length_function=lambda text: len(_table.encode_flat(text)) >> 2
)


def split(documents):
    """Return LangChain's pieces of some documents, each with what it is a piece of."""
    texts = [document["text_md"] for document in documents]
    whence = [{"doc_id": document["id"], "title": document["title"]} for document in documents]
    return _splitter.create_documents(texts, whence)


def take_time(store):
    """Warm up, wait for the line, store all pieces, and print seconds and processor seconds."""
    store(split([{"text_md": "Something to begin with.", "id": "warm-up", "title": ""}]))
    with Path(sys.argv[1]).open(encoding="utf-8") as file:
        documents = [json.loads(line) for line in file]
    print("ready", flush=True)
    sys.stdin.readline()
    begin, processor = time.perf_counter(), time.process_time()
    pieces = split(documents)
    store(pieces)
    took = {"seconds": time.perf_counter() - begin, "processor": time.process_time() - processor}
    print(json.dumps({**took, "chunks": len(pieces)}))
