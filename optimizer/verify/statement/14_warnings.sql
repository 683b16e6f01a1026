-- 14. What a person should look at: each warning by its code and its number.

-- Names in tables; and where rules look, those of the night, of tables and of the rosters
-- of other days.
CREATE TEMP TABLE table_name AS
SELECT DISTINCT * FROM (
    SELECT 'merchants' AS place, 'merchant_id' AS kind, merchant_id AS name FROM merchants
    UNION ALL SELECT 'capacity', 'carrier_id', carrier_id FROM capacity
    UNION ALL SELECT 'capacity', 'region_id', region_id FROM capacity
    UNION ALL SELECT 'capacity', 'outlet_id', outlet_id FROM capacity
) WHERE name IS NOT NULL;
CREATE TEMP TABLE known_name AS
SELECT kind, name FROM night_name UNION SELECT kind, name FROM table_name
UNION SELECT 'carrier_id', unnest(from_json(dated -> 'carriers', '["VARCHAR"]'))
FROM (SELECT unnest(from_json(getvariable('config') -> 'policy', '["JSON"]')) AS dated);

-- Names of a table that are of no order, where these are most of what could be found.
CREATE TEMP TABLE few_found AS
SELECT t.place, t.kind, count(*) FILTER (n.name IS NULL) AS num
FROM table_name AS t LEFT JOIN night_name AS n USING (kind, name)
GROUP BY t.place, t.kind
HAVING count(n.name) < exact(config_text('$.lookups.warn_below'))
    * least(count(*), (SELECT count(*) FROM night_name AS a WHERE a.kind = t.kind));

-- Rows of a resource, without a date or an attribute, of a place that no order and no row
-- of slots has.
CREATE TEMP TABLE unnamed_row AS
WITH there AS (
    SELECT kind, name FROM night_name
    UNION ALL SELECT 'carrier_id', carrier_id FROM laid WHERE resource IS NULL
    UNION ALL SELECT 'region_id', region_id FROM laid WHERE resource IS NULL
    UNION ALL SELECT 'outlet_id', outlet_id FROM laid WHERE resource IS NULL
)
SELECT * FROM beside_row
WHERE resource IS NOT NULL AND day IS NULL AND NOT has_attribute AND NOT (
    (carrier_id IS NULL OR EXISTS (FROM there WHERE kind = 'carrier_id' AND name = carrier_id))
    AND (region_id IS NULL OR EXISTS (FROM there WHERE kind = 'region_id' AND name = region_id))
    AND (outlet_id IS NULL OR EXISTS (FROM there WHERE kind = 'outlet_id' AND name = outlet_id)));

-- Rows of a resource whose units, a micro-CNY each, are above a ten-thousandth of what the
-- plan avoids, where the gap is too.
CREATE TEMP TABLE fine_row AS
SELECT b.name FROM bound_row AS b JOIN limit_said AS s USING (id)
WHERE b.resource IS NOT NULL AND s.can_bind
    AND b.high::HUGEINT // b.scale * 10000 > abs(getvariable('primal_bound'))
    AND (getvariable('dual_bound') - getvariable('primal_bound'))::HUGEINT * 10000
        > abs(getvariable('primal_bound'));

-- What rules of the configuration name, each rule by itself.
CREATE TEMP TABLE rule_names AS
SELECT 'carrier_id' AS kind, [unnest(carriers)] AS names FROM peak
UNION ALL SELECT 'carrier_id', [kept ->> 'carrier_id'] FROM promised
UNION ALL SELECT 'region_id', [kept ->> 'region_id'] FROM promised
WHERE kept ->> 'region_id' IS NOT NULL
UNION ALL SELECT kind, coalesce(
    from_json(rule -> 'in', '["VARCHAR"]'), from_json(rule -> 'not_in', '["VARCHAR"]'),
    [coalesce(rule ->> 'is', rule ->> 'is_not')])
