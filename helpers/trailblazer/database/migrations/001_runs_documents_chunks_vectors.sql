-- What trailblazer keeps: the state of each run, its documents, chunks and vectors, and the record of dispatches.
-- No foreign keys: rows come by COPY in bulk, a run's documents may be stored after its vectors, and reset deletes by run.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE schema_migrations (
    number integer PRIMARY KEY,
    slug text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Keys begin with the run: the same page in two runs is two rows. They sort by code point on every server.
CREATE TABLE documents (
    run_id text COLLATE "C" NOT NULL,
    doc_id text NOT NULL,
    source_system text,
    title text,
    space_key text,
    url text,
    created_at timestamptz,
    updated_at timestamptz,
    content_sha256 text NOT NULL,
    meta jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (run_id, doc_id)
);

CREATE TABLE chunks (
    run_id text COLLATE "C" NOT NULL,
    chunk_id text COLLATE "C" NOT NULL,
    doc_id text NOT NULL,
    ord integer NOT NULL,
    text_md text NOT NULL,
    char_count integer NOT NULL,
    token_count integer NOT NULL,
    chunk_type text NOT NULL DEFAULT 'text',
    content_sha256 text NOT NULL,
    char_start integer,
    char_end integer,
    meta jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (run_id, chunk_id),
    CONSTRAINT chunks_type_known CHECK (chunk_type IN ('text', 'code', 'table', 'macro', 'digest')),
    CONSTRAINT chunks_counts_not_negative CHECK (ord >= 0 AND char_count >= 0 AND token_count >= 0),
    CONSTRAINT chunks_offsets_together CHECK ((char_start IS NULL) = (char_end IS NULL) AND char_start <= char_end)
);

-- Runs, providers, models and dimensions live side by side: none overwrites another's vectors.
CREATE TABLE chunk_embeddings (
    run_id text COLLATE "C" NOT NULL,
    chunk_id text COLLATE "C" NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    dimension integer NOT NULL,
    content_sha256 text NOT NULL,
    embedding vector NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, chunk_id, provider, model, dimension),
    CONSTRAINT chunk_embeddings_dimension_true CHECK (vector_dims(embedding) = dimension)
);

CREATE TABLE dispatches (
    dispatch_id text COLLATE "C" PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    status text NOT NULL DEFAULT 'running',
    folder text NOT NULL,
    seal_sha256 text,
    counts jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT dispatches_status_known CHECK (status IN ('running', 'finished', 'failed', 'interrupted')),
    CONSTRAINT dispatches_finished_when_not_running CHECK ((status = 'running') = (finished_at IS NULL)),
    CONSTRAINT dispatches_seal_is_a_digest CHECK (seal_sha256 ~ '^[0-9a-f]{64}$')
);
