#!/usr/bin/env python3
"""What drivers and tools ask about the catalog, in the shape that they ask it: postgres_catalog.py PORT

Each query is one that the tool is known to send, or a shortened one of its kind. Those with `rows` must find something.
Prints a line a failure, and exits with 1 if there is any.
"""
import os
import sys

import psycopg

PORT = int(sys.argv[1])
E = os.environ.get
connection = psycopg.connect(
    host="127.0.0.1", port=PORT, user=E("COTERIE_USER", "u"), password=E("COTERIE_PASSWORD", "p"), dbname="coterie",
    sslmode=E("COTERIE_SSLMODE", "prefer"), autocommit=True)

QUERIES = []


def ask(tool, sql, rows=False, parameters=None):
    QUERIES.append((tool, sql, rows, parameters))


# -- psql 15: \d and its relatives, as `psql -E` shows them

ask("psql \\l", """SELECT d.datname as "Name", pg_catalog.pg_get_userbyid(d.datdba) as "Owner",
 pg_catalog.pg_encoding_to_char(d.encoding) as "Encoding", d.datcollate as "Collate", d.datctype as "Ctype",
 d.daticulocale as "ICU Locale", CASE d.datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' END AS "Locale Provider",
 pg_catalog.array_to_string(d.datacl, E'\\n') AS "Access privileges"
 FROM pg_catalog.pg_database d ORDER BY 1""", True)
ask("psql \\dn", """SELECT n.nspname AS "Name", pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner"
 FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1""", True)
ask("psql \\d", """SELECT n.nspname as "Schema", c.relname as "Name",
 CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index'
 WHEN 'S' THEN 'sequence' WHEN 't' THEN 'TOAST table' WHEN 'f' THEN 'foreign table' WHEN 'p' THEN 'partitioned table'
 WHEN 'I' THEN 'partitioned index' END as "Type", pg_catalog.pg_get_userbyid(c.relowner) as "Owner"
 FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
 WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast'
 AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2""", True)
ask("psql \\d t", """SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
 LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname OPERATOR(pg_catalog.~) '^(profiles)$' COLLATE pg_catalog.default
 AND n.nspname OPERATOR(pg_catalog.~) '^(public)$' COLLATE pg_catalog.default ORDER BY 2, 3""", True)
ask("psql \\d t", """SELECT c.relchecks, c.relkind, c.relhasindex, c.relhasrules, c.relhastriggers, c.relrowsecurity,
 c.relforcerowsecurity, false AS relhasoids, c.relispartition, '', c.reltablespace,
 CASE WHEN c.reloftype = 0 THEN '' ELSE c.reloftype::pg_catalog.regtype::pg_catalog.text END, c.relpersistence,
 c.relreplident, am.amname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class tc ON (c.reltoastrelid = tc.oid)
 LEFT JOIN pg_catalog.pg_am am ON (c.relam = am.oid) WHERE c.oid = '1259'""", True)
ask("psql \\d t", """SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
 (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d
  WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef),
 a.attnotnull, (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
  WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation,
 a.attidentity, a.attgenerated FROM pg_catalog.pg_attribute a
 WHERE a.attrelid = 'public.profiles'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""", True)
ask("psql \\df", """SELECT n.nspname as "Schema", p.proname as "Name", pg_catalog.pg_get_function_result(p.oid) as "Result",
 pg_catalog.pg_get_function_arguments(p.oid) as "Argument", CASE p.prokind WHEN 'a' THEN 'agg' WHEN 'w' THEN 'window'
 WHEN 'p' THEN 'proc' ELSE 'func' END as "Type" FROM pg_catalog.pg_proc p
 LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE pg_catalog.pg_function_is_visible(p.oid)
 AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' ORDER BY 1, 2, 4""")

# -- what is unnested or recursive, as several tools ask

ask("keys in order", """SELECT a.attname, k.ord FROM pg_catalog.pg_index i
 CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, ord)
 JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indisprimary ORDER BY i.indrelid, k.ord""", True)
ask("columns of constraints", """SELECT c.conname, u.attnum FROM pg_constraint c, LATERAL unnest(c.conkey) AS u (attnum)
 ORDER BY c.conname, u.attnum""", True)
ask("columns of constraints", """SELECT c.conname, (SELECT string_agg(a.attname, ', ') FROM pg_attribute a
 WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)) FROM pg_constraint c ORDER BY 1""", True)
ask("columns of indexes", """SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
 WHERE i.indisprimary AND array_lower(i.indkey, 1) = 0""", True)
ask("domains", """SELECT t.oid, (WITH RECURSIVE base (oid, typbasetype) AS (
 SELECT x.oid, x.typbasetype FROM pg_type x WHERE x.oid = t.oid
 UNION ALL SELECT y.oid, y.typbasetype FROM pg_type y JOIN base ON y.oid = base.typbasetype)
 SELECT max(oid) FROM base) AS base FROM pg_type t WHERE t.typname = 'int4'""", True)
ask("psql \\dd", """SELECT DISTINCT tt.nspname AS "Schema", tt.name AS "Name", tt.object AS "Object", d.description AS "Description"
 FROM (SELECT pgc.oid as oid, pgc.tableoid AS tableoid, n.nspname as nspname, CAST(pgc.conname AS pg_catalog.text) as name,
 CAST('table constraint' AS pg_catalog.text) as object FROM pg_catalog.pg_constraint pgc
 JOIN pg_catalog.pg_class c ON c.oid = pgc.conrelid LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 UNION ALL SELECT o.oid as oid, o.tableoid as tableoid, n.nspname as nspname, CAST(o.opcname AS pg_catalog.text) as name,
 CAST('operator class' AS pg_catalog.text) as object FROM pg_catalog.pg_opclass o
 JOIN pg_catalog.pg_am am ON o.opcmethod = am.oid JOIN pg_catalog.pg_namespace n ON n.oid = o.opcnamespace) AS tt
 JOIN pg_catalog.pg_description d ON (tt.oid = d.objoid AND tt.tableoid = d.classoid AND d.objsubid = 0) ORDER BY 1, 2, 3""")

