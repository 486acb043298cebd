//! The line that is being typed.

use crossterm::event::{KeyCode, KeyModifiers};
use unicode_width::UnicodeWidthChar;

/// In characters; no message is longer.
const LONGEST: usize = 4000;

#[derive(Default)]
pub(super) struct Edit {
    letters: Vec<char>,
    /// Before which of them the cursor stands.
    at: usize,
}

impl Edit {
    /// The line, when this key ends it.
    pub fn key(&mut self, key: KeyCode, with: KeyModifiers) -> Option<String> {
        let control = with.contains(KeyModifiers::CONTROL);
        match key {
            KeyCode::Enter => {
                self.at = 0;
                return Some(std::mem::take(&mut self.letters).into_iter().collect());
            }
            KeyCode::Char('u') if control => {
                self.letters.drain(..self.at);
                self.at = 0;
            }
            KeyCode::Char('a') if control => self.at = 0,
            KeyCode::Char('e') if control => self.at = self.letters.len(),
            KeyCode::Char(letter) if !control && self.letters.len() < LONGEST => {
                self.letters.insert(self.at, letter);
                self.at += 1;
            }
            KeyCode::Backspace if self.at > 0 => {
                self.at -= 1;
                self.letters.remove(self.at);
            }
            KeyCode::Delete if self.at < self.letters.len() => drop(self.letters.remove(self.at)),
            KeyCode::Left => self.at = self.at.saturating_sub(1),
            KeyCode::Right => self.at = (self.at + 1).min(self.letters.len()),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.letters.len(),
            _ => {}
        }
        None
    }

    /// What of the line fits into `width` cells, and the cell of the cursor.
    pub fn view(&self, width: usize) -> (String, usize) {
        let cells =
            |letters: &[char]| letters.iter().map(|letter| letter.width().unwrap_or(0)).sum::<usize>();
        let mut begin = 0;
        while cells(&self.letters[begin..self.at]) >= width.max(1) {
            begin += 1;
        }
        let mut end = begin;
        while end < self.letters.len() && cells(&self.letters[begin..=end]) <= width {
            end += 1;
        }
        (self.letters[begin..end].iter().collect(), cells(&self.letters[begin..self.at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(edit: &mut Edit, text: &str) {
        text.chars().for_each(|letter| drop(edit.key(KeyCode::Char(letter), KeyModifiers::NONE)));
    }

    fn press(edit: &mut Edit, keys: &[KeyCode]) {
        keys.iter().for_each(|key| drop(edit.key(*key, KeyModifiers::NONE)));
    }

    #[test]
    fn a_line_is_changed_where_the_cursor_is() {
        let mut edit = Edit::default();
        typed(&mut edit, "helo");
        press(&mut edit, &[KeyCode::Left]);
        typed(&mut edit, "l");
        press(&mut edit, &[KeyCode::Home, KeyCode::Delete]);
        typed(&mut edit, "H");
        press(&mut edit, &[KeyCode::End, KeyCode::Backspace, KeyCode::Backspace]);
        assert_eq!(edit.key(KeyCode::Enter, KeyModifiers::NONE).as_deref(), Some("Hel"));
        assert_eq!(edit.key(KeyCode::Enter, KeyModifiers::NONE).as_deref(), Some(""));
    }

    #[test]
    fn the_cursor_is_always_in_view() {
        let mut edit = Edit::default();
        typed(&mut edit, "abcdefgh");
        assert_eq!(edit.view(4), ("fgh".into(), 3));
        press(&mut edit, &[KeyCode::Home]);
        assert_eq!(edit.view(4), ("abcd".into(), 0));
        typed(&mut edit, "日本");
        assert_eq!(edit.view(20), ("日本abcdefgh".into(), 4));
        edit.key(KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(edit.view(20), ("abcdefgh".into(), 0));
    }
}
