-- The words of each chunk, for searching by words. They are found after the load, as the index of vectors is made after
-- it: reading the words of a text takes as long as storing its vector. So a new chunk has none, and costs no more.

ALTER TABLE chunks ADD COLUMN words tsvector;
CREATE INDEX chunks_words ON chunks USING gin (words) WHERE words IS NOT NULL;
-- Which chunks still wait for their words: empty but for a moment, so that looking is cheap in a table of any size.
CREATE INDEX chunks_without_words ON chunks (run_id, chunk_id) WHERE words IS NULL;