FROM (
    SELECT rule ->> 'column' AS kind, rule FROM (
        SELECT unnest(from_json(getvariable('policy') -> 'eligibility', '["JSON"]')) AS rule)
) WHERE kind IN ('merchant_id', 'carrier_id', 'region_id', 'outlet_id')
    AND coalesce(json_type(rule, '$.is'), 'NULL') <> 'BOOLEAN'
    AND coalesce(rule ->> 'is', rule ->> 'is_not', rule ->> 'in', rule ->> 'not_in') IS NOT NULL;

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
    ('UNKNOWN_IN_RESOURCE_ROWS', (SELECT count(*) FROM unnamed_row)),
    ('UNITS_TOO_FINE', (SELECT count(*) FROM fine_row)),
    ('FEW_NAMES_FOUND', (SELECT sum(num) FROM few_found)),
    ('RULES_FIND_NOTHING', (SELECT count(*) FROM rule_names AS r WHERE NOT EXISTS (
        FROM known_name AS k WHERE k.kind = r.kind AND list_contains(r.names, k.name))
        AND json_exists(getvariable('config'), '$.lookups'))),
    ('LOADS_ABOVE_SLOTS', (SELECT count(*) FROM (
        SELECT number FROM charged GROUP BY number
        HAVING NOT bool_or(has_room) AND bool_or(would_fit)))),
    ('KEEP_PREVIOUS_UNUSED', (SELECT (getvariable('is_packing')
        AND config_text('$.solver.keep_previous') = 'true')::INT)),
    ('TABLE_SUBSTITUTED', (SELECT len(json_keys(said, '$.substitutes')) FROM record)),
    ('AFTER_LATER_NIGHTS', (SELECT (claim('$.is_late') = 'true')::INT))
) AS warnings(code, num) WHERE num > 0;

-- check: what outboxes take of the recommendations (records of format 1 do not say)
CREATE TEMP TABLE check_outboxes AS
WITH truth AS (
    SELECT o.number, o.platform, count(r.order_id) AS num_recommended,
        count(r.order_id) FILTER (list_contains(o.names, lower(r.carrier_id)) AND NOT (o.is_csv
            AND (regexp_matches(r.order_id, '^[=+\-@\t\r\n＝＋－＠]')
                OR regexp_matches(r.merchant_id, '^[=+\-@\t\r\n＝＋－＠]')))) AS num_taken
    FROM outbox AS o LEFT JOIN table_of('recommendations.parquet') AS r ON true
    GROUP BY o.number, o.platform
), theirs AS (
    SELECT number, box FROM (
        SELECT unnest(from_json(json_extract(said, '$.outboxes'), '["JSON"]')) AS box,
            generate_subscripts(from_json(json_extract(said, '$.outboxes'), '["JSON"]'), 1) AS number
        FROM record)
)
SELECT 'outbox ' || t.number AS item,
    concat_ws(' ', g.box ->> 'platform', g.box ->> 'num_taken', g.box ->> 'num_recommended') AS published,
    concat_ws(' ', t.platform, t.num_taken, t.num_recommended) AS restated
FROM truth AS t FULL JOIN theirs AS g USING (number)
WHERE published IS DISTINCT FROM restated
    AND claim('$.schema_version')::INT > 1;

