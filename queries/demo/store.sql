-- The sample shop of `coterie demo`: three tables of Parquet files, and what they mean.

CREATE EXTERNAL TABLE IF NOT EXISTS profiles STORED AS PARQUET LOCATION 'coterie-demo/profiles/';
CREATE EXTERNAL TABLE IF NOT EXISTS events STORED AS PARQUET LOCATION 'coterie-demo/events/';
CREATE EXTERNAL TABLE IF NOT EXISTS products STORED AS PARQUET LOCATION 'coterie-demo/products/';

CREATE OR REPLACE PROFILE STORE shop
  PROFILES profiles KEY (profile_id)
  EVENTS   events   KEY (profile_id) TIMESTAMP ("timestamp") ID (_id)
  LOOKUP   products KEY (sku) ON events (sku);