# -- SQLAlchemy (psycopg2, psycopg and asyncpg dialects)

ask("SQLAlchemy", "select pg_catalog.version()", True)
ask("SQLAlchemy", "select current_schema()", True)
ask("SQLAlchemy", "show standard_conforming_strings", True)
ask("SQLAlchemy", "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname NOT LIKE 'pg\\_%' ORDER BY nspname", True)
ask("SQLAlchemy 1.4", """SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
 (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
  WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef) AS DEFAULT, a.attnotnull, a.attrelid as table_oid,
 pgd.description as comment, a.attgenerated as generated,
 (SELECT json_build_object('always', a.attidentity = 'a', 'start', s.seqstart, 'increment', s.seqincrement,
   'minvalue', s.seqmin, 'maxvalue', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle)
  FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c on s.seqrelid = c."oid"
  WHERE c.relkind = 'S' AND a.attidentity != '' AND s.seqrelid = pg_catalog.pg_get_serial_sequence(
    a.attrelid::regclass::text, a.attname)::regclass::oid) as identity_options
 FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_description pgd ON (pgd.objoid = a.attrelid AND pgd.objsubid = a.attnum)
 WHERE a.attrelid = 'public.profiles'::regclass::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""", True)
ask("SQLAlchemy 1.4", """SELECT c.oid FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE (pg_catalog.pg_table_is_visible(c.oid)) AND c.relname = %s AND c.relkind in ('r', 'v', 'm', 'f', 'p')""", True, ("profiles",))
ask("SQLAlchemy 1.4", """SELECT t.typname as "name", pg_catalog.format_type(t.typbasetype, t.typtypmod) as "attype",
 not t.typnotnull as "nullable", t.typdefault as "default", pg_catalog.pg_type_is_visible(t.oid) as "visible",
 n.nspname as "schema" FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typtype = 'd'""")
ask("SQLAlchemy 1.4", """SELECT n.nspname as "schema", t.typname as "name", e.enumlabel as "label" FROM pg_catalog.pg_type t
 LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_catalog.pg_enum e ON t.oid = e.enumtypid
 WHERE t.typtype = 'e' ORDER BY "schema", "name", e.oid""")
ask("SQLAlchemy 1.4", """SELECT a.attname FROM pg_attribute a JOIN (
 SELECT unnest(ix.indkey) attnum, generate_subscripts(ix.indkey, 1) ord FROM pg_index ix
 WHERE ix.indrelid = 'public.profiles'::regclass::oid AND ix.indisprimary) k ON a.attnum=k.attnum
 WHERE a.attrelid = 'public.profiles'::regclass::oid ORDER BY k.ord""", True)
ask("SQLAlchemy 1.4", """SELECT r.conname, pg_catalog.pg_get_constraintdef(r.oid, true) as condef, n.nspname as conschema
 FROM pg_catalog.pg_constraint r, pg_namespace n, pg_class c
 WHERE r.conrelid = 'public.events'::regclass::oid AND r.contype = 'f' AND c.oid = confrelid AND n.oid = c.relnamespace
 ORDER BY 1""")

# -- pgjdbc 42: DatabaseMetaData

ask("pgjdbc getTables", """SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME,
 CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema'
 WHEN true THEN CASE WHEN n.nspname = 'pg_catalog' OR n.nspname = 'information_schema' THEN CASE c.relkind
  WHEN 'r' THEN 'SYSTEM TABLE' WHEN 'v' THEN 'SYSTEM VIEW' WHEN 'i' THEN 'SYSTEM INDEX' ELSE NULL END
  WHEN n.nspname = 'pg_toast' THEN CASE c.relkind WHEN 'r' THEN 'SYSTEM TOAST TABLE' WHEN 'i' THEN 'SYSTEM TOAST INDEX' ELSE NULL END
  ELSE CASE c.relkind WHEN 'r' THEN 'TEMPORARY TABLE' WHEN 'p' THEN 'TEMPORARY TABLE' WHEN 'i' THEN 'TEMPORARY INDEX'
  WHEN 'S' THEN 'TEMPORARY SEQUENCE' WHEN 'v' THEN 'TEMPORARY VIEW' ELSE NULL END END
 WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'i' THEN 'INDEX'
  WHEN 'P' then 'PARTITIONED INDEX' WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'c' THEN 'TYPE'
  WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END
 ELSE NULL END AS TABLE_TYPE, d.description AS REMARKS, '' as TYPE_CAT, '' as TYPE_SCHEM, '' as TYPE_NAME,
 '' AS SELF_REFERENCING_COL_NAME, '' AS REF_GENERATION
 FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c
 LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 and d.classoid = 'pg_class'::regclass)
 WHERE c.relnamespace = n.oid AND n.nspname LIKE 'public' AND c.relname LIKE '%'
 AND (false OR ( c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' )
  OR ( c.relkind = 'v' AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' ) )
 ORDER BY TABLE_TYPE,TABLE_SCHEM,TABLE_NAME""", True)
ask("pgjdbc getColumns", """SELECT * FROM (SELECT n.nspname,c.relname,a.attname,a.atttypid,
 a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull,a.atttypmod,a.attlen,t.typtypmod,
 row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') as attidentity,
 nullif(a.attgenerated, '') as attgenerated, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc, dsc.description,
 t.typbasetype,t.typtype
 FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid)
 JOIN pg_catalog.pg_attribute a ON (a.attrelid=c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)
 LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid=def.adrelid AND a.attnum = def.adnum)
 LEFT JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
 LEFT JOIN pg_catalog.pg_class dc ON (dc.oid=dsc.classoid AND dc.relname='pg_class')
 LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace=dn.oid AND dn.nspname='pg_catalog')
 WHERE c.relkind in ('r','p','v','f','m') and a.attnum > 0 AND NOT a.attisdropped AND n.nspname LIKE 'public'
 AND c.relname LIKE 'profiles') c WHERE true AND attname LIKE '%' ORDER BY nspname,c.relname,attnum""", True)
