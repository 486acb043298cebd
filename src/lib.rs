//! Flow Manager.
