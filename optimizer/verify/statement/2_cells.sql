-- What a cell says. A configured word for no value is none; any other breaks a rule.
CREATE MACRO given(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' AND bare(x) IN ({null_words}) THEN NULL
    ELSE x
END;
CREATE MACRO is_null_word(x) AS regexp_matches(x,
    '(?i)^[ \t]*(?:null|\(null\)|<null>|\[null\]|\\n|nil|none|nan|nat|na|<na>|n/a|#n/a|#null!|#value!|#ref!|#name\?|#div/0!|#num!|undefined|-|--|—|/|无|空|暂无{more_nulls})[ \t]*$'){unless_kept};
-- Most ids are of letters, digits and lines: of the rules of ids such a one can break
-- that on words for no value alone.
CREATE MACRO is_plain(x) AS
    regexp_full_match(x, '[0-9A-Za-z][0-9A-Za-z_-]*') AND strlen(x) <= 200;
CREATE MACRO is_plain_null(x) AS CASE WHEN strlen(x) > 9 THEN false
    ELSE list_contains(['null', 'nil', 'none', 'nan', 'nat', 'na', 'undefined'{more_plain_nulls}],
        lower(x)){unless_kept} END;
-- In a limit: a word for all, or for a total.
CREATE MACRO is_all_word(x) AS regexp_matches(x,
    '(?i)^(\*|all|any|every|total|subtotal|grand total|全部|全国|全网|所有|不限|任意|合计|总计|小计|汇总|共计)$')
    {unless_kept};
CREATE MACRO flag_of(word) AS CASE
    WHEN word IN ('true', 't', 'yes', 'y', '1', '是') THEN true
    WHEN word IN ('false', 'f', 'no', 'n', '0', '否') THEN false
END;
CREATE MACRO as_flag(x) AS CASE
    WHEN typeof(x) = 'BOOLEAN' THEN TRY_CAST(x AS BOOLEAN)
    ELSE flag_of(regexp_replace(lower(bare(x)), '^([+-]?[0-9]+)\.0+$', '\1'))
END;
CREATE MACRO as_number(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' AND contains(x::VARCHAR, '_') THEN NULL
    WHEN typeof(x) = 'VARCHAR' THEN TRY_CAST(bare(x) AS DOUBLE)
    ELSE TRY_CAST(x AS DOUBLE)
END;
CREATE MACRO as_count(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' OR typeof(x) LIKE 'DECIMAL%' THEN
        TRY_CAST(regexp_extract(bare(x), '^([+-]?[0-9]+)(\.0+)?$', 1) AS BIGINT)
    WHEN TRY_CAST(x AS DOUBLE) = trunc(TRY_CAST(x AS DOUBLE)) THEN TRY_CAST(x AS BIGINT)
END;
-- An amount as tables of people write it, such as ¥1,234.00; any other text is not a number.
CREATE MACRO number_of(digits) AS
    coalesce(TRY_CAST(digits AS DOUBLE), 'nan'::DOUBLE);
CREATE MACRO amount(x) AS CASE
    WHEN typeof(x) <> 'VARCHAR' THEN TRY_CAST(x AS DOUBLE)
    WHEN x IS NOT NULL THEN number_of(replace(regexp_extract(bare(x),
        '^(?:CNY|RMB|¥|￥)? ?([+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?) ?(?:元|分|%|％|CNY|RMB)?$', 1), ',', ''))
END;
CREATE MACRO amount_with_comma(x) AS CASE
    WHEN typeof(x) <> 'VARCHAR' THEN TRY_CAST(x AS DOUBLE)
    WHEN x IS NOT NULL THEN number_of(replace(replace(regexp_extract(bare(x),
        '^(?:CNY|RMB|¥|￥)? ?([+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+)(?:,[0-9]+)?) ?(?:元|分|%|％|CNY|RMB)?$', 1), '.', ''), ',', '.'))
END;
-- Days are those of the configured zone: a time with a zone, or an offset from UTC, is an
-- instant; one without stays where it is. Of text {dates} are read.
CREATE MACRO moment(p) AS try_strptime(
    p.year || '-' || p.month || '-' || p.day || ' ' || coalesce(nullif(p.hour, ''), '0')
    || ':' || coalesce(nullif(p.minute, ''), '0')
    || ':' || coalesce(nullif(p.second, ''), '0'), '%Y-%m-%d %H:%M:%S');
CREATE MACRO from_utc(p) AS to_minutes(
    (CASE p.sign WHEN '-' THEN -1 ELSE 1 END)
    * (60 * coalesce(TRY_CAST(p.hours AS INT), 0) + coalesce(TRY_CAST(p.minutes AS INT), 0)));
CREATE MACRO day_in(p) AS CASE
    WHEN p.utc <> '' OR p.sign <> '' THEN timezone(
        config_text('$.timezone'), timezone('UTC', moment(p) - from_utc(p)))::DATE
    ELSE moment(p)::DATE
END;
CREATE MACRO text_day(t) AS {text_day};
CREATE MACRO as_date(x) AS CASE
    WHEN typeof(x) IN ('TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ_NS')
        THEN timezone(config_text('$.timezone'), TRY_CAST(x AS TIMESTAMPTZ))::DATE
    WHEN typeof(x) = 'VARCHAR' THEN text_day(bare(x))
    ELSE TRY_CAST(x AS DATE)
END;
-- What spreadsheets make of ids.
CREATE MACRO is_rounded(x) AS regexp_matches(x,
    '^[+-]?[0-9](?:[.,][0-9]+)?[Ee]\+[0-9]{1,3}$|^[+-]?[0-9]\.[0-9]+[Ee][0-9]{1,3}$');
CREATE MACRO has_point(x) AS regexp_matches(x, '^[+-]?[0-9]+\.0+$');
CREATE MACRO begins_with_apostrophe(x) AS left(x, 1) IN ('''', '’');