ask("pgjdbc getPrimaryKeys", """SELECT result.TABLE_CAT, result.TABLE_SCHEM, result.TABLE_NAME, result.COLUMN_NAME,
 result.KEY_SEQ, result.PK_NAME FROM (SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME,
 a.attname AS COLUMN_NAME, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME,
 information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM
 FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
 JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON ( a.attrelid = i.indrelid)
 JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid)
 WHERE true AND n.nspname = 'public' AND ct.relname = 'profiles' AND i.indisprimary ) result
 where result.A_ATTNUM = (result.KEYS).x ORDER BY result.table_name, result.pk_name, result.key_seq""", True)
ask("pgjdbc getImportedKeys", """SELECT NULL::text AS PKTABLE_CAT, pkn.nspname AS PKTABLE_SCHEM, pkc.relname AS PKTABLE_NAME,
 pka.attname AS PKCOLUMN_NAME, NULL::text AS FKTABLE_CAT, fkn.nspname AS FKTABLE_SCHEM, fkc.relname AS FKTABLE_NAME,
 fka.attname AS FKCOLUMN_NAME, pos.n AS KEY_SEQ, CASE con.confupdtype WHEN 'c' THEN 0 WHEN 'n' THEN 2 WHEN 'd' THEN 4
 WHEN 'r' THEN 1 WHEN 'p' THEN 1 WHEN 'a' THEN 3 ELSE NULL END AS UPDATE_RULE, con.conname AS FK_NAME, pkic.relname AS PK_NAME
 FROM pg_catalog.pg_namespace pkn, pg_catalog.pg_class pkc, pg_catalog.pg_attribute pka, pg_catalog.pg_namespace fkn,
 pg_catalog.pg_class fkc, pg_catalog.pg_attribute fka, pg_catalog.pg_constraint con,
 pg_catalog.generate_series(1, 32) pos(n), pg_catalog.pg_class pkic
 WHERE pkn.oid = pkc.relnamespace AND pkc.oid = pka.attrelid AND pka.attnum = con.confkey[pos.n] AND con.confrelid = pkc.oid
 AND fkn.oid = fkc.relnamespace AND fkc.oid = fka.attrelid AND fka.attnum = con.conkey[pos.n] AND con.conrelid = fkc.oid
 AND con.contype = 'f' AND (pkic.relkind = 'i' OR pkic.relkind = 'I') AND pkic.oid = con.conindid
 AND fkn.nspname = 'public' AND fkc.relname = 'events' ORDER BY pkn.nspname,pkc.relname, con.conname,pos.n""")
ask("pgjdbc getIndexInfo", """SELECT tmp.TABLE_CAT, tmp.TABLE_SCHEM, tmp.TABLE_NAME, tmp.NON_UNIQUE, tmp.INDEX_NAME, tmp.TYPE,
 tmp.ORDINAL_POSITION, trim(both '"' from pg_catalog.pg_get_indexdef(tmp.CI_OID, tmp.ORDINAL_POSITION, false)) AS COLUMN_NAME
 FROM (SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME, NOT i.indisunique AS NON_UNIQUE,
 ci.relname AS INDEX_NAME, CASE i.indisclustered WHEN true THEN 1 ELSE CASE am.amname WHEN 'hash' THEN 2 ELSE 3 END END AS TYPE,
 (information_schema._pg_expandarray(i.indkey)).n AS ORDINAL_POSITION, ci.oid AS CI_OID
 FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid)
 JOIN pg_catalog.pg_index i ON (ct.oid = i.indrelid) JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid)
 JOIN pg_catalog.pg_am am ON (ci.relam = am.oid) WHERE true AND n.nspname = 'public' AND ct.relname = 'profiles') AS tmp
 ORDER BY NON_UNIQUE, TYPE, INDEX_NAME, ORDINAL_POSITION""", True)
ask("pgjdbc getSchemas", """SELECT nspname AS TABLE_SCHEM, NULL AS TABLE_CATALOG FROM pg_catalog.pg_namespace
 WHERE nspname <> 'pg_toast' AND (nspname !~ '^pg_temp_' OR nspname = (pg_catalog.current_schemas(true))[1])
 AND (nspname !~ '^pg_toast_temp_' OR nspname = replace((pg_catalog.current_schemas(true))[1], 'pg_temp_', 'pg_toast_temp_'))
 ORDER BY TABLE_SCHEM""", True)
ask("pgjdbc types", """SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t
 JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = %s""", True, (25,))
ask("pgjdbc types", """SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid
 FROM pg_catalog.pg_type LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r from pg_namespace as ns
 join ( select s.r, (current_schemas(false))[s.r] as nspname from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) as r
 using ( nspname ) ) as sp ON sp.nspoid = typnamespace WHERE pg_type.oid = %s ORDER BY sp.r, pg_type.oid DESC""", True, (1007,))
ask("pgjdbc getTypeInfo", """SELECT t.typname,t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON (t.typnamespace = n.oid)
 WHERE n.nspname != 'pg_toast' AND (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid))""", True)
ask("pgjdbc", "SELECT e.typdelim FROM pg_catalog.pg_type t, pg_catalog.pg_type e WHERE t.oid = 1007 and t.typelem = e.oid", True)
ask("pgjdbc", "SELECT setting FROM pg_catalog.pg_settings WHERE name='max_index_keys'", True)

# -- psqlODBC

ask("psqlODBC", """select c.relname, n.nspname, c.relkind from pg_catalog.pg_class c, pg_catalog.pg_namespace n
 where c.relkind in ('r', 'v', 'm', 'f', 'p') and n.nspname like 'public' and n.oid = c.relnamespace
 order by nspname, relname""", True)
