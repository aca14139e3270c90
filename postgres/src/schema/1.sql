-- The state of all runs of a team. Whoever runs this owns it; operators get what docs/state.md lists and no more.
CREATE SCHEMA runbook;

CREATE TABLE runbook.version (
    version integer NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);

-- One row per run: who walks it, and what lists say of it.
CREATE TABLE runbook.runs (
    run text PRIMARY KEY CHECK (run ~ '^[A-Za-z0-9][A-Za-z0-9-]{0,63}$'),
    -- Grows with every process that takes the run up: entries of an earlier one are refused.
    epoch bigint NOT NULL CHECK (epoch > 0),
    -- The advisory lock that whoever walks it holds as long as its session lives.
    session bigint,
    holder text,
    -- JSON; empty while a process walks the run and after one died.
    summary text,
    account text NOT NULL DEFAULT session_user
);

-- One row per entry: the line exactly as the journal of a state directory has it, without its newline.
CREATE TABLE runbook.entries (
    run text NOT NULL,
    seq bigint NOT NULL,
    epoch bigint NOT NULL,
    prev text NOT NULL,
    hash text NOT NULL,
    line text NOT NULL,
    account text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (run, seq)
);

-- Answers from elsewhere. The account is the session's: nobody can type one.
CREATE TABLE runbook.replies (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run text NOT NULL,
    reply text NOT NULL CHECK (octet_length(reply) <= 16384),
    account text NOT NULL DEFAULT session_user,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX replies_of ON runbook.replies (run, id);

-- One row per target that was ever locked.
CREATE TABLE runbook.locks (
    target text PRIMARY KEY CHECK (octet_length(target) <= 1024),
    -- Grows with every holder.
    fence bigint NOT NULL,
    -- The advisory lock that the holder has as long as its session lives; empty: nobody has it.
    session bigint,
    -- JSON; of the last holder.
    claim text
);

-- What changes used up of the site's budget.
CREATE TABLE runbook.spendings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    spending text NOT NULL CHECK (octet_length(spending) <= 16384),
    account text NOT NULL DEFAULT session_user,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX spendings_since ON runbook.spendings (at);

-- Lets in only the next link of a chain, from the process that walks the run.
CREATE FUNCTION runbook.follow() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    current bigint;
    -- PostgreSQL reads no JSON in which an escaped NUL is; the text that is kept has it.
    line json := replace(NEW.line, E'\\u0000', E'\\u0001')::json;
    last record;
BEGIN
    -- Held until the entry is in: a process that takes the run up waits, and then sees it.
    SELECT epoch INTO current FROM runbook.runs WHERE run = NEW.run FOR SHARE;
    IF current IS DISTINCT FROM NEW.epoch THEN
        RAISE EXCEPTION 'run % was taken up by another process', NEW.run USING ERRCODE = 'RB001';
    END IF;
    SELECT seq, hash INTO last FROM runbook.entries WHERE run = NEW.run ORDER BY seq DESC LIMIT 1;
    NEW.prev := coalesce(last.hash, encode(sha256(''), 'hex'));
    IF NEW.seq IS DISTINCT FROM coalesce(last.seq, 0) + 1
        OR (line ->> 'seq') IS DISTINCT FROM NEW.seq::text
        OR (line ->> 'prev') IS DISTINCT FROM NEW.prev
    THEN
        RAISE EXCEPTION 'entry % does not follow entry % of run %', NEW.seq, coalesce(last.seq, 0), NEW.run
            USING ERRCODE = 'RB002';
    END IF;
    NEW.hash := encode(sha256(convert_to(NEW.line, 'UTF8')), 'hex');
    NEW.account := session_user;
    NEW.at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER follow BEFORE INSERT ON runbook.entries FOR EACH ROW EXECUTE FUNCTION runbook.follow();

CREATE FUNCTION runbook.attest() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.account := session_user;
    NEW.at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER attest BEFORE INSERT ON runbook.replies FOR EACH ROW EXECUTE FUNCTION runbook.attest();

CREATE TRIGGER attest BEFORE INSERT ON runbook.spendings FOR EACH ROW EXECUTE FUNCTION runbook.attest();

CREATE FUNCTION runbook.tell() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('runbook_reply', NEW.run);
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON runbook.replies FOR EACH ROW EXECUTE FUNCTION runbook.tell();

-- What was written stays: refused even to the owner, who would have to take the trigger away first.
CREATE FUNCTION runbook.keep() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'RB003';
END $$;
CREATE TRIGGER keep BEFORE UPDATE OR DELETE OR TRUNCATE ON runbook.entries
    FOR EACH STATEMENT EXECUTE FUNCTION runbook.keep();
CREATE TRIGGER keep BEFORE UPDATE OR DELETE OR TRUNCATE ON runbook.replies
    FOR EACH STATEMENT EXECUTE FUNCTION runbook.keep();
CREATE TRIGGER keep BEFORE UPDATE OR DELETE OR TRUNCATE ON runbook.spendings
    FOR EACH STATEMENT EXECUTE FUNCTION runbook.keep();
CREATE TRIGGER keep BEFORE DELETE OR TRUNCATE ON runbook.runs
    FOR EACH STATEMENT EXECUTE FUNCTION runbook.keep();
CREATE TRIGGER keep BEFORE DELETE OR TRUNCATE ON runbook.locks
    FOR EACH STATEMENT EXECUTE FUNCTION runbook.keep();

-- Numbers that fence somebody off never go back.
CREATE FUNCTION runbook.grow() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'runs' THEN
        IF NEW.epoch < OLD.epoch OR NEW.run <> OLD.run OR NEW.account <> OLD.account THEN
            RAISE EXCEPTION 'run %: its number never goes back', OLD.run USING ERRCODE = 'RB003';
        END IF;
    ELSIF NEW.fence < OLD.fence OR NEW.target <> OLD.target THEN
        RAISE EXCEPTION 'lock of %: its number never goes back', OLD.target USING ERRCODE = 'RB003';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER grow BEFORE UPDATE ON runbook.runs FOR EACH ROW EXECUTE FUNCTION runbook.grow();
CREATE TRIGGER grow BEFORE UPDATE ON runbook.locks FOR EACH ROW EXECUTE FUNCTION runbook.grow();
