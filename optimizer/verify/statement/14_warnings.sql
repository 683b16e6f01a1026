-- 14. What a person should look at: each warning by its code and its number.

CREATE TEMP TABLE warning_true AS
SELECT * FROM (VALUES
    (CASE WHEN getvariable('is_open') THEN 'UNCOVERED_LANES_OPEN' ELSE 'UNCOVERED_LANES_CLOSED' END,
        (SELECT count(*) FROM lane WHERE is_loose AND NOT is_beside)),
    ('UNKNOWN_CARRIERS', (SELECT count(*) FROM seen_carrier
        WHERE NOT list_contains(getvariable('roster'), carrier_id))),
    ('BUDGETS_BELOW_FEE', (SELECT count(*) FROM cap WHERE has_budget AND cap = 0)),
    ('IDLE_CAPACITY_ROWS', (SELECT count(*) FROM beside_row AS r
        WHERE (r.day IS NOT NULL OR r.has_attribute) AND NOT EXISTS (
            FROM taking AS t WHERE t.number = r.number AND t.day IS NOT DISTINCT FROM r.day))),
    ('LOADS_ABOVE_SLOTS', (SELECT count(*) FROM (
        SELECT number FROM charged GROUP BY number
        HAVING NOT bool_or(has_room) AND bool_or(would_fit)))),
    ('KEEP_PREVIOUS_UNUSED', (SELECT (getvariable('is_packing')
        AND config_text('$.solver.keep_previous') = 'true')::INT)),
    ('TABLE_SUBSTITUTED', (SELECT len(json_keys(said, '$.substitutes')) FROM record)),
    ('AFTER_LATER_NIGHTS', (SELECT (claim('$.is_late') = 'true')::INT))
) AS warnings(code, num) WHERE num > 0;

-- check: the warnings are those of this night, with their numbers. (Sentences alone, in
-- records of format 1, are counted. New rules since a model was learned, and times that look
-- like dates of another zone, are not stated.)
CREATE TEMP VIEW check_warnings AS
WITH given AS (
    SELECT unnest(from_json(json_extract(said, '$.warnings'), '["JSON"]')) AS warning FROM record
), theirs AS (
    SELECT code, CASE WHEN code = 'TABLE_SUBSTITUTED' THEN count(*) ELSE any_value(num) END AS num
    FROM (
        SELECT json_extract_string(warning, '$.code') AS code, coalesce(
            json_extract(warning, '$.values.num_lanes'), json_extract(warning, '$.values.num_carriers'),
            json_extract(warning, '$.values.num_merchants'), json_extract(warning, '$.values.num_rows'),
            json_extract(warning, '$.values.num_parcels'), '1'
        )::BIGINT AS num
        FROM given WHERE json_type(warning) = 'OBJECT'
    ) WHERE code NOT IN ('MODEL_BEFORE_RULES', 'MIDNIGHTS_IN_UTC', 'MIDNIGHTS_WITHOUT_ZONE')
    GROUP BY code
), is_words AS (SELECT bool_or(json_type(warning) <> 'OBJECT') AS words FROM given)
SELECT coalesce(t.code, w.code) AS item, t.num AS published, w.num AS restated
FROM theirs AS t FULL JOIN warning_true AS w USING (code), is_words
WHERE NOT coalesce(words, false) AND t.num IS DISTINCT FROM w.num
UNION ALL
SELECT 'warnings', (SELECT count(*) FROM given), (SELECT sum(
    CASE code WHEN 'TABLE_SUBSTITUTED' THEN num ELSE 1 END) FROM warning_true)
FROM is_words
WHERE words AND config_text('$.model') IS NULL
    AND (SELECT count(*) FROM given) <> (SELECT coalesce(sum(
        CASE code WHEN 'TABLE_SUBSTITUTED' THEN num ELSE 1 END), 0) FROM warning_true);