ask("psqlODBC", """select n.nspname, c.relname, a.attname, a.atttypid, t.typname, a.attnum, a.attlen, a.atttypmod, a.attnotnull,
 c.relhasrules, c.relkind, c.oid, pg_get_expr(d.adbin, d.adrelid), case t.typtype when 'd' then t.typbasetype else 0 end,
 t.typtypmod, 0, attidentity, c.relhassubclass from (((pg_catalog.pg_class c
 inner join pg_catalog.pg_namespace n on n.oid = c.relnamespace and c.relname = 'profiles' and n.nspname = 'public')
 inner join pg_catalog.pg_attribute a on (not a.attisdropped) and a.attnum > 0 and a.attrelid = c.oid)
 inner join pg_catalog.pg_type t on t.oid = a.atttypid)
 left outer join pg_attrdef d on a.atthasdef and d.adrelid = a.attrelid and d.adnum = a.attnum
 order by n.nspname, c.relname, attnum""", True)
ask("psqlODBC", """select ta.attname, ia.attnum, ic.relname, n.nspname, tc.relname from pg_catalog.pg_attribute ta,
 pg_catalog.pg_attribute ia, pg_catalog.pg_class tc, pg_catalog.pg_index i, pg_catalog.pg_namespace n, pg_catalog.pg_class ic
 where tc.relname = 'profiles' AND n.nspname = 'public' AND tc.oid = i.indrelid AND n.oid = tc.relnamespace
 AND i.indisprimary = 't' AND ia.attrelid = i.indexrelid AND ta.attrelid = i.indrelid AND ta.attnum = i.indkey[ia.attnum-1]
 AND (NOT ta.attisdropped) AND (NOT ia.attisdropped) AND ic.oid = i.indexrelid order by ia.attnum""", True)

# -- Npgsql (Power BI)

ask("Npgsql", """SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
 FROM ( SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind,
  elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind,
  CASE WHEN elemproc.proname='array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype
  FROM ( SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid,
    CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
    CASE WHEN proc.proname='array_recv' THEN typ.typelem WHEN typ.typtype='r' THEN rngsubtype
     WHEN typ.typtype='m' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid)
     WHEN typ.typtype='d' THEN typ.typbasetype END AS elemtypoid
    FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
    LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid) ) AS typ
  LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid)
  LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive ) AS t
 JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
 WHERE typtype IN ('b', 'r', 'm', 'e', 'd') OR (typtype = 'c' AND relkind='c') OR (typtype = 'p' AND typname IN ('record', 'void'))
  OR (typtype = 'a' AND ( elemtyptype IN ('b', 'r', 'm', 'e', 'd') OR (elemtyptype = 'p' AND elemtypname IN ('record', 'void'))
  OR (elemtyptype = 'c' AND elemrelkind='c') )) ORDER BY CASE WHEN typtype IN ('b', 'e', 'p') THEN 0 WHEN typtype = 'r' THEN 1
  WHEN typtype = 'm' THEN 2 WHEN typtype = 'c' THEN 3 WHEN typtype = 'd' AND elemtyptype <> 'a' THEN 4 WHEN typtype = 'a' THEN 5
  WHEN typtype = 'd' AND elemtyptype = 'a' THEN 6 END""", True)
ask("Npgsql", """SELECT typ.oid, att.attname, att.atttypid FROM pg_type AS typ JOIN pg_namespace AS ns ON (ns.oid = typ.typnamespace)
 JOIN pg_class AS cls ON (cls.oid = typ.typrelid) JOIN pg_attribute AS att ON (att.attrelid = typ.typrelid)
 WHERE (typ.typtype = 'c' AND cls.relkind='c') AND attnum > 0 AND NOT attisdropped ORDER BY typ.oid, att.attnum""")
ask("Npgsql", "SELECT pg_type.oid, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid=enumtypid ORDER BY oid, enumsortorder")
ask("Power BI", """select TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE from INFORMATION_SCHEMA.tables
 where TABLE_SCHEMA not in ('information_schema', 'pg_catalog') order by TABLE_SCHEMA, TABLE_NAME""", True)
ask("Power BI", """select COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE,
 case when (data_type like '%unsigned%') then DATA_TYPE || ' unsigned' else DATA_TYPE end as DATA_TYPE
 from INFORMATION_SCHEMA.columns where TABLE_SCHEMA = 'public' and TABLE_NAME = 'profiles'
 order by TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION""", True)
ask("Power BI", """select pkcol.COLUMN_NAME as PK_COLUMN_NAME, fkcol.TABLE_SCHEMA AS FK_TABLE_SCHEMA,
 fkcol.TABLE_NAME AS FK_TABLE_NAME, fkcol.COLUMN_NAME as FK_COLUMN_NAME, fkcol.ORDINAL_POSITION as ORDINAL,
 fkcon.CONSTRAINT_SCHEMA || '_' || fkcol.TABLE_NAME || '_' || 'profiles' || '_' || fkcon.CONSTRAINT_NAME as FK_NAME
 from (select distinct constraint_catalog, constraint_schema, unique_constraint_schema, constraint_name, unique_constraint_name
  from INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS) fkcon
 inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE fkcol on fkcon.CONSTRAINT_SCHEMA = fkcol.CONSTRAINT_SCHEMA
  and fkcon.CONSTRAINT_NAME = fkcol.CONSTRAINT_NAME
 inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE pkcol on fkcon.UNIQUE_CONSTRAINT_SCHEMA = pkcol.CONSTRAINT_SCHEMA
  and fkcon.UNIQUE_CONSTRAINT_NAME = pkcol.CONSTRAINT_NAME
 where pkcol.TABLE_SCHEMA = 'public' and pkcol.TABLE_NAME = 'profiles' and pkcol.ORDINAL_POSITION = fkcol.ORDINAL_POSITION
 order by FK_NAME, fkcol.ORDINAL_POSITION""", True)

