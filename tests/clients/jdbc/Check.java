import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

/** Checks of pgjdbc: java -cp postgresql.jar tests/clients/jdbc/Check.java PORT; exits with 1 if one failed. */
public class Check {
    static int failed = 0;

    interface Body { void run() throws Exception; }

    static void check(String name, Body body) {
        try {
            body.run();
            System.out.println("ok   jdbc " + name);
        } catch (Throwable error) {
            failed++;
            System.out.println("FAIL jdbc " + name + " " + error);
        }
    }

    static void is(Object got, Object want) {
        if (!Objects.equals(got, want)) throw new AssertionError("got " + got + ", not " + want);
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> values = new ArrayList<>();
        while (rows.next()) values.add(rows.getString(name));
        return values;
    }

    public static void main(String[] args) throws Exception {
        Properties login = new Properties();
        Map<String, String> env = System.getenv();
        login.put("user", env.getOrDefault("COTERIE_USER", "u"));
        login.put("password", env.getOrDefault("COTERIE_PASSWORD", "p"));
        login.put("sslmode", env.getOrDefault("COTERIE_SSLMODE", "prefer"));
        String url = "jdbc:postgresql://127.0.0.1:" + args[0] + "/coterie";
        for (String mode : List.of("extended", "simple")) {
            Properties more = new Properties();
            more.putAll(login);
            more.put("preferQueryMode", mode);
            try (Connection c = DriverManager.getConnection(url, more)) {
                check(mode + " values", () -> {
                    // Five times, so that the driver goes over to statements with names and to the binary format.
                    for (int i = 0; i < 8; i++) {
                        try (PreparedStatement s = c.prepareStatement("SELECT CAST(? AS BIGINT) + 1, CAST(? AS VARCHAR), CAST(? AS DOUBLE), CAST(? AS DATE), CAST(? AS BOOLEAN), 1.50")) {
                            s.setLong(1, 41);
                            s.setString(2, "it's");
                            s.setDouble(3, 1.25);
                            s.setObject(4, java.time.LocalDate.of(2024, 2, 29));
                            s.setBoolean(5, true);
                            ResultSet r = s.executeQuery();
                            r.next();
                            is(r.getLong(1), 42L);
                            is(r.getString(2), "it's");
                            is(r.getDouble(3), 1.25);
                            is(r.getObject(4, java.time.LocalDate.class), java.time.LocalDate.of(2024, 2, 29));
                            is(r.getBoolean(5), true);
                            is(r.getBigDecimal(6).compareTo(new BigDecimal("1.5")), 0);
                        }
                    }
                });
                check(mode + " reuses statements", () -> {
                    try (PreparedStatement s = c.prepareStatement("SELECT v FROM generate_series(1, 100) t (v) WHERE v < ? ORDER BY v")) {
                        for (int i = 1; i < 20; i++) {
                            s.setInt(1, i);
                            ResultSet r = s.executeQuery();
                            int n = 0;
                            while (r.next()) n++;
                            is(n, i - 1);
                        }
                    }
                });
                check(mode + " parameters of table functions", () -> {
                    long want;
                    try (Statement s = c.createStatement()) {
                        ResultSet r = s.executeQuery("SELECT count(*) FROM profiles WHERE loyalty_tier = 'gold'");
                        r.next();
                        want = r.getLong(1);
                    }
                    try (PreparedStatement s = c.prepareStatement("SELECT count(*) FROM matching('shop', ?)");
                         PreparedStatement t = c.prepareStatement("SELECT sum(v) FROM generate_series(1, ?) t (v)")) {
                        for (int i = 1; i < 8; i++) {
                            s.setString(1, "loyalty_tier = 'gold'");
                            ResultSet r = s.executeQuery();
                            r.next();
                            is(r.getLong(1), want);
                            t.setInt(1, i);
                            r = t.executeQuery();
                            r.next();
                            is(r.getLong(1), (long) i * (i + 1) / 2);
                        }
                        is(s.getMetaData().getColumnCount(), 1);
                        is(s.getParameterMetaData().getParameterCount(), 1);
                    }
                    try (PreparedStatement s = c.prepareStatement("SELECT * FROM matching(?, 'true')")) {
                        s.setString(1, "shop");
                        s.executeQuery();
                        if (mode.equals("extended")) throw new AssertionError("no error");
                    } catch (SQLException error) {
                        is(error.getSQLState(), "0A000");
                    }
                });
                check(mode + " errors", () -> {
                    try (Statement s = c.createStatement()) {
                        s.executeQuery("SELECT * FROM nothing");
                        throw new AssertionError("no error");
                    } catch (SQLException error) {
                        is(error.getSQLState(), "42P01");
                    }
                    try (Statement s = c.createStatement()) {
                        ResultSet r = s.executeQuery("SELECT 1");
                        r.next();
                        is(r.getInt(1), 1);
                    }
                });
            }
        }
        try (Connection c = DriverManager.getConnection(url, login)) {
            check("rows come in portions", () -> {
                c.setAutoCommit(false);
                try (Statement s = c.createStatement()) {
                    s.setFetchSize(1000);
                    ResultSet r = s.executeQuery("SELECT * FROM generate_series(1, 100000)");
                    long sum = 0;
                    while (r.next()) sum += r.getLong(1);
                    is(sum, 5000050000L);
                }
                c.commit();
                c.setAutoCommit(true);
            });
            check("metadata of tables", () -> {
                DatabaseMetaData m = c.getMetaData();
                List<String> tables = column(m.getTables(null, "public", "%", new String[] {"TABLE"}), "TABLE_NAME");
                if (!tables.contains("profiles")) throw new AssertionError(tables.toString());
                List<String> views = column(m.getTables(null, "segment", "%", new String[] {"VIEW"}), "TABLE_NAME");
                if (!views.contains("win_back")) throw new AssertionError(views.toString());
                if (column(m.getTables(null, null, "%", null), "TABLE_NAME").size() < 100) throw new AssertionError("system tables");
                List<String> schemas = column(m.getSchemas(), "TABLE_SCHEM");
                if (!schemas.containsAll(List.of("public", "segment", "audience", "coterie"))) throw new AssertionError(schemas.toString());
                is(column(m.getCatalogs(), "TABLE_CAT"), List.of("coterie"));
            });
            check("metadata of columns and keys", () -> {
                DatabaseMetaData m = c.getMetaData();
                List<String> columns = column(m.getColumns(null, "public", "profiles", "%"), "COLUMN_NAME");
                if (!columns.contains("profile_id")) throw new AssertionError(columns.toString());
                is(column(m.getPrimaryKeys(null, "public", "profiles"), "COLUMN_NAME"), List.of("profile_id"));
                List<String> imported = column(m.getExportedKeys(null, "public", "profiles"), "FKTABLE_NAME");
                if (imported.isEmpty()) throw new AssertionError("no exported keys");
                column(m.getImportedKeys(null, "public", imported.get(0)), "PKTABLE_NAME");
                column(m.getIndexInfo(null, "public", "profiles", false, false), "INDEX_NAME");
                column(m.getTypeInfo(), "TYPE_NAME");
                column(m.getFunctions(null, "pg_catalog", "abs"), "FUNCTION_NAME");
                column(m.getProcedures(null, null, "%"), "PROCEDURE_NAME");
                column(m.getTablePrivileges(null, "public", "profiles"), "PRIVILEGE");
                column(m.getColumnPrivileges(null, "public", "profiles", "%"), "PRIVILEGE");
                column(m.getBestRowIdentifier(null, "public", "profiles", 0, true), "COLUMN_NAME");
                column(m.getUDTs(null, null, "%", null), "TYPE_NAME");
                m.getMaxColumnsInIndex();
                m.getSQLKeywords();
            });
            check("metadata of results", () -> {
                try (PreparedStatement s = c.prepareStatement("SELECT CAST(? AS BIGINT) AS a, [1, 2] AS b, struct(1 AS x) AS c FROM public.profiles LIMIT 1")) {
                    ResultSetMetaData m = s.getMetaData();
                    is(m.getColumnCount(), 3);
                    is(m.getColumnTypeName(1), "int8");
                    is(m.getColumnTypeName(3), "json");
                    is(s.getParameterMetaData().getParameterCount(), 1);
                    s.setLong(1, 7);
                    ResultSet r = s.executeQuery();
                    r.next();
                    is(Arrays.toString((Object[]) r.getArray(2).getArray()), "[1, 2]");
                    is(r.getString(3), "{\"x\":1}");
                }
            });
            check("transactions", () -> {
                c.setAutoCommit(false);
                Savepoint here = c.setSavepoint();
                try (Statement s = c.createStatement()) {
                    s.executeQuery("SELECT nothing");
                } catch (SQLException error) {
                    is(error.getSQLState(), "42703");
                }
                c.rollback(here);
                try (Statement s = c.createStatement()) {
                    s.executeQuery("SELECT 1");
                }
                c.rollback();
                c.setReadOnly(true);
                c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
                c.setAutoCommit(true);
            });
            check("a statement that takes too long", () -> {
                try (Statement s = c.createStatement()) {
                    s.setQueryTimeout(1);
                    s.executeQuery("SELECT count(*) FROM generate_series(1, 1000000000000) t (v) WHERE v % 7 = 3");
                    throw new AssertionError("no timeout");
                } catch (SQLException error) {
                    is(error.getSQLState(), "57014");
                }
            });
            check("several statements in one", () -> {
                try (Statement s = c.createStatement()) {
                    is(s.execute("SELECT 1; SELECT 2"), true);
                    is(s.getMoreResults(), true);
                    ResultSet r = s.getResultSet();
                    r.next();
                    is(r.getInt(1), 2);
                }
            });
        }
        System.exit(failed == 0 ? 0 : 1);
    }
}
