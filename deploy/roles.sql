-- Roles and databases of Pfadwerk and Temporal, made once by the superuser of an empty PostgreSQL (15 or later).
--
--   psql --username postgres --dbname postgres --set ON_ERROR_STOP=1 --set owner_password=… --set app_password=… \
--        --set backup_password=… --set temporal_password=… --file roles.sql
--
-- pfadwerk_owner   owns the schema: `pfadwerk setup` and `pfadwerk restore` run as it, nothing else does
-- pfadwerk_app     web servers and workers: reads and writes rows, changes no table
-- pfadwerk_backup  `pfadwerk backup`: reads only
-- temporal         Temporal's own two databases; sees nothing of Pfadwerk's

CREATE ROLE pfadwerk_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
CREATE ROLE pfadwerk_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'app_password';
CREATE ROLE pfadwerk_backup LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'backup_password';
CREATE ROLE temporal LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'temporal_password';
ALTER ROLE pfadwerk_backup SET default_transaction_read_only = on;

CREATE DATABASE pfadwerk OWNER pfadwerk_owner;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;

-- Whoever is not named below connects to none of them.
REVOKE ALL ON DATABASE pfadwerk, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE pfadwerk TO pfadwerk_app, pfadwerk_backup;

\connect pfadwerk
ALTER SCHEMA public OWNER TO pfadwerk_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO pfadwerk_app, pfadwerk_backup;
-- What `pfadwerk setup` will make is the owner's; these rights come with each new table.
ALTER DEFAULT PRIVILEGES FOR ROLE pfadwerk_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO pfadwerk_app;
ALTER DEFAULT PRIVILEGES FOR ROLE pfadwerk_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO pfadwerk_app;
ALTER DEFAULT PRIVILEGES FOR ROLE pfadwerk_owner IN SCHEMA public GRANT SELECT ON TABLES TO pfadwerk_backup;
ALTER DEFAULT PRIVILEGES FOR ROLE pfadwerk_owner IN SCHEMA public GRANT SELECT ON SEQUENCES TO pfadwerk_backup;
