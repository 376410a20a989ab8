-- Statements on what a suite of signals knows.

-- name: keep_symptom
-- A late attempt changes nothing: only a later one replaces what is there.
INSERT INTO suite_symptoms AS known (suite_id, case_id, dispatch_id, component, symptom)
VALUES (%(suite_id)s, %(case_id)s, %(dispatch_id)s, %(component)s, %(symptom)s)
ON CONFLICT (suite_id, case_id) DO UPDATE
SET dispatch_id = excluded.dispatch_id, component = excluded.component, symptom = excluded.symptom
WHERE known.dispatch_id < excluded.dispatch_id

-- name: keep_cluster
-- A resume may have found more members.
INSERT INTO suite_clusters (suite_id, cluster_id, representative, members)
VALUES (%(suite_id)s, %(cluster_id)s, %(representative)s, %(members)s)
ON CONFLICT (suite_id, cluster_id) DO UPDATE
SET representative = excluded.representative, members = excluded.members

-- name: keep_finding
-- A late attempt changes nothing, as with symptoms.
INSERT INTO suite_findings AS known (suite_id, cluster_id, dispatch_id, component, root_cause)
VALUES (%(suite_id)s, %(cluster_id)s, %(dispatch_id)s, %(component)s, %(root_cause)s)
ON CONFLICT (suite_id, cluster_id) DO UPDATE
SET dispatch_id = excluded.dispatch_id, component = excluded.component, root_cause = excluded.root_cause
WHERE known.dispatch_id < excluded.dispatch_id

-- name: what_a_suite_knows
-- One statement, so that all of it is of one moment.
SELECT
    (SELECT count(*) FROM suite_symptoms WHERE suite_id = %(suite_id)s) AS triaged,
    (
        SELECT coalesce(json_agg(json_build_array(symptom, component, cases) ORDER BY cases DESC, symptom, component), '[]')
        FROM (
            SELECT symptom, component, count(*) AS cases
            FROM suite_symptoms WHERE suite_id = %(suite_id)s GROUP BY symptom, component
        ) AS counted
    ) AS symptoms,
    (
        SELECT coalesce(json_agg(json_build_array(cluster_id, representative, members) ORDER BY cluster_id), '[]')
        FROM suite_clusters WHERE suite_id = %(suite_id)s
    ) AS clusters,
    (
        SELECT coalesce(json_agg(json_build_array(cluster_id, component, root_cause) ORDER BY cluster_id), '[]')
        FROM suite_findings WHERE suite_id = %(suite_id)s
    ) AS findings
