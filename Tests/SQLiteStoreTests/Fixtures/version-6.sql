CREATE TABLE api_token (
    hash TEXT NOT NULL PRIMARY KEY,
    principal TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE counter (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counter VALUES('event',2);
CREATE TABLE event (
    id BIGINT NOT NULL PRIMARY KEY,
    recorded_at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    vm TEXT,
    host TEXT,
    job TEXT,
    epoch BIGINT,
    message TEXT NOT NULL,
    principal TEXT NOT NULL
);
INSERT INTO event VALUES(1,1700000000001,'vm.stopping','00000001-0000-4000-8000-000000000001','00000002-0000-4000-8000-000000000001','00000004-0000-4000-8000-000000000001',3,'VM leaving is stopping.','admin');
INSERT INTO event VALUES(2,1700000000002,'vm.stopping','00000001-0000-4000-8000-000000000001','00000002-0000-4000-8000-000000000001','00000004-0000-4000-8000-000000000001',3,'VM leaving is stopping.','admin');
CREATE TABLE host (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    connection TEXT NOT NULL,
    session BIGINT NOT NULL,
    libvirt_answers BIGINT NOT NULL,
    boot_id TEXT,
    facts TEXT,
    last_seen_at BIGINT,
    fenced_at BIGINT,
    fence_proof TEXT,
    deleted_at BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
, labels TEXT NOT NULL DEFAULT '{}', node TEXT, highest_epoch BIGINT NOT NULL DEFAULT 0, awaited BIGINT NOT NULL DEFAULT 0);
INSERT INTO host VALUES('00000002-0000-4000-8000-000000000001','a','enabled','disconnected',4,1,'boot-1',NULL,1700000000000,NULL,NULL,NULL,7,1700000000000,1700000000000,'{}',NULL,0,0);
INSERT INTO host VALUES('00000002-0000-4000-8000-000000000002','b','enabled','disconnected',4,1,'boot-1',NULL,1700000000000,NULL,NULL,NULL,7,1700000000000,1700000000000,'{}',NULL,0,0);
CREATE TABLE image (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    command_line TEXT NOT NULL,
    files TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
INSERT INTO image VALUES('00000003-0000-4000-8000-000000000001','tiny','kernel','console=ttyS0','[]',1,1700000000000,1700000000000);
CREATE TABLE IF NOT EXISTS "job" (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    vm TEXT NOT NULL,
    host TEXT NOT NULL,
    peer TEXT,
    epoch BIGINT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'parked', 'ended')),
    verdict TEXT,
    outcome TEXT,
    fault TEXT,
    wish BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    first_error TEXT,
    first_error_at BIGINT,
    last_error TEXT,
    last_error_at BIGINT,
    next_attempt_at BIGINT NOT NULL,
    owner TEXT,
    lease_token BIGINT NOT NULL,
    requested_by TEXT NOT NULL,
    unique_key TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT,
    CHECK ((state = 'ended') = (verdict IS NOT NULL)),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
    CHECK ((first_error IS NULL) = (first_error_at IS NULL)),
    CHECK ((last_error IS NULL) = (last_error_at IS NULL))
);
INSERT INTO job VALUES('00000004-0000-4000-8000-000000000001','stop-vm','00000001-0000-4000-8000-000000000001','00000002-0000-4000-8000-000000000001',NULL,3,'{"command":"00000006-0000-4000-8000-000000000001","isDeferrable":true,"mode":"cold","timeout":0,"version":1}','waiting',NULL,NULL,NULL,2,3,NULL,NULL,'The host''s agent is not connected.',1700000000001,1700000000001,NULL,3,'admin','stop-vm/00000001-0000-4000-8000-000000000001/00000002-0000-4000-8000-000000000001/3',2,1700000000001,1700000000001,NULL);
INSERT INTO job VALUES('00000004-0000-4000-8000-000000000002','operation.start','00000001-0000-4000-8000-000000000002','00000002-0000-4000-8000-000000000001',NULL,3,'{"command":"00000006-0000-4000-8000-000000000002","version":1}','running',NULL,NULL,NULL,2,1,NULL,NULL,NULL,NULL,1700000000002,'node-1',1,'admin','operation/00000001-0000-4000-8000-000000000002',2,1700000000002,1700000000002,NULL);
INSERT INTO job VALUES('00000004-0000-4000-8000-000000000003','destroy-vm','00000001-0000-4000-8000-000000000003','00000002-0000-4000-8000-000000000001',NULL,3,'{"command":"00000006-0000-4000-8000-000000000003","isDeferrable":true,"removesDisk":false,"version":1}','waiting',NULL,NULL,NULL,2,0,NULL,NULL,NULL,NULL,1700000000003,NULL,0,'admin','destroy-vm/00000001-0000-4000-8000-000000000003/00000002-0000-4000-8000-000000000001/3',2,1700000000003,1700000000003,NULL);
INSERT INTO job VALUES('00000004-0000-4000-8000-000000000004','operation.migrate','00000001-0000-4000-8000-000000000004','00000002-0000-4000-8000-000000000001','00000002-0000-4000-8000-000000000002',3,'{"arrivalCommand":"00000006-0000-4000-8000-000000000005","command":"00000006-0000-4000-8000-000000000004","destination":{"epoch":4,"host":"00000002-0000-4000-8000-000000000002"},"migration":{"allowsPostCopy":false,"autoConverges":false,"copiesStorage":true,"timeout":3600},"version":1}','waiting',NULL,NULL,NULL,2,0,NULL,NULL,NULL,NULL,1700000000004,NULL,0,'admin','operation/00000001-0000-4000-8000-000000000004',2,1700000000004,1700000000004,NULL);
INSERT INTO job VALUES('00000004-0000-4000-8000-000000000005','delete-volume','00000001-0000-4000-8000-000000000005','00000002-0000-4000-8000-000000000001',NULL,3,'{"command":"00000006-0000-4000-8000-000000000006","removesDisk":true,"version":1}','waiting',NULL,NULL,NULL,2,0,NULL,NULL,NULL,NULL,1700000000005,NULL,0,'admin','delete-volume/00000001-0000-4000-8000-000000000005/00000002-0000-4000-8000-000000000001/3',2,1700000000005,1700000000005,NULL);
INSERT INTO job VALUES('00000004-0000-4000-8000-000000000009','stop-vm','00000001-0000-4000-8000-000000000009','00000002-0000-4000-8000-000000000001',NULL,3,'{"command":"00000006-0000-4000-8000-000000000009","isDeferrable":true,"mode":"grace","timeout":120,"version":1}','ended','succeeded','stopped',NULL,2,1,NULL,NULL,NULL,NULL,1700000000009,NULL,1,'admin','stop-vm/00000001-0000-4000-8000-000000000009/00000002-0000-4000-8000-000000000001/3',2,1700000000009,1700000000009,1700000000020);
INSERT INTO job VALUES('00000004-0000-4000-8000-000000000006','operation.stop','00000001-0000-4000-8000-000000000001','00000002-0000-4000-8000-000000000001',NULL,3,'{"command":"00000006-0000-4000-8000-000000000001","isDeferrable":true,"mode":"cold","timeout":0,"version":1}','parked',NULL,NULL,NULL,2,3,'This release does not know it.',1700000000001,'This release does not know it.',1700000000001,1700000000001,NULL,3,'admin','operation/00000001-0000-4000-8000-000000000001',2,1700000000001,1700000000001,NULL);
INSERT INTO job VALUES('00000004-0000-4000-8000-000000000007','operation.stop','00000001-0000-4000-8000-000000000001','00000002-0000-4000-8000-000000000001',NULL,3,'{"command":"00000006-0000-4000-8000-000000000001","isDeferrable":true,"mode":"cold","timeout":0,"version":1}','ended','superseded','superseded',NULL,2,3,NULL,NULL,NULL,NULL,1700000000001,NULL,3,'admin','operation/00000001-0000-4000-8000-000000000001',2,1700000000009,1700000000001,1700000000001);
CREATE TABLE IF NOT EXISTS "job_step" (
    job TEXT NOT NULL REFERENCES "job" (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    number BIGINT NOT NULL,
    output TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (job, name)
);
INSERT INTO job_step VALUES('00000004-0000-4000-8000-000000000009','first',1,'out 1',1700000000001);
INSERT INTO job_step VALUES('00000004-0000-4000-8000-000000000009','second',2,'out 2',1700000000002);
CREATE TABLE join_token (
    hash TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_by TEXT,
    created_at BIGINT NOT NULL
);
CREATE TABLE request (
    request_key TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL,
    resource TEXT NOT NULL,
    recorded_at BIGINT NOT NULL
);
CREATE TABLE schema_version (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at BIGINT NOT NULL
);
INSERT INTO schema_version VALUES(1,'records',1700000000000);
INSERT INTO schema_version VALUES(2,'moves',1700000000000);
INSERT INTO schema_version VALUES(3,'placement',1700000000000);
INSERT INTO schema_version VALUES(4,'kept-vms',1700000000000);
INSERT INTO schema_version VALUES(5,'parked-jobs',1700000000000);
INSERT INTO schema_version VALUES(6,'nodes',1700000000000);
CREATE TABLE sighting (
    vm TEXT NOT NULL,
    host TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    state TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (vm, host)
);
CREATE TABLE vm (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    image TEXT NOT NULL,
    cpus BIGINT NOT NULL,
    memory BIGINT NOT NULL,
    state TEXT NOT NULL,
    placement_host TEXT,
    placement_epoch BIGINT,
    wait_reason TEXT,
    stop_cause TEXT,
    epoch BIGINT NOT NULL,
    last_host TEXT,
    pool TEXT,
    domain_seen BIGINT NOT NULL,
    observed_session BIGINT,
    observed_sequence BIGINT,
    operation TEXT,
    wish BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL, destination_host TEXT, destination_epoch BIGINT CHECK (destination_epoch <= epoch), destination_wait_reason TEXT, last_epoch BIGINT, labels TEXT NOT NULL DEFAULT '{}', host_labels TEXT NOT NULL DEFAULT '{}', affinity TEXT NOT NULL DEFAULT '{}', anti_affinity TEXT NOT NULL DEFAULT '{}', expunge_at BIGINT CHECK (
    (expunge_at IS NULL OR state IN ('destroying', 'destroyed'))
    AND (state <> 'expunging' OR placement_host IS NULL)),
    CHECK ((placement_host IS NULL) = (placement_epoch IS NULL)),
    CHECK (state NOT IN ('created', 'stopped', 'crashed', 'destroyed') OR placement_host IS NULL),
    CHECK (state NOT IN ('starting', 'running', 'paused', 'stopping', 'unknown') OR placement_host IS NOT NULL),
    CHECK (placement_epoch IS NULL OR placement_epoch <= epoch)
);
INSERT INTO vm VALUES('00000001-0000-4000-8000-000000000001','leaving','00000003-0000-4000-8000-000000000001',1,128,'stopping','00000002-0000-4000-8000-000000000001',3,'host-disconnected',NULL,3,'00000002-0000-4000-8000-000000000001',NULL,1,4,9,NULL,2,5,1700000000001,1700000000001,NULL,NULL,NULL,3,'{}','{}','{}','{}',NULL);
INSERT INTO vm VALUES('00000001-0000-4000-8000-000000000002','coming','00000003-0000-4000-8000-000000000001',1,128,'starting','00000002-0000-4000-8000-000000000001',3,NULL,NULL,3,'00000002-0000-4000-8000-000000000001',NULL,0,NULL,NULL,'00000004-0000-4000-8000-000000000002',2,5,1700000000002,1700000000002,NULL,NULL,NULL,3,'{}','{}','{}','{}',NULL);
INSERT INTO vm VALUES('00000001-0000-4000-8000-000000000003','gone','00000003-0000-4000-8000-000000000001',1,128,'destroying','00000002-0000-4000-8000-000000000001',3,'host-disconnected',NULL,3,'00000002-0000-4000-8000-000000000001',NULL,1,4,9,NULL,2,5,1700000000003,1700000000003,NULL,NULL,NULL,3,'{}','{}','{}','{}',1700086400000);
INSERT INTO vm VALUES('00000001-0000-4000-8000-000000000004','moving','00000003-0000-4000-8000-000000000001',1,128,'migrating','00000002-0000-4000-8000-000000000001',3,NULL,NULL,4,'00000002-0000-4000-8000-000000000001',NULL,1,4,9,'00000004-0000-4000-8000-000000000004',2,5,1700000000004,1700000000004,'00000002-0000-4000-8000-000000000002',4,NULL,3,'{}','{}','{}','{}',NULL);
INSERT INTO vm VALUES('00000001-0000-4000-8000-000000000005','past','00000003-0000-4000-8000-000000000001',1,128,'expunging',NULL,NULL,NULL,NULL,3,'00000002-0000-4000-8000-000000000001',NULL,1,4,9,NULL,2,5,1700000000005,1700000000005,NULL,NULL,NULL,3,'{}','{}','{}','{}',NULL);
CREATE TABLE schema_reader (version BIGINT NOT NULL PRIMARY KEY, oldest BIGINT NOT NULL);
INSERT INTO schema_reader VALUES(6,6);
CREATE TABLE node (
    id TEXT NOT NULL PRIMARY KEY,
    place TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    beat BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
INSERT INTO node VALUES('node-2','there','there','0.1.0',3,1700000000000,1700000000000);
CREATE TABLE errand (
    id TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    host TEXT NOT NULL,
    request TEXT NOT NULL,
    answer TEXT,
    taken_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE TABLE writer (
    id TEXT NOT NULL PRIMARY KEY,
    commits BIGINT NOT NULL,
    committed_at BIGINT NOT NULL
);
CREATE TABLE recovery (
    id BIGINT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    heard BIGINT NOT NULL,
    observing_since BIGINT,
    reason TEXT
);
INSERT INTO recovery VALUES(1,0,0,NULL,NULL);
CREATE UNIQUE INDEX image_name ON image (name);
CREATE INDEX vm_placement ON vm (placement_host) WHERE placement_host IS NOT NULL;
CREATE INDEX vm_image ON vm (image);
CREATE INDEX vm_created ON vm (created_at, id);
CREATE UNIQUE INDEX host_name ON host (name) WHERE deleted_at IS NULL;
CREATE INDEX sighting_host ON sighting (host);
CREATE INDEX join_token_host ON join_token (host);
CREATE INDEX request_recorded ON request (recorded_at);
CREATE INDEX vm_destination ON vm (destination_host) WHERE destination_host IS NOT NULL;
CREATE INDEX vm_expunge ON vm (expunge_at) WHERE state = 'destroyed';
CREATE UNIQUE INDEX vm_name ON vm (name) WHERE state <> 'destroyed' AND state <> 'expunging';
CREATE INDEX vm_past_name ON vm (name) WHERE state IN ('destroyed', 'expunging');
CREATE INDEX job_vm ON job (vm);
CREATE INDEX job_host ON job (host);
CREATE INDEX job_peer ON job (peer) WHERE peer IS NOT NULL;
CREATE INDEX job_parked ON job (vm) WHERE state = 'parked';
CREATE INDEX job_created ON job (created_at, id);
CREATE INDEX job_ended ON job (verdict, ended_at) WHERE state = 'ended';
CREATE INDEX errand_untaken ON errand (node, created_at) WHERE taken_at IS NULL;
CREATE INDEX errand_created ON errand (created_at);
CREATE INDEX job_running ON job (owner) WHERE state = 'running';
CREATE INDEX job_due ON job (next_attempt_at, created_at, id) WHERE state = 'waiting';
CREATE INDEX job_due_operation ON job (next_attempt_at, created_at, id)
WHERE state = 'waiting' AND kind >= 'operation.' AND kind < 'operation/';
CREATE UNIQUE INDEX job_unfinished ON job (unique_key) WHERE ended_at IS NULL;