-- check: the warnings are those of this night, with their numbers. (Sentences alone, in
-- records of format 1, are counted. What a model rests on, new rules since it was learned, and times that look
-- like dates of another zone, are not stated.)
CREATE TEMP TABLE check_warnings AS
WITH given AS (
    SELECT unnest(from_json(json_extract(said, '$.warnings'), '["JSON"]')) AS warning FROM record
), theirs AS (
    SELECT code, CASE code WHEN 'TABLE_SUBSTITUTED' THEN count(*)
        WHEN 'FEW_NAMES_FOUND' THEN sum(num) ELSE any_value(num) END AS num
    FROM (
        SELECT json_extract_string(warning, '$.code') AS code, coalesce(
            json_extract(warning, '$.values.num_lanes'), json_extract(warning, '$.values.num_carriers'),
            json_extract(warning, '$.values.num_merchants'), json_extract(warning, '$.values.num_rows'),
            json_extract(warning, '$.values.num_parcels'), json_extract(warning, '$.values.num_names'),
            json_extract(warning, '$.values.num_rules'), '1'
        )::BIGINT AS num
        FROM given WHERE json_type(warning) = 'OBJECT'
    ) WHERE code NOT IN ('MODEL_BEFORE_RULES', 'MODEL_IS_PRIOR', 'RISK_IS_STATED', 'BENEFIT_OF_DOUBT',
        'TOO_LITTLE_KNOWN', 'NOBODY_CHOSEN',
        'NONE_HAS_PLACE', 'NONE_AVOIDS_HARM', 'NONE_WORTH_FEE', 'FIRST_CHOSEN_AT', 'BREAK_EVEN', 'STATUS_UNKNOWN', 'FEW_PARCELS_FOUND', 'IDS_ROUNDED', 'IDS_LIKE_DATES', 'IDS_AS_SHOWN', 'IDS_ALIKE', 'MEMORY_LIMIT_LOW',
        'ALLOWED_IN_NO_TABLE', 'CSV_SEPARATOR', 'CSV_HEADER_SPELLING',
        'CSV_UNNAMED_COLUMNS', 'CSV_EMPTY_ROWS', 'CSV_LINE_BREAKS', 'DELETED_ROWS_COUNT', 'EMPTY_PARTS',
        'MIDNIGHTS_IN_UTC', 'MIDNIGHTS_WITHOUT_ZONE')
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

-- check: what warnings name is of what they are about: as many as they list, each once
CREATE TEMP TABLE named_true AS
SELECT 'UNCOVERED_LANES' AS about, concat_ws(', ', 'carrier ' || carrier_id,
    'region ' || region_id, 'outlet ' || outlet_id, 'day ' || day) AS name
FROM lane WHERE is_loose AND NOT is_beside
UNION ALL
SELECT 'UNKNOWN_CARRIERS', carrier_id FROM seen_carrier
WHERE NOT list_contains(getvariable('roster'), carrier_id)
UNION ALL
SELECT 'BUDGETS_BELOW_FEE', merchant_id FROM cap WHERE has_budget AND cap = 0
UNION ALL
SELECT 'IDLE_CAPACITY_ROWS', row_name(carrier_id, region_id, outlet_id, day, attributes, resource)
FROM beside_row WHERE day IS NOT NULL OR has_attribute
UNION ALL
SELECT 'UNKNOWN_IN_RESOURCE_ROWS', row_name(carrier_id, region_id, outlet_id, day, attributes, resource)
FROM unnamed_row
UNION ALL
SELECT 'UNITS_TOO_FINE', '(' || name || ')' FROM fine_row;
CREATE TEMP TABLE check_names_in_warnings AS
WITH given AS (
    SELECT regexp_replace(warning ->> 'code', '_(OPEN|CLOSED)$', '') AS about, warning -> 'values' AS said
    FROM (
        SELECT unnest(from_json(json_extract(said, '$.warnings'), '["JSON"]')) AS warning FROM record
    ) WHERE json_type(warning) = 'OBJECT'
), listed AS (
    SELECT about, unnest(from_json(coalesce(
        said -> 'lanes', said -> 'carriers', said -> 'merchants', said -> 'rows'
    ), '["JSON"]')) AS entry FROM given
), named AS (
    SELECT about, CASE
        WHEN json_type(entry) <> 'ARRAY' THEN entry ->> '$'
        WHEN json_array_length(entry) = 0 THEN 'all parcels'
        ELSE list_aggregate(list_transform(
            from_json(entry, '[["VARCHAR"]]'), lambda pair: pair[1] || ' ' || pair[2]
        ), 'string_agg', ', ')
    END AS name FROM listed
), counted_names AS (
    SELECT t.about, CASE WHEN t.about = 'UNKNOWN_CARRIERS' THEN count(*) ELSE least(5, count(*)) END AS most,
        (SELECT count(DISTINCT name) FROM named AS n WHERE n.about = t.about) AS num,
        (SELECT count(*) FROM named AS n WHERE n.about = t.about) AS num_listed
    FROM named_true AS t JOIN given AS g USING (about) GROUP BY t.about
)
SELECT about AS item, name AS published, NULL AS restated
FROM named ANTI JOIN named_true USING (about, name)
UNION ALL
SELECT about, num_listed || ' names', most || ' names' FROM counted_names
WHERE about <> 'IDLE_CAPACITY_ROWS' AND (num <> most OR num_listed <> most)
UNION ALL
SELECT about, said ->> 'fee_cny', written(merchant_fee()) FROM given
WHERE about = 'BUDGETS_BELOW_FEE' AND ((said ->> 'fee_cny')::DECIMAL(38, 15) * 1000000000000000)::HUGEINT <> merchant_fee()
UNION ALL
SELECT about, said ->> 'first_row', (
    SELECT min(number) + 1 FROM (
        SELECT number FROM charged GROUP BY number
        HAVING NOT bool_or(has_room) AND bool_or(would_fit)))::VARCHAR AS first
FROM given WHERE about = 'LOADS_ABOVE_SLOTS' AND said ->> 'first_row' IS DISTINCT FROM first
UNION ALL
SELECT about, said::VARCHAR, 'the table that stood in' FROM given
WHERE about = 'TABLE_SUBSTITUTED'
    AND said ->> 'path' IS DISTINCT FROM claim('$.substitutes.' || (said ->> 'table'));