# -- Tableau

ask("Tableau", "SELECT CAST(current_setting('server_version_num') AS INT)", True)
ask("Tableau", """select n.nspname, c.relname, a.attname, a.atttypid, t.typname, a.attnum, a.attlen, a.atttypmod, a.attnotnull,
 c.relhasrules, c.relkind, c.oid, pg_get_expr(d.adbin, d.adrelid), case t.typtype when 'd' then t.typbasetype else 0 end,
 t.typtypmod, c.relhasoids, '', c.relhassubclass from (((pg_catalog.pg_class c inner join pg_catalog.pg_namespace n
 on n.oid = c.relnamespace and c.relname = E'profiles' and n.nspname = E'public')
 inner join pg_catalog.pg_attribute a on (not a.attisdropped) and a.attnum > 0 and a.attrelid = c.oid)
 inner join pg_catalog.pg_type t on t.oid = a.atttypid)
 left outer join pg_attrdef d on a.atthasdef and d.adrelid = a.attrelid and d.adnum = a.attnum
 order by n.nspname, c.relname, attnum""", True)
ask("Tableau", """select relname, nspname, relkind from pg_catalog.pg_class c, pg_catalog.pg_namespace n
 where relkind in ('r', 'v', 'm', 'f', 'p') and nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pg_temp_1')
 and n.oid = relnamespace order by nspname, relname""", True)
ask("Tableau", "BEGIN READ ONLY")
ask("Tableau", 'SELECT 1 AS "one" FROM "public"."profiles" LIMIT 1', True)
ask("Tableau", "ROLLBACK")

# -- DBeaver

ask("DBeaver", "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate OR db.datname = 'coterie'", True)
ask("DBeaver", "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname", True)
ask("DBeaver", """SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,
 pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c
 LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass
 WHERE c.relnamespace=2200 AND c.relkind not in ('i','I','c')""", True)
ask("DBeaver", """SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid
 FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)
 LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)
 LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
 LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
 WHERE NOT a.attisdropped AND c.oid='public.profiles'::regclass ORDER BY a.attnum""", True)
ask("DBeaver", """SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description
 FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem
 LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid
 WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C')""", True)
ask("DBeaver", """SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description,
 case when c.contype='c' then "substring"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy
 FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid
 LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid
 LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass
 WHERE c.conrelid='public.profiles'::regclass ORDER BY c.oid""", True)
ask("DBeaver", """select c.oid,pg_catalog.pg_total_relation_size(c.oid) as total_rel_size,pg_catalog.pg_relation_size(c.oid) as rel_size
 FROM pg_class c WHERE c.relnamespace=2200""", True)
ask("DBeaver", "SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,dsc.description FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid WHERE i.indrelid='public.profiles'::regclass ORDER BY tabrelname, c.relname", True)
ask("DBeaver", "SELECT current_schema(),session_user", True)
ask("DBeaver", "SHOW search_path", True)
ask("DBeaver", "select * from pg_catalog.pg_settings where name='standard_conforming_strings'", True)
ask("DBeaver", "select string_agg(word, ',') from pg_catalog.pg_get_keywords() where word <> ALL ('{a,abs,absolute}'::text[])", True)
ask("DBeaver", "SELECT * FROM pg_catalog.pg_enum WHERE 1<>1 LIMIT 1")
ask("DBeaver", "SELECT reltype FROM pg_catalog.pg_class WHERE 1<>1 LIMIT 1")

# -- Metabase

ask("Metabase", """SELECT "n"."nspname" AS "schema", "c"."relname" AS "name", CASE "c"."relkind" WHEN 'r' THEN 'TABLE'
 WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS "type",
 "d"."description" AS "description", "stat"."n_live_tup" AS "estimated_row_count"
 FROM "pg_catalog"."pg_class" AS "c" INNER JOIN "pg_catalog"."pg_namespace" AS "n" ON "c"."relnamespace" = "n"."oid"
 LEFT JOIN "pg_catalog"."pg_description" AS "d" ON ("c"."oid" = "d"."objoid") AND ("d"."objsubid" = 0) AND ("d"."classoid" = 'pg_class'::regclass)
 LEFT JOIN "pg_stat_user_tables" AS "stat" ON ("n"."nspname" = "stat"."schemaname") AND ("c"."relname" = "stat"."relname")
 WHERE ("c"."relnamespace" = "n"."oid") AND ("n"."nspname" !~ '^pg_') AND ("n"."nspname" <> 'information_schema')
 AND c.relkind in ('r', 'p', 'v', 'f', 'm') AND ("n"."nspname" IN ('public')) ORDER BY "type" ASC, "schema" ASC, "name" ASC""", True)
ask("Metabase", """SELECT "c"."column_name" AS "name", CASE WHEN "c"."udt_schema" IN ('public', 'pg_catalog')
 THEN FORMAT('%s', "c"."udt_name") ELSE FORMAT('"%s"."%s"', "c"."udt_schema", "c"."udt_name") END AS "database-type",
 "c"."ordinal_position" - 1 AS "database-position", "c"."table_schema" AS "table-schema", "c"."table_name" AS "table-name",
 "pk"."column_name" IS NOT NULL AS "pk?", COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST("c"."table_schema" AS TEXT), CAST("c"."table_name" AS TEXT)) AS REGCLASS) AS OID), "c"."ordinal_position") AS "field-comment",
 (("column_default" IS NULL) OR (LOWER("column_default") = 'null')) AND ("is_nullable" = 'NO') AS "database-required"
 FROM "information_schema"."columns" AS "c" LEFT JOIN (SELECT "tc"."table_schema", "tc"."table_name", "kc"."column_name"
  FROM "information_schema"."table_constraints" AS "tc" INNER JOIN "information_schema"."key_column_usage" AS "kc"
  ON ("tc"."constraint_name" = "kc"."constraint_name") AND ("tc"."table_schema" = "kc"."table_schema") AND ("tc"."table_name" = "kc"."table_name")
  WHERE "tc"."constraint_type" = 'PRIMARY KEY') AS "pk" ON ("c"."table_schema" = "pk"."table_schema")
  AND ("c"."table_name" = "pk"."table_name") AND ("c"."column_name" = "pk"."column_name")
 WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND ("c"."table_schema" IN ('public'))
 ORDER BY "table-schema" ASC, "table-name" ASC, "database-position" ASC""", True)
