-- A ledger of schema version 1, as the program that introduced that version wrote it (0.1.0): never edited.
BEGIN TRANSACTION;
CREATE TABLE inception_nas_ledger (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "inception_nas_ledger" VALUES(1);
CREATE TABLE measurements (
	study_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	rung INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	"values" TEXT NOT NULL, 
	seconds FLOAT NOT NULL, 
	PRIMARY KEY (study_id, number, rung, epoch), 
	FOREIGN KEY(study_id, number) REFERENCES trials (study_id, number)
);
INSERT INTO "measurements" VALUES(1,0,0,0,'{"latency_ms": 12.5}',0.0);
INSERT INTO "measurements" VALUES(1,0,0,1,'{"error": 0.5, "loss": 1.75}',1.5);
INSERT INTO "measurements" VALUES(1,0,0,2,'{"error": 0.25, "loss": 1.25}',3.0);
INSERT INTO "measurements" VALUES(1,5,0,1,'{"error": 0.75, "loss": 2.0}',1.0);
CREATE TABLE studies (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	search TEXT NOT NULL, 
	search_digest TEXT NOT NULL, 
	objectives TEXT NOT NULL, 
	state TEXT NOT NULL, 
	versions TEXT NOT NULL, 
	data_digest TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "studies" VALUES(1,'digits','2026-11-26T10:00:00.000+00:00','{"study": "digits", "space": "inception", "trials": 4, "sampler": {"name": "nsga2", "population": 8, "startup": 16}, "random_seed": 3, "objectives": ["error", "macs"], "executor": {"name": "inline"}}','b239971b2cb092e062f39ec166eaa08641d4dcfaf69f1ae9630b412326128911','{"error": "minimize", "macs": "minimize"}','stopped','{"torch": "2.13.0"}','data-1');
INSERT INTO "studies" VALUES(2,'other','2026-11-26T10:00:01.000+00:00','{"study": "other", "space": "inception", "trials": 4, "sampler": {"name": "nsga2", "population": 8, "startup": 16}, "random_seed": 3, "objectives": ["error", "macs"], "executor": {"name": "inline"}}','f1b9c824f08764682afc7062737817100fe1228df8129416f3dbd430518e5743','{"error": "minimize"}','running','{"torch": "2.13.0"}',NULL);
CREATE TABLE trials (
	study_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	outcome TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	architecture TEXT NOT NULL, 
	costs TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	violations TEXT NOT NULL, 
	"values" TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	seed TEXT, 
	genes TEXT, 
	finished_at TEXT, 
	artifact TEXT, 
	traceback TEXT, 
	seconds FLOAT, 
	PRIMARY KEY (study_id, number), 
	FOREIGN KEY(study_id) REFERENCES studies (id)
);
INSERT INTO "trials" VALUES(1,0,'complete','0000000000000000000000000000000000000000000000000000000000000000','seed','{"name": "a0", "stages": [{"modules": [0, 2.5, null, true, "\u00d7"]}]}','{"params": 23834568, "macs": 5713216096}','','{}','{"error": 0.25, "macs": 5713216096.0}','2026-11-26T10:00:02.000+00:00','inception-v3',NULL,'2026-11-26T10:00:03.000+00:00','digits/trials/0',NULL,3.25);
INSERT INTO "trials" VALUES(1,1,'screened','0000000000000000000000000000000000000000000000000000000000000001','sampler','{"name": "a1", "stages": [{"modules": [1, 2.5, null, true, "\u00d7"]}]}','{"params": 23834569, "macs": 5713216096}','exceeds limit:macs by 0.2','{"limit:macs": 0.2}','{}','2026-11-26T10:00:04.000+00:00',NULL,'{"depth": 3, "width": 0.1, "kind": "pool"}','2026-11-26T10:00:04.000+00:00',NULL,NULL,NULL);
INSERT INTO "trials" VALUES(1,2,'duplicate','0000000000000000000000000000000000000000000000000000000000000000','sampler','{"name": "a2", "stages": [{"modules": [2, 2.5, null, true, "\u00d7"]}]}','{"params": 23834570, "macs": 5713216096}','the same architecture as trial 0','{}','{}','2026-11-26T10:00:05.000+00:00',NULL,'{"depth": 3, "width": 0.2, "kind": "pool"}','2026-11-26T10:00:05.000+00:00',NULL,NULL,NULL);
INSERT INTO "trials" VALUES(1,3,'diverged','0000000000000000000000000000000000000000000000000000000000000003','sampler','{"name": "a3", "stages": [{"modules": [3, 2.5, null, true, "\u00d7"]}]}','{"params": 23834571, "macs": 5713216096}','the loss was nan in epoch 2','{}','{}','2026-11-26T10:00:06.000+00:00',NULL,'{"depth": 3, "width": 0.30000000000000004, "kind": "pool"}','2026-11-26T10:00:07.000+00:00',NULL,NULL,1.0);
INSERT INTO "trials" VALUES(1,4,'broken','0000000000000000000000000000000000000000000000000000000000000004','sampler','{"name": "a4", "stages": [{"modules": [4, 2.5, null, true, "\u00d7"]}]}','{"params": 23834572, "macs": 5713216096}','it''s broken','{}','{}','2026-11-26T10:00:08.000+00:00',NULL,'{"depth": 3, "width": 0.4, "kind": "pool"}','2026-11-26T10:00:09.000+00:00',NULL,'Traceback
  it''s
',NULL);
INSERT INTO "trials" VALUES(1,5,'running','0000000000000000000000000000000000000000000000000000000000000005','sampler','{"name": "a5", "stages": [{"modules": [5, 2.5, null, true, "\u00d7"]}]}','{"params": 23834573, "macs": 5713216096}','','{}','{}','2026-11-26T10:00:10.000+00:00',NULL,'{"depth": 3, "width": 0.5, "kind": "pool"}',NULL,NULL,NULL,NULL);
CREATE INDEX trials_by_outcome ON trials (study_id, outcome);
COMMIT;
