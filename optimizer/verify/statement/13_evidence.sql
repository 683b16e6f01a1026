-- 13. The evidence: a hash for all decisions of a merchant.
--
-- A merchant's rows stand together, by order_id. A row's record is its columns but
-- merchant_id: an amount or a share as millionths in 8 bytes, a flag in 1, a text's number
-- of bytes in 4; all bits are set for what is missing, and for an amount the sign alone.
-- 65,536 rows make a piece, whose hash is that of their records and of their texts after
-- them. A leaf is the SHA-256 of a zero byte, the bytes of the merchant's id (4), the id,
-- the number of its rows (8), and the hashes of its pieces; evidence.txt has the leaves,
-- one a line, by merchant. Numbers are big-endian; here all bytes are hexadecimal digits.

CREATE MACRO millionths(number) AS round(number * 1000000, 0)::BIGINT;
CREATE MACRO in_8_bytes(number) AS
    CASE WHEN number IS NULL THEN '8000000000000000'
    ELSE lpad(to_hex(number::BIGINT), 16, '0') END;
CREATE MACRO in_4_bytes(number) AS
    CASE WHEN number IS NULL THEN 'FFFFFFFF' ELSE lpad(to_hex(number::BIGINT), 8, '0') END;
CREATE MACRO in_1_byte(flag) AS
    CASE WHEN flag IS NULL THEN 'FF' WHEN flag THEN '01' ELSE '00' END;
CREATE TEMP TABLE merchant_rows AS
SELECT merchant_id, min(file_row_number) AS first_row, count(*) AS num_rows
FROM read_parquet(getvariable('run') || '/decisions.parquet', file_row_number = true)
GROUP BY merchant_id;
CREATE TEMP VIEW canonical AS
SELECT merchant_id, file_row_number AS number,
    (file_row_number - first_row) // 65536 AS piece,
    concat({decision_record}
    ) AS record,
    concat({decision_texts}
    ) AS texts
FROM read_parquet(getvariable('run') || '/decisions.parquet', file_row_number = true)
JOIN merchant_rows USING (merchant_id);
-- Rows are mostly read in the order of the file, so that few pieces need sorting.
CREATE TEMP TABLE as_read AS
SELECT merchant_id, piece, numbers = list_sort(numbers) AS is_sorted,
    CASE WHEN is_sorted THEN sha256(unhex(records || texts)) END AS hash
FROM (
    SELECT merchant_id, piece, list(number) AS numbers,
        string_agg(record, '') AS records, string_agg(texts, '') AS texts
    FROM canonical GROUP BY merchant_id, piece
);
CREATE TEMP TABLE piece AS
SELECT merchant_id, piece, hash FROM as_read WHERE is_sorted
UNION ALL
SELECT merchant_id, piece, sha256(unhex(
    string_agg(record, '' ORDER BY number) || string_agg(texts, '' ORDER BY number)))
FROM canonical SEMI JOIN (FROM as_read WHERE NOT is_sorted) USING (merchant_id, piece)
GROUP BY merchant_id, piece;
CREATE TEMP TABLE leaf AS
SELECT merchant_id, row_number() OVER (ORDER BY first_row) AS leaf,
    sha256(unhex('00' || in_4_bytes(strlen(merchant_id)) || hex(merchant_id)
        || in_8_bytes(num_rows) || hashes)) AS hash
FROM merchant_rows JOIN (
    SELECT merchant_id, string_agg(hash, '' ORDER BY piece) AS hashes
    FROM piece GROUP BY merchant_id
) USING (merchant_id);
CREATE TEMP TABLE leaf_said AS
SELECT step AS leaf, lines[step] AS hash
FROM (
    SELECT unnest(range(1, len(lines) + 1)) AS step, lines FROM (
        SELECT string_split(rtrim(content, chr(10)), chr(10)) AS lines
        FROM read_text(getvariable('run') || '/evidence.txt')
    )
) WHERE lines[step] <> '';

-- check: the evidence is of these decisions
CREATE TEMP TABLE check_evidence AS
SELECT coalesce('merchant ' || l.merchant_id, 'line ' || s.leaf) AS item,
    s.hash AS published, l.hash AS restated
FROM leaf AS l FULL JOIN leaf_said AS s ON s.leaf = l.leaf
WHERE s.hash IS DISTINCT FROM l.hash;
