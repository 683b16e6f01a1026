-- What a cell says, in nights of before words for no value and days of a zone.
CREATE MACRO as_flag(x) AS CASE lower(bare(x))
    WHEN 'true' THEN true WHEN '1' THEN true
    WHEN 'false' THEN false WHEN '0' THEN false
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
