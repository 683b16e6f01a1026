-- 13. The evidence: a hash for each decision as it is written, and one for 128 of them.
--
-- A decision's text is its columns with tabs between, money and shares in millionths,
-- nothing for what is missing. A leaf is the SHA-256 of a zero byte and the SHA-256 of
-- each of its rows; evidence.txt has the leaves, one a line.

CREATE MACRO millionths(number) AS round(number * 1000000, 0)::BIGINT;
CREATE TEMP VIEW hashed AS
SELECT file_row_number AS number, file_row_number // 128 AS leaf, sha256(concat(
        {decision_text}
    )) AS hash
FROM read_parquet(getvariable('run') || '/decisions.parquet', file_row_number = true);
-- Rows are read in the order of the file, so that few leaves, or none, need sorting.
CREATE TEMP TABLE as_read AS
SELECT leaf, numbers = list_sort(numbers) AS is_sorted,
    CASE WHEN is_sorted THEN sha256(unhex('00' || hashes)) END AS hash
FROM (
    SELECT leaf, list(number) AS numbers, string_agg(hash, '') AS hashes
    FROM hashed GROUP BY leaf
);
CREATE TEMP TABLE leaf AS
SELECT leaf, hash FROM as_read WHERE is_sorted
UNION ALL
SELECT leaf, sha256(unhex('00' || string_agg(hash, '' ORDER BY number)))
FROM hashed
WHERE leaf IN (SELECT leaf FROM as_read WHERE NOT is_sorted)
GROUP BY leaf;
CREATE TEMP TABLE leaf_said AS
SELECT step - 1 AS leaf, lines[step] AS hash
FROM (
    SELECT unnest(range(1, len(lines) + 1)) AS step, lines FROM (
        SELECT string_split(rtrim(content, chr(10)), chr(10)) AS lines
        FROM read_text(getvariable('run') || '/evidence.txt')
    )
) WHERE lines[step] <> '';

-- check: the evidence is of these decisions
CREATE TEMP TABLE check_evidence AS
SELECT 'rows from ' || (128 * coalesce(l.leaf, s.leaf) + 1) AS item,
    s.hash AS published, l.hash AS restated
FROM leaf AS l FULL JOIN leaf_said AS s ON s.leaf = l.leaf
WHERE s.hash IS DISTINCT FROM l.hash;
-- check: decisions and recommendations stand by order_id
CREATE TEMP TABLE check_order AS
SELECT order_id AS item, file_row_number AS published, 'earlier' AS restated
FROM (
    SELECT order_id, file_row_number, lag(order_id) OVER (ORDER BY file_row_number) AS before
    FROM read_parquet(getvariable('run') || '/recommendations.parquet', file_row_number = true)
    UNION ALL
    SELECT order_id, file_row_number, lag(order_id) OVER (ORDER BY file_row_number) AS before
    FROM read_parquet(getvariable('run') || '/decisions.parquet', file_row_number = true)
)
WHERE before >= order_id;
