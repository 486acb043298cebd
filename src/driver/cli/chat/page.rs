//! The page in a terminal: the history and what comes, who one is, and a line to type in.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Position};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;
use unicode_width::UnicodeWidthChar;

use super::Ends;
use super::edit::Edit;
use super::session::{Shown, Status, Typed};
use crate::driver::cli::remote::Remote;

/// Older lines are forgotten; the room has them.
const LINES_KEPT: usize = 1000;
/// How often the thread that reads the keyboard looks whether it is still wanted.
const LOOK_UP: Duration = Duration::from_millis(100);

struct Page {
    who: String,
    host: String,
    status: Status,
    lines: VecDeque<(String, Style)>,
    /// How far up one has scrolled, in rows.
    up: usize,
    edit: Edit,
}

pub(super) async fn show(ends: Ends, remote: &Remote) -> io::Result<()> {
    let mut page = Page {
        who: remote.who(),
        host: remote.host(),
        status: Status::default(),
        lines: VecDeque::new(),
        up: 0,
        edit: Edit::default(),
    };
    let mut terminal = ratatui::try_init()?;
    let ended = page.run(&mut terminal, ends).await;
    ratatui::try_restore()?;
    ended
}

impl Page {
    async fn run(&mut self, terminal: &mut DefaultTerminal, mut ends: Ends) -> io::Result<()> {
        let mut keys = keyboard();
        loop {
            terminal.draw(|frame| self.draw(frame))?;
            tokio::select! {
                next = ends.shown.recv() => match next {
                    Some(Shown::Over) | None => return Ok(()),
                    Some(shown) => {
                        self.take(shown);
                        // A history comes in hundreds of lines, which are drawn at once.
                        while let Ok(shown) = ends.shown.try_recv() {
                            if matches!(shown, Shown::Over) {
                                return Ok(());
                            }
                            self.take(shown);
                        }
                    }
                },
                event = keys.recv() => match event {
                    None => return Ok(()),
                    Some(Event::Key(key)) => {
                        if let Some(line) = self.key(key) && ends.typed.send(Typed::Line(line)).is_err() {
                            return Ok(());
                        }
                    }
                    Some(_) => {}
                },
            }
        }
    }

    fn take(&mut self, shown: Shown) {
        let line = match shown {
            Shown::Message(message) => {
                let at = message.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M").to_string();
                (format!("{at} {}: {}", message.from.name, message.text), Style::default())
            }
            Shown::Note(note) => (format!("* {note}"), Style::default().fg(Color::DarkGray)),
            Shown::Status(status) => {
                self.status = status;
                return;
            }
            Shown::Over => return,
        };
        self.lines.push_back((printable(&line.0), line.1));
        if self.lines.len() > LINES_KEPT {
            self.lines.pop_front();
        }
    }

    fn key(&mut self, key: KeyEvent) -> Option<String> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if control => Some("/quit".to_owned()),
            KeyCode::PageUp => {
                self.up += 5;
                None
            }
            KeyCode::PageDown => {
                self.up = self.up.saturating_sub(5);
                None
            }
            code => self.edit.key(code, key.modifiers),
        }
    }

    fn draw(&mut self, frame: &mut Frame) {
        let rows = [Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)];
        let [head, body, foot] = Layout::vertical(rows).areas(frame.area());
        let inverse = Style::default().add_modifier(Modifier::REVERSED);
        frame.render_widget(Paragraph::new(format!(" {} ", self.head())).style(inverse), head);

        let width = usize::from(body.width).max(1);
        let height = usize::from(body.height);
        let rows: Vec<Line> = self
            .lines
            .iter()
            .flat_map(|(text, style)| wrapped(text, width).into_iter().map(|row| Line::styled(row, *style)))
            .collect();
        self.up = self.up.min(rows.len().saturating_sub(height));
        let end = rows.len() - self.up;
        frame.render_widget(Paragraph::new(rows[end.saturating_sub(height)..end].to_vec()), body);

        let (typed, cell) = self.edit.view(usize::from(foot.width).saturating_sub(3));
        frame.render_widget(Paragraph::new(Line::from(vec![Span::raw("> "), Span::raw(typed)])), foot);
        let column = foot.x.saturating_add(2).saturating_add(u16::try_from(cell).unwrap_or(u16::MAX));
        frame.set_cursor_position(Position::new(column, foot.y));
    }

    fn head(&self) -> String {
        let room = match &self.status {
            Status { room: None, .. } => "no room".to_owned(),
            Status { room: Some(room), connected: true } => room.clone(),
            Status { room: Some(room), connected: false } => format!("{room}, connecting"),
        };
        printable(&format!("{room} | signed in as {} at {} | /help", self.who, self.host))
    }
}

/// Keys come from a thread, because a read of the terminal cannot be given up; it ends soon after the page.
fn keyboard() -> mpsc::UnboundedReceiver<Event> {
    let (tell, keys) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while !tell.is_closed() {
            match event::poll(LOOK_UP) {
                Ok(false) => {}
                Ok(true) => {
                    let Ok(event) = event::read() else { return };
                    if tell.send(event).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    });
    keys
}

/// A server may be anyone's: nothing it says may steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Rows of at most `width` cells, broken at blanks where there are any.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let (mut row, mut cells) = (String::new(), 0);
    for letter in text.chars() {
        let wide = letter.width().unwrap_or(0);
        if cells + wide > width {
            let rest = match row.rfind(' ').filter(|at| *at > 0) {
                Some(at) => row.split_off(at + 1),
                None => String::new(),
            };
            rows.push(std::mem::replace(&mut row, rest));
            cells = row.chars().map(|letter| letter.width().unwrap_or(0)).sum();
        }
        row.push(letter);
        cells += wide;
    }
    rows.push(row);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_at_blanks_and_nothing_is_lost() {
        assert_eq!(wrapped("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped("日本語", 4), ["日本", "語"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(printable("\u{1b}[2Jhi\u{7}"), "\u{fffd}[2Jhi\u{fffd}");
    }
}
