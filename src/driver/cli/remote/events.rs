//! Server-sent events, as they come in pieces.

/// More than any event of ours.
const LONGEST_LINE: usize = 4 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: Option<i64>,
    pub kind: String,
    pub data: String,
}

/// Puts the pieces of a stream together.
#[derive(Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    event: Event,
}

impl Parser {
    /// The events that end in this piece.
    pub fn take(&mut self, piece: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in piece {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    let line = String::from_utf8_lossy(&line);
                    events.extend(self.end_of_line(line.trim_end_matches('\r')));
                }
                byte if self.line.len() < LONGEST_LINE => self.line.push(*byte),
                _ => {}
            }
        }
        events
    }

    fn end_of_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (event != Event::default()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = value.parse().ok(),
            "event" => self.event.kind = value.to_owned(),
            "data" if self.event.data.is_empty() => self.event.data = value.to_owned(),
            "data" => {
                self.event.data.push('\n');
                self.event.data.push_str(value);
            }
            // A comment keeps the connection open, and fields we do not know are none of ours.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ":\n\nid: 1\nevent: message\ndata: {\"a\":\ndata:  1}\n\nretry: 5\n\r\ndata:ü\r\n\r\nid:2\n";

    #[test]
    fn events_come_whole_however_they_were_cut() {
        let expected = [
            Event { id: Some(1), kind: "message".into(), data: "{\"a\":\n 1}".into() },
            Event { id: None, kind: String::new(), data: "ü".into() },
        ];
        for size in 1..STREAM.len() {
            let mut parser = Parser::default();
            let pieces = STREAM.as_bytes().chunks(size);
            let events: Vec<Event> = pieces.flat_map(|piece| parser.take(piece)).collect();
            assert_eq!(events, expected, "in pieces of {size}");
        }
    }
}
