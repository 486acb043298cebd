-- Every version of a state stays: Terraform raises the serial once a command, while the file grows with every object.
alter table terraform_state drop constraint terraform_state_pkey;
alter table terraform_state add column number bigint generated always as identity;
alter table terraform_state add constraint terraform_state_pkey primary key (number);
create index terraform_state_latest_index on terraform_state (session_id, serial desc, number desc);
