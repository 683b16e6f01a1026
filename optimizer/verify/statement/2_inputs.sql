-- 2. The input tables as they are read: which rows count, and which are refused.
--
-- A column of the contract that a file lacks is null. Text stands for a flag, a number, a
-- whole number or a date where a file holds text. A row that breaks a rule of its columns
-- is refused and counts nowhere.

CREATE MACRO bare(text) AS trim(text::VARCHAR, E' \t\r\n\f' || chr(11));
-- Nothing outside of what one sees needs a closer look.
CREATE MACRO is_untrimmed(x) AS CASE
    WHEN regexp_matches(x, '[^!-~]')
    THEN regexp_matches(x, '^[\s\p{Z}]|[\s\p{Z}]$|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]')
    ELSE false
END;
