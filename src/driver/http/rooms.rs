//! Rooms: reading one as a stream, saying something, seeing who is there, leaving.

use std::time::Duration;

use flow_domain::Error;
use flow_domain::rooms::{Message, Person, Place, RoomName};
use flow_domain::users::Role;
use rocket::http::{Method, Status};
use rocket::{State, delete, get, post, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::body::JsonBody;
use super::event_stream::LastEventId;
use super::guards::Caller;
use super::leash::leash;
use super::query::{LARGEST, Query};
use super::room_stream::{Form, LINES, RoomStream};
use super::{Answer, Handled, Operation, Problem, Resource, Services};

const DEFAULT_TIMEOUT_S: i64 = 60;
const MAX_TIMEOUT_S: i64 = 3600;
/// What the domain takes for a message, as a pattern: what moves a cursor or turns a text's direction is nowhere in it,
/// and something in it is no space either.
const TEXT: &str = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028-\u202f\u205f\u2066-\u2069\u3000][^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$";
/// A room's name likewise.
const NAME: &str = r"^(lab\.[A-Za-z0-9_.-]+|session\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?![Ll][Aa][Bb]\.|[Ss][Ee][Ss][Ss][Ii][Oo][Nn]\.|\.{1,2}$)[A-Za-z0-9_.-]+)$";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    /// One line: 1 to 4,000 characters, one that is no space among them, and none a control character.
    #[schemars(extend("x-rules" = {"minLength": 1, "maxLength": 4000, "pattern": TEXT}))]
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct Present {
    /// By name.
    users: Vec<Person>,
}

#[derive(Serialize, JsonSchema)]
struct Left {
    /// Always `ok`.
    status: &'static str,
}

pub(super) fn resource() -> Resource {
    let room = "/room/{name}";
    let name = || json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": NAME});
    let refusals = |operation: Operation| {
        operation
            .part("name", name())
            .part("message", json!({"type": "integer", "minimum": 1}))
            .role(Role::Anonymous)
            .problem(400, &["room.name_invalid"])
            .problem(403, &["room.forbidden"])
            .problem(404, &["room.unknown"])
    };
    let read = Operation::new(Method::Get, room, "Read a room as messages come")
        .query(
            "timeout",
            "Seconds until the stream ends, 60 when left out",
            json!({"type": "integer", "minimum": 1, "maximum": MAX_TIMEOUT_S}),
        )
        .query(
            "after",
            "Number of the last message seen: what came since is sent first. 0: the whole history",
            json!({"type": "integer", "minimum": 0, "maximum": LARGEST}),
        )
        .takes_header("Last-Event-ID", "The same as `after`, which wins")
        .takes_header("Accept", "`text/event-stream` for server-sent events, each with a message as its data")
        .answers_with(200, "text/event-stream", "The same as server-sent events, if `Accept` asks for them")
        .answers_with(
            200,
            LINES,
            "One message as JSON a line; an empty line, at least each 15 s, keeps it open",
        )
        .problem(429, &["stream.too_many"])
        .problem(503, &["stream.none_free"]);
    let said = Operation::new(Method::Post, room, "Say something")
        .body::<NewMessage>()
        .answers::<Message>(201, "The message; it is stored")
        .problem(422, &["message.invalid"])
        .problem(429, &["room.too_fast"]);
    let deleted = Operation::new(Method::Delete, "/room/{name}/{message}", "Delete a message")
        .answers_with(204, "", "It is no longer in the history")
        .problem(403, &["message.not_yours"])
        .problem(404, &["message.unknown"]);
    let who = Operation::new(Method::Get, "/room/{name}/who", "Who reads a room")
        .answers::<Present>(200, "Everyone with a stream of it open, each once");
    let left = Operation::new(Method::Delete, "/room/{name}/me", "Leave a room")
        .part("name", name())
        .role(Role::Anonymous)
        .problem(400, &["room.name_invalid"])
        .answers::<Left>(200, "All your streams of it end");
    Resource {
        routes: routes![read, say, remove, present, leave],
        operations: vec![refusals(read), refusals(said), refusals(deleted), refusals(who), left],
    }
}

#[get("/room/<name>")]
async fn read(
    services: &State<Services>,
    caller: Caller,
    name: &str,
    query: Query,
    last: LastEventId,
    form: Form,
    shutdown: rocket::Shutdown,
) -> Result<RoomStream, Problem> {
    query.only(&["timeout", "after"])?;
    let timeout = query.number("timeout", 1..=MAX_TIMEOUT_S)?.unwrap_or(DEFAULT_TIMEOUT_S);
    let after = query.number("after", 0..=LARGEST)?.or(last.0);
    let Caller(verified) = caller;
    let room = RoomName::parse(name)?;
    let seat = services.streams.seat(verified.caller.id)?;
    used(services, &verified.caller, &room).await?;
    let reader = services.rooms.open(&verified.caller, Person::of(&verified), room, after).await?;
    Ok(RoomStream::new(
        reader,
        seat,
        form,
        Duration::from_secs(timeout.unsigned_abs()),
        shutdown,
        leash(services, verified),
    ))
}

#[post("/room/<name>", data = "<body>")]
async fn say(
    services: &State<Services>,
    caller: Caller,
    name: &str,
    query: Query,
    body: JsonBody<NewMessage>,
) -> Handled {
    query.only(&[])?;
    let room = RoomName::parse(name)?;
    let Caller(verified) = caller;
    let from = Person::of(&verified);
    used(services, &verified.caller, &room).await?;
    Answer::created(&services.rooms.post(&verified.caller, &from, &room, &body.0.text).await?)
}

#[delete("/room/<name>/<message>", rank = 2)]
async fn remove(
    services: &State<Services>,
    caller: Caller,
    name: &str,
    message: &str,
    query: Query,
) -> Handled {
    query.only(&[])?;
    // Who is there is a place of its own, though its path looks like a message's.
    if message == "who" {
        let refused =
            Problem::http(Status::MethodNotAllowed, "method.not_allowed", "This path takes GET, HEAD.");
        return Err(refused.header("Allow", "GET, HEAD"));
    }
    let unknown = || Error::not_found("message.unknown", "There is no such message.");
    let room = RoomName::parse(name)?;
    let id = message.parse::<i64>().ok().filter(|id| id.to_string() == message).ok_or_else(unknown)?;
    services.rooms.delete(&caller, &room, id).await?;
    Ok(Answer::no_content())
}

#[get("/room/<name>/who")]
async fn present(services: &State<Services>, caller: Caller, name: &str, query: Query) -> Handled {
    query.only(&[])?;
    let room = RoomName::parse(name)?;
    used(services, &caller, &room).await?;
    let users = services.rooms.who(&caller, &room).await?;
    Answer::ok(&Present { users })
}

#[delete("/room/<name>/me")]
async fn leave(services: &State<Services>, caller: Caller, name: &str, query: Query) -> Handled {
    query.only(&[])?;
    services.rooms.leave(&caller, &RoomName::parse(name)?).await?;
    Answer::ok(&Left { status: "ok" })
}

/// Whoever is in their session's room uses the session.
async fn used(
    services: &Services,
    caller: &flow_domain::users::Caller,
    room: &RoomName,
) -> Result<(), Error> {
    match room.place() {
        Place::Session(id) => services.labs.touch_by_id(caller, id).await,
        Place::Lab(_) | Place::Open => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::SessionId;
    use flow_domain::rooms::Text;

    use super::*;

    fn fits(pattern: &str) -> jsonschema::Validator {
        jsonschema::validator_for(&json!({"type": "string", "maxLength": 64, "pattern": pattern})).unwrap()
    }

    #[test]
    fn the_page_says_of_a_message_what_the_domain_says() {
        let page = fits(TEXT);
        for letter in (0..0x3100).filter_map(char::from_u32) {
            for text in [format!("{letter}"), format!("a{letter}b"), format!(" {letter} ")] {
                assert_eq!(page.is_valid(&json!(text)), Text::parse(&text).is_ok(), "{text:?}");
            }
        }
    }

    #[test]
    fn the_page_says_of_a_name_what_the_domain_says() {
        let page = fits(NAME);
        let session = SessionId::new();
        let ours = format!("session.{session}");
        let names =
            ["a", "lobby", "...", "labs", "lab.hello", "lab.", "Lab.x", "LAB.", ".", "..", "", "a b", "é"];
        let more =
            [&*ours, "session.7", "Session.7", "sessions", "a\n", &ours.to_uppercase(), &"x".repeat(64)];
        for name in names.into_iter().chain(more).chain([&*"x".repeat(65)]) {
            assert_eq!(page.is_valid(&json!(name)), RoomName::parse(name).is_ok(), "{name:?}");
        }
    }
}