ask("Metabase", """with table_privileges as ( select NULL as role, t.schemaname as schema, t.objectname as table,
 pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'update') as update,
 pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'select') as select
 from ( select schemaname, tablename as objectname from pg_catalog.pg_tables union
  select schemaname, viewname as objectname from pg_catalog.pg_views union
  select schemaname, matviewname as objectname from pg_catalog.pg_matviews ) t
 where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema'
 and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'USAGE') ) select t.* from table_privileges t""", True)
ask("Metabase", "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'", True)
ask("Metabase", "SHOW TIMEZONE", True)

# -- Grafana

ask("Grafana", """SELECT CASE WHEN quote_ident(table_schema) = 'public' THEN quote_ident(table_name)
 ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table" FROM information_schema.tables
 WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache')
 AND table_type IN ('BASE TABLE', 'VIEW') ORDER BY 1""", True)
ask("Grafana", """SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns
 WHERE CASE WHEN array_length(parse_ident('public.profiles'),1) = 2
 THEN quote_ident(table_schema) = (parse_ident('public.profiles'))[1] AND quote_ident(table_name) = (parse_ident('public.profiles'))[2]
 ELSE quote_ident(table_name) = 'profiles' AND table_schema IN (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
  FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1),
   array_upper(string_to_array(current_setting('search_path'),','),1)) as i,
   string_to_array(current_setting('search_path'),',') s) END""", True)
ask("Grafana", "SELECT current_setting('server_version_num')::int/100 as version", True)
ask("Grafana", "SELECT 1", True)

# -- dbt-postgres

ask("dbt", "select current_database()", True)
ask("dbt", """select 'coterie' as database, tablename as name, schemaname as schema, 'table' as type from pg_tables
 where schemaname ilike 'public' union all select 'coterie' as database, viewname as name, schemaname as schema, 'view' as type
 from pg_views where schemaname ilike 'public' union all select 'coterie' as database, matviewname as name, schemaname as schema,
 'materialized_view' as type from pg_matviews where schemaname ilike 'public'""", True)
ask("dbt", "select distinct nspname from pg_namespace", True)
ask("dbt", "select count(*) from pg_namespace where nspname = 'public'", True)
ask("dbt", """select column_name, data_type, character_maximum_length, numeric_precision, numeric_scale
 from "coterie".INFORMATION_SCHEMA.columns where table_name = 'profiles' and table_schema = 'public' order by ordinal_position""", True)
ask("dbt", """with relation as ( select pg_class.oid as relation_id, pg_class.relname as relation_name, pg_class.relnamespace as schema_id,
 pg_namespace.nspname as schema_name, pg_class.relkind as relation_type from pg_class join pg_namespace
 on pg_class.relnamespace = pg_namespace.oid where pg_namespace.nspname != 'information_schema' and pg_namespace.nspname not like 'pg\\_%' ),
 dependency as ( select distinct pg_depend.objid as id, pg_depend.refobjid as ref from pg_depend
  where pg_depend.deptype in ('n') and pg_depend.refclassid = 'pg_class'::regclass )
 select distinct r.relation_name, d.id from dependency d join relation r on r.relation_id = d.ref""")

# -- asyncpg, ADBC, others

ask("asyncpg", "SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new", True)
ask("asyncpg", "SELECT pg_advisory_unlock_all()", True)
ask("ADBC", """SELECT oid, typname, typreceive, typbasetype, typrelid, typarray FROM pg_catalog.pg_type
 WHERE (typreceive != 0 OR typname = 'aclitem') AND typtype != 'r' AND typreceive::TEXT != 'array_recv'""", True)
ask("ADBC", """SELECT attrelid, attname, atttypid FROM pg_catalog.pg_attribute ORDER BY attrelid, attnum""", True)
ask("pgAdmin", "SELECT db.oid as did, db.datname, db.datallowconn, pg_encoding_to_char(db.encoding) AS serverencoding, has_database_privilege(db.oid, 'CREATE') as cancreate, datistemplate FROM pg_catalog.pg_database db WHERE db.datname = current_database()", True)
ask("pgAdmin", "SELECT rolname, rolsuper, pg_catalog.pg_has_role(rolname, 'MEMBER') FROM pg_catalog.pg_roles WHERE rolname = current_user", True)
ask("pgAdmin", "SELECT pid, usename, query, state FROM pg_stat_activity WHERE datname = 'coterie'", True)
ask("pgcli", "SELECT nspname, relname, relkind::text FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = ANY(%s)", True, (["r", "v"],))
ask("psycopg", "SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter FROM pg_type t WHERE t.oid = to_regtype(%(name)s) ORDER BY t.oid", True, {"name": "text"})
ask("many", "SELECT inet_server_addr(), pg_backend_pid(), pg_is_in_recovery(), txid_current()", True)
ask("many", "SELECT current_user, session_user, current_database(), current_catalog, current_schema, user", True)
ask("many", "SELECT to_regclass('public.profiles')::oid IS NOT NULL, to_regclass('nothing') IS NULL", True)

# -- psql 15: more of \d+, \dp, \d of an index, \dd, \dL

