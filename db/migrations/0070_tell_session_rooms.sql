-- A session's room shows what happens to it: said in the transaction in which it happens, so that it is said once,
-- whoever does it and however often it is tried.
alter table room_message drop constraint room_message_author_kind_check;
alter table room_message add constraint room_message_author_kind_check
    check (author_kind in ('anonymous', 'temporary', 'registered', 'system'));

-- Nobody else can have this name: there is a blank in it.
create function tell_session_room(session uuid, what text) returns void language sql as $$
    with next as (
        insert into room (name, head) values ('session.' || session, 1)
        on conflict (name) do update set head = room.head + 1
        returning name, head
    ), message as (
        insert into room_message (room, id, author_id, author_name, author_kind, body)
        select name, head, '00000000-0000-0000-0000-000000000000', 'the service', 'system', what from next
        returning room, id
    )
    select pg_notify('room_signal', 'posted ' || room || ' ' || id) from message
$$;

-- Why a launch was taken back is the run's to say.
create function tell_of_session() returns trigger language plpgsql as $$
declare
    was text := case when tg_op = 'UPDATE' then old.status end;
    cancelled boolean;
    what text;
begin
    case new.status
        when 'launching' then what := format('Lab %s is being launched.', new.lab);
        when 'ready' then what := case when was = 'grading' then 'Grading has ended.' else 'The lab is ready.' end;
        when 'grading' then what := 'An attempt is handed in and being graded.';
        when 'finishing' then what := 'The lab is being taken down.';
        when 'finished' then what := 'The lab is finished; nothing of it is left.';
        when 'failed' then
            select cause = 'cancel' into cancelled from flow_run where id = new.run_id;
            what := case when cancelled then 'The launch was cancelled; nothing of the lab is left.'
                else 'The launch failed; nothing of the lab is left.' end;
        when 'dirty' then what := 'Something of the lab may be left: finish it.';
        when 'expired' then what := 'The lab''s time is over.';
        else return null;
    end case;
    perform tell_session_room(new.id, what);
    return null;
end
$$;

create trigger session_told_when_opened after insert on session
    for each row execute function tell_of_session();
create trigger session_told_when_moved after update of status on session
    for each row when (old.status is distinct from new.status) execute function tell_of_session();

create function tell_of_grade() returns trigger language plpgsql as $$
begin
    perform tell_session_room(
        new.session_id, format('Attempt %s scored %s of %s.', new.attempt, new.score, new.max));
    return null;
end
$$;

create trigger grade_told after insert on grade for each row execute function tell_of_grade();
