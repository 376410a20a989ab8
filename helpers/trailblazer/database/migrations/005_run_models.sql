-- Which models a run has vectors of, and what those were made from: one row for each provider, model and dimension. The
-- columns of processed_runs go on to say what was done last, whatever the model.

CREATE TABLE run_models (
    run_id text COLLATE "C" NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    dimension integer NOT NULL,
    -- What embed/manifest.json said when these vectors were complete.
    manifest jsonb NOT NULL,
    embedded_chunks integer,
    attempt integer NOT NULL,
    completed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, provider, model, dimension)
);
