-- The run that last moved a session: its launch, finish or reset. No foreign key: runs are dropped by age.
alter table session add column run_id uuid;
-- Which of the outputs its learner may see; null is all.
alter table session add column shown_outputs text[];
