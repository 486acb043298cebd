//! How large an output may be.

use serde_json::Value;

/// The largest output a task may return, as JSON, in bytes.
pub(super) const MOST_RESULT_BYTES: usize = 1 << 20;

/// Whether an output is small enough to be stored, without building its text.
pub(super) fn fits(output: &Value) -> bool {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            if self.0 > MOST_RESULT_BYTES {
                Err(std::io::ErrorKind::FileTooLarge.into())
            } else {
                Ok(bytes.len())
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    serde_json::to_writer(Count(0), output).is_ok()
}