ask("psql \\d+ t", """SELECT c.relchecks, c.relkind, c.relhasindex, c.relhasrules, c.relhastriggers, c.relrowsecurity,
 c.relforcerowsecurity, false AS relhasoids, c.relispartition,
 pg_catalog.array_to_string(c.reloptions || array(select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x), ', '),
 c.reltablespace, CASE WHEN c.reloftype = 0 THEN '' ELSE c.reloftype::pg_catalog.regtype::pg_catalog.text END,
 c.relpersistence, c.relreplident, am.amname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class tc
 ON (c.reltoastrelid = tc.oid) LEFT JOIN pg_catalog.pg_am am ON (c.relam = am.oid) WHERE c.oid = '1259'""", True)
ask("psql \\dp", """SELECT n.nspname as "Schema", c.relname as "Name", pg_catalog.array_to_string(c.relacl, E'\\n') AS "Access privileges",
 pg_catalog.array_to_string(ARRAY( SELECT attname || E':\\n  ' || pg_catalog.array_to_string(attacl, E'\\n  ')
  FROM pg_catalog.pg_attribute a WHERE attrelid = c.oid AND NOT attisdropped AND attacl IS NOT NULL ), E'\\n') AS "Column privileges",
 pg_catalog.array_to_string(ARRAY( SELECT polname || CASE WHEN polroles <> '{0}' THEN E'\\n  to: ' || pg_catalog.array_to_string(
   ARRAY( SELECT rolname FROM pg_catalog.pg_roles WHERE oid = ANY (polroles) ORDER BY 1 ), E', ') ELSE E'' END
  FROM pg_catalog.pg_policy pol WHERE polrelid = c.oid), E'\\n') AS "Policies"
 FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r','v','m','S','f','p') AND n.nspname !~ '^pg_' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1, 2""", True)
ask("psql \\d index", """SELECT i.indisunique, i.indisprimary, i.indisclustered, i.indisvalid,
 (NOT i.indimmediate) AND EXISTS (SELECT 1 FROM pg_catalog.pg_constraint WHERE conrelid = i.indrelid
  AND conindid = i.indexrelid AND contype IN ('p','u','x') AND condeferrable) AS condeferrable,
 i.indisreplident, i.indnullsnotdistinct, a.amname, c2.relname, pg_catalog.pg_get_expr(i.indpred, i.indrelid, true)
 FROM pg_catalog.pg_index i, pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_am a
 WHERE i.indexrelid = c.oid AND c.relname = 'profiles_pkey' AND c.relam = a.oid AND i.indrelid = c2.oid""", True)
ask("psql \\dL", """SELECT l.lanname AS "Name", l.lanpltrusted AS "Trusted", d.description AS "Description" FROM pg_catalog.pg_language l
 LEFT JOIN pg_catalog.pg_description d ON d.classoid = l.tableoid AND d.objoid = l.oid AND d.objsubid = 0
 WHERE l.lanplcallfoid != 0 ORDER BY 1""")

# -- keys taken apart: ADBC, pgAdmin and whoever else unnests their columns

ask("ADBC get_objects", """WITH fk_unnest AS ( SELECT con.conname, 'FOREIGN KEY' AS contype, conrelid, UNNEST(con.conkey) AS conkey,
  confrelid, UNNEST(con.confkey) AS confkey FROM pg_catalog.pg_constraint AS con
  INNER JOIN pg_catalog.pg_class AS cls ON cls.oid = conrelid INNER JOIN pg_catalog.pg_namespace AS nsp ON nsp.oid = cls.relnamespace
  WHERE con.contype = 'f' AND nsp.nspname = 'public' AND cls.relname = 'events' ),
 fk_names AS ( SELECT fk_unnest.conname, fk_unnest.contype, fk_unnest.conkey, fk_unnest.confkey, attr.attname,
  fnsp.nspname AS fschema, fcls.relname AS ftable, fattr.attname AS fattname FROM fk_unnest
  INNER JOIN pg_catalog.pg_class AS cls ON cls.oid = fk_unnest.conrelid INNER JOIN pg_catalog.pg_class AS fcls ON fcls.oid = fk_unnest.confrelid
  INNER JOIN pg_catalog.pg_namespace AS fnsp ON fnsp.oid = fcls.relnamespace
  INNER JOIN pg_catalog.pg_attribute AS attr ON attr.attnum = fk_unnest.conkey AND attr.attrelid = fk_unnest.conrelid
  LEFT JOIN pg_catalog.pg_attribute AS fattr ON fattr.attnum = fk_unnest.confkey AND fattr.attrelid = fk_unnest.confrelid ),
 fkeys AS ( SELECT conname, contype, ARRAY_AGG(attname ORDER BY conkey) AS colnames, fschema, ftable,
  ARRAY_AGG(fattname ORDER BY confkey) AS fcolnames FROM fk_names GROUP BY conname, contype, fschema, ftable ),
 other_constraints AS ( SELECT con.conname, CASE con.contype WHEN 'c' THEN 'CHECK' WHEN 'u' THEN 'UNIQUE' WHEN 'p' THEN 'PRIMARY KEY' END AS contype,
  ARRAY_AGG(attr.attname) AS colnames FROM pg_catalog.pg_constraint AS con CROSS JOIN UNNEST(conkey) AS conkeys
  INNER JOIN pg_catalog.pg_class AS cls ON cls.oid = con.conrelid INNER JOIN pg_catalog.pg_namespace AS nsp ON nsp.oid = cls.relnamespace
  INNER JOIN pg_catalog.pg_attribute AS attr ON attr.attnum = conkeys AND cls.oid = attr.attrelid
  WHERE con.contype IN ('c', 'u', 'p') AND nsp.nspname = 'public' AND cls.relname = 'events' GROUP BY conname, contype )
 SELECT conname, contype, colnames, fschema, ftable, fcolnames FROM fkeys
 UNION ALL SELECT conname, contype, colnames, NULL, NULL, NULL FROM other_constraints""", True)
