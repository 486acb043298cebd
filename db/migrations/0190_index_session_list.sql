-- Lists of sessions, the newest first, of one lab or of a state that few are in. A learner has an index already.
create index session_lab_index on session (lab, id);
create index session_status_index on session (status, id);
