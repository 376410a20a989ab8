"""Documents become chunks, chunks become vectors, vectors answer questions."""