ask("pgAdmin", """SELECT con.conname, a.attname, k.place FROM pg_constraint con
 CROSS JOIN LATERAL unnest(con.conkey) WITH ORDINALITY AS k(attnum, place)
 JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum ORDER BY 1, 3""", True)
ask("many", """SELECT c.relname, u.attnum FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid, unnest(i.indkey) AS u(attnum)""", True)
ask("many", """SELECT c.relname, (WITH s AS (SELECT n.oid AS id, n.nspname FROM pg_namespace n) SELECT nspname FROM s WHERE s.id = c.relnamespace) AS s
 FROM pg_class c WHERE c.relname = 'profiles'""", True)

# -- more of pgjdbc, Metabase, Npgsql, Power BI

ask("pgjdbc getBestRowIdentifier", """SELECT a.attname, a.atttypid, atttypmod FROM pg_catalog.pg_class ct
 JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid)
 JOIN (SELECT i.indexrelid, i.indrelid, i.indisprimary, information_schema._pg_expandarray(i.indkey) AS keys FROM pg_catalog.pg_index i) i
 ON (a.attnum = (i.keys).x AND a.attrelid = i.indrelid) WHERE true AND n.nspname = 'public' AND ct.relname = 'profiles'
 AND i.indisprimary ORDER BY a.attnum""", True)
ask("pgjdbc getTablePrivileges", """SELECT n.nspname,c.relname,r.rolname,c.relacl, pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_namespace n,
 pg_catalog.pg_class c, pg_catalog.pg_roles r WHERE c.relnamespace = n.oid AND c.relowner = r.oid AND c.relkind IN ('r','p','v','m','f')
 AND n.nspname = 'public' ORDER BY nspname, relname""", True)
ask("pgjdbc getUDTs", """select null as type_cat, n.nspname as type_schem, t.typname as type_name, null as class_name,
 CASE WHEN t.typtype='c' then 2002 else 2001 end as data_type, pg_catalog.obj_description(t.oid, 'pg_type') as remarks,
 CASE WHEN t.typtype = 'd' then (select CASE when typname = 'text' then 12 else 1111 end from pg_type where oid=t.typbasetype) else null end as base_type
 from pg_catalog.pg_type t, pg_catalog.pg_namespace n where t.typnamespace = n.oid and n.nspname != 'pg_catalog' and n.nspname != 'pg_toast'
 and t.typtype IN ('c','d') order by data_type, type_schem, type_name""")
ask("Metabase", """SELECT fk_ns.nspname AS "fk-table-schema", fk_table.relname AS "fk-table-name", fk_column.attname AS "fk-column-name",
 pk_ns.nspname AS "pk-table-schema", pk_table.relname AS "pk-table-name", pk_column.attname AS "pk-column-name" FROM pg_constraint AS c
 INNER JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid INNER JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid
 INNER JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid INNER JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid
 INNER JOIN pg_namespace AS pk_ns ON pk_table.relnamespace = pk_ns.oid INNER JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
 WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND c.contype = 'f'::char AND fk_column.attnum = ANY(c.conkey)
 AND pk_column.attnum = ANY(c.confkey) ORDER BY 1, 2, 3""", True)
ask("Metabase", """SELECT tmp."table-schema", tmp."table-name", trim(both '"' from pg_catalog.pg_get_indexdef(tmp.ci_oid, tmp.pos, false)) AS "field-name"
 FROM (SELECT n.nspname AS "table-schema", ct.relname AS "table-name", ci.oid AS ci_oid, (information_schema._pg_expandarray(i.indkey)).n AS pos
 FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON (ct.oid = i.indrelid)
 JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) WHERE pg_catalog.pg_get_expr(i.indpred, i.indrelid) IS NULL
 AND n.nspname !~ '^information_schema|catalog_history|pg_') AS tmp WHERE tmp.pos = 1""", True)
ask("Npgsql", """SELECT table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable,
 udt_name::regtype::text AS data_type, character_maximum_length, numeric_precision, numeric_scale, datetime_precision
 FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'profiles'""", True)
ask("Metabase", """SELECT DATE_TRUNC('month', "a"."entered_at") AS "month", COUNT(*) AS "count" FROM "audience"."win_back" AS "a"
 WHERE ("a"."entered_at" >= timestamp with time zone '2025-01-01 00:00:00.000Z') GROUP BY DATE_TRUNC('month', "a"."entered_at") ORDER BY 1""", True)
ask("Grafana", """SELECT floor(extract(epoch from entered_at)/3600)*3600 AS "time", count(*) AS n FROM audience.win_back
 WHERE entered_at BETWEEN '2025-01-01T00:00:00Z' AND '2026-12-31T00:00:00Z' GROUP BY 1 ORDER BY 1""", True)
ask("Tableau", """SELECT CAST(TRUNC(EXTRACT(YEAR FROM "win_back"."entered_at")) AS INTEGER) AS "yr:entered_at:ok", COUNT(DISTINCT "win_back"."profile_id") AS "ctd"
 FROM "audience"."win_back" "win_back" GROUP BY 1""", True)
ask("Power BI", """select "_"."country", count(1) as "a0" from (select "$Table"."country" as "country" from "public"."profiles" "$Table") "_"
 group by "_"."country" order by "_"."country" limit 1001""", True)

wanted = set(sys.argv[2:])
failed = 0
for tool, sql, rows, parameters in QUERIES:
    if wanted and tool.split()[0] not in wanted:
        continue
    try:
        cursor = connection.execute(sql, parameters)
        found = cursor.fetchall() if cursor.description else []
        if rows and not found:
            raise AssertionError("no rows")
    except Exception as error:
        failed += 1
        print("FAIL %s: %s\n     %s" % (tool, str(error).strip().replace("\n", " | ")[:600], " ".join(sql.split())[:200]))
print("%d catalog queries, %d failed" % (len(QUERIES), failed))
sys.exit(1 if failed else 0)
