-- What a suite of signals knows: symptoms by case, clusters, findings by cluster. A later attempt replaces an earlier
-- one, never the other way round.

CREATE TABLE suite_symptoms (
    suite_id text NOT NULL,
    case_id text NOT NULL,
    dispatch_id bigint NOT NULL,
    component text NOT NULL,
    symptom text NOT NULL,
    PRIMARY KEY (suite_id, case_id)
);

CREATE TABLE suite_clusters (
    suite_id text NOT NULL,
    cluster_id text NOT NULL,
    representative text NOT NULL,
    members text[] NOT NULL,
    PRIMARY KEY (suite_id, cluster_id)
);

CREATE TABLE suite_findings (
    suite_id text NOT NULL,
    cluster_id text NOT NULL,
    dispatch_id bigint NOT NULL,
    component text NOT NULL,
    root_cause text NOT NULL,
    PRIMARY KEY (suite_id, cluster_id)
);
