-- 2. The input tables as they are read: which rows count, and which are refused.
--
-- A column of the contract that a file lacks is null. Text stands for a flag (true,
-- false, 1, 0), a number, a whole number or a date where a file holds text. A row that
-- breaks a rule of its columns is refused and counts nowhere.

CREATE MACRO bare(text) AS trim(text::VARCHAR, E' \t\r\n\v\f');
CREATE MACRO as_flag(x) AS CASE
    WHEN typeof(x) = 'BOOLEAN' THEN TRY_CAST(x AS BOOLEAN)
    WHEN lower(bare(x)) IN ('true', '1') THEN true
    WHEN lower(bare(x)) IN ('false', '0') THEN false
END;
CREATE MACRO as_number(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN TRY_CAST(bare(x) AS DOUBLE)
    ELSE TRY_CAST(x AS DOUBLE)
END;
CREATE MACRO as_count(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN
        TRY_CAST(regexp_extract(bare(x), '^([+-]?\d+)(\.0+)?$', 1) AS BIGINT)
    WHEN TRY_CAST(x AS DOUBLE) = trunc(TRY_CAST(x AS DOUBLE)) THEN TRY_CAST(x AS BIGINT)
END;
CREATE MACRO as_date(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN try_strptime(bare(x), '%Y-%m-%d')::DATE
    ELSE TRY_CAST(x AS DATE)
END;
-- Nothing outside of what one sees needs a closer look.
CREATE MACRO is_untrimmed(x) AS CASE
    WHEN regexp_matches(x, '[^!-~]')
    THEN regexp_matches(x, '^[\s\p{Z}]|[\s\p{Z}]$|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]')
    ELSE false
END;
